//! Assembly text: what can be assembled is disassembled, and assembled again to the same program and the same file.

use isa::{Hardware, Program};

use super::networks;
use crate::{Target, memory, mutate};

pub(super) const TARGET: Target =
    Target { name: "assembly", run, seeds, mutate: mutate::text, dictionary };

/// Most bytes of a block that `.zeros` may reach in the assembler.
const MOST_ZEROS: usize = 1 << 30;

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let zeros = zeros(text);
    // A growing block may exist twice for a moment, the second time with room to spare.
    memory::allow(4 * zeros);
    match isa::asm::assemble(text) {
        Err(errors) => errors.iter().for_each(|error| drop(error.render("input.qasm"))),
        Ok(_) if zeros > 1 << 20 => {}
        Ok(program) => {
            let file = program.to_bytes().expect("what is assembled can be written");
            assert_eq!(
                Program::from_bytes(&file).as_ref(),
                Ok(&program),
                "what is written reads back"
            );
            let again = isa::asm::assemble(&isa::disasm::disassemble(&program));
            assert_eq!(again.as_ref(), Ok(&program), "what is disassembled is the same program");
        }
    }
}

/// Constants that the text asks for: `.zeros` gives as many bytes as it says, up to a limit of the assembler.
fn zeros(text: &str) -> usize {
    let counts = text.split(".zeros").skip(1).filter_map(|rest| rest.split_whitespace().next());
    let counts = counts.map(|count| {
        let hexadecimal = count.strip_prefix("0x").map(|digits| usize::from_str_radix(digits, 16));
        hexadecimal.unwrap_or_else(|| count.parse()).unwrap_or(0).min(MOST_ZEROS)
    });
    counts.fold(0, usize::saturating_add).min(MOST_ZEROS)
}

fn seeds() -> Vec<Vec<u8>> {
    let by_hand = [
        include_str!("../../../programs/asm/add.qasm"),
        include_str!("../../../programs/asm/matmul.qasm"),
        include_str!("../../../programs/asm/softmax.qasm"),
        include_str!("../../../programs/asm/transpose.qasm"),
        "; empty\n.hardware tiny8\n  dram_latency_cycles = 20\n.meta\n  model = \"x\"\n.constants base=0x0\na:\n  .hex 0102\n  .zeros 60\n  .i16 -1 2\n  .i32 7\n  .bytes 1 2\n.reference\n  .text \"a\\n\"\n.dram 0x4000\n",
    ];
    let compiled = networks::programs(12)
        .into_iter()
        .map(|program| isa::disasm::disassemble(&program).into_bytes());
    by_hand.iter().map(|text| text.as_bytes().to_vec()).chain(compiled).collect()
}

fn dictionary() -> Vec<String> {
    let directives = ".hardware .meta .tensor .input .output .node .constants .code .reference .float_model .host_head .host_tail .dram .hex .zeros .bytes .i16 .i32 .text .param shape= bits= scale= zero= onnx= perm= tensor= dram= base= @node= @class= @tile= wait= signal= load mxu vpu store halt sync";
    directives.split(' ').map(str::to_owned).chain(Hardware::names().map(str::to_owned)).collect()
}
