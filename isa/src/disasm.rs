//! The disassembler: a whole program as text, which the [assembler](crate::asm) turns back into the same bytes.
//!
//! Addresses of DRAM are hexadecimal, all else is decimal. Fields that are zero by default in the assembler and zero here are
//! left out, instruction fields other than flags never. A comment names the node whenever it changes.

use std::fmt::{self, Write as _};

use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use crate::asm::{CLASSES, UNITS};
use crate::hardware::Hardware;
use crate::inst::{Engine, Inst};
use crate::operand::Kind;
use crate::program::{Class, IoBinding, NodeInfo, Note, Program, Section, TensorInfo, TileNote};

/// Bytes on a line of `.hex`.
const HEX_BYTES: usize = 32;

/// Zero bytes from which `.zeros` is shorter.
const ZERO_RUN: usize = 16;

/// The program as assembly text.
pub fn disassemble(program: &Program) -> String {
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = write(&mut out, program);
    out
}

fn write(out: &mut String, program: &Program) -> fmt::Result {
    hardware(out, &program.hardware)?;
    meta(out, program)?;
    out.push('\n');
    for (index, tensor) in program.tensors.iter().enumerate() {
        write_tensor(out, index, tensor)?;
    }
    for (directive, bindings) in [(".input", &program.inputs), (".output", &program.outputs)] {
        for IoBinding { tensor, dram } in bindings {
            writeln!(out, "{directive} tensor={tensor} dram={dram:#x}")?;
        }
    }
    for (index, node) in program.nodes.iter().enumerate() {
        write_node(out, index, node)?;
    }
    for engine in Engine::ALL {
        code(out, program, engine)?;
    }
    writeln!(out, "\n.constants base={:#x}", program.constants_base)?;
    data(out, &program.constants)?;
    for (directive, blob) in [
        (".reference", &program.reference),
        (".float_model", &program.float_model),
        (".host_head", &program.host.head),
        (".host_tail", &program.host.tail),
    ] {
        if let Some(bytes) = blob {
            writeln!(out, "\n{directive}")?;
            blob_lines(out, bytes)?;
        }
    }
    writeln!(out, "\n.dram {:#x}", program.dram_bytes)
}

fn hardware(out: &mut String, hardware: &Hardware) -> fmt::Result {
    writeln!(out, ".hardware")?;
    for name in Hardware::names() {
        writeln!(out, "  {name} = {}", hardware.value_text(name))?;
    }
    Ok(())
}

fn meta(out: &mut String, program: &Program) -> fmt::Result {
    writeln!(out, "\n.meta")?;
    let Ok(Value::Object(facts)) = serde_json::to_value(&program.meta) else { return Ok(()) };
    for (key, value) in &facts {
        writeln!(out, "  {key} = {}", json(value))?;
    }
    Ok(())
}

/// JSON in which numbers that came from 32-bit floats have no more digits than those need.
fn json(value: &impl serde::Serialize) -> String {
    struct ShortFloats;
    impl Formatter for ShortFloats {
        fn write_f64<W: ?Sized + std::io::Write>(
            &mut self,
            out: &mut W,
            value: f64,
        ) -> std::io::Result<()> {
            let narrow = value as f32;
            match f64::from(narrow) == value {
                true => CompactFormatter.write_f32(out, narrow),
                false => CompactFormatter.write_f64(out, value),
            }
        }
    }
    let mut out = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut out, ShortFloats));
    written.ok().and_then(|()| String::from_utf8(out).ok()).unwrap_or_default()
}

fn write_tensor(out: &mut String, index: usize, tensor: &TensorInfo) -> fmt::Result {
    let TensorInfo { name, shape: [h, w, c], bits, scale, zero_point, onnx_shape, perm } = tensor;
    write!(
        out,
        ".tensor {} shape={h}x{w}x{c} bits={bits} scale={scale:?} zero={zero_point}",
        json(name)
    )?;
    for (key, list) in [("onnx", onnx_shape), ("perm", perm)] {
        if !list.is_empty() {
            write!(out, " {key}={}", joined(list, ","))?;
        }
    }
    writeln!(out, " ; tensor {index}")
}

fn write_node(out: &mut String, index: usize, node: &NodeInfo) -> fmt::Result {
    let NodeInfo { name, op, macs, unit, weight_bits, act_bits, tile } = node;
    let unit = UNITS.iter().find(|(_, known)| known == unit).map_or("", |(name, _)| name);
    writeln!(
        out,
        ".node {} op={} macs={macs} unit={unit} weight_bits={weight_bits} act_bits={act_bits} tile={} ; node {index}",
        json(name),
        json(op),
        json(tile),
    )
}

fn code(out: &mut String, program: &Program, engine: Engine) -> fmt::Result {
    let Section { base, words, notes } = program.section(engine);
    writeln!(out, "\n.code {engine} base={base:#x}")?;
    let mut last = u32::MAX;
    for (inst, note) in words.iter().zip(notes) {
        if note.node != u32::MAX && note.node != last {
            last = note.node;
            if let Some(node) = program.nodes.get(last as usize) {
                writeln!(out, "  ; node {last}: {} {}", node.op.escape_debug(), json(&node.name))?;
            }
        }
        writeln!(out, "  {inst}{}", ShownNote(note))?;
    }
    Ok(())
}

impl fmt::Display for Inst {
    /// The line of assembly, without a note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doc = self.op.doc();
        f.write_str(doc.mnemonic)?;
        for (field, value) in doc.fields.iter().zip(self.op.values()) {
            match field.kind {
                Kind::Flag if value == 0 => {}
                Kind::Flag => write!(f, " {}", field.name)?,
                Kind::Dram => write!(f, " {}={value:#x}", field.name)?,
                _ => write!(f, " {}={value}", field.name)?,
            }
        }
        for (name, set) in [("wait", self.wait), ("signal", self.signal)] {
            if !set.is_empty() {
                write!(f, " {name}={set}")?;
            }
        }
        Ok(())
    }
}

/// A note as fields that begin with `@`.
struct ShownNote<'a>(&'a Note);

impl fmt::Display for ShownNote<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Note { node, class, tile } = self.0;
        if *node != u32::MAX {
            write!(f, " @node={node}")?;
        }
        if *class != Class::None {
            let class =
                CLASSES.iter().find(|(_, known)| known == class).map_or("", |(name, _)| name);
            write!(f, " @class={class}")?;
        }
        let Some(tile) = tile else { return Ok(()) };
        let TileNote { tensor, origin, extent, row, lane, row_stride, block_stride, plane_stride } =
            tile;
        write!(
            f,
            " @tile={tensor} @origin={} @extent={} @row={row}",
            joined(origin, ","),
            joined(extent, "x")
        )?;
        let strides = [
            ("lane", lane),
            ("row_stride", row_stride),
            ("block_stride", block_stride),
            ("plane_stride", plane_stride),
        ];
        for (name, value) in strides {
            if *value != 0 {
                write!(f, " @{name}={value}")?;
            }
        }
        Ok(())
    }
}

/// Bytes as lines of `.hex` and `.zeros`.
fn data(out: &mut String, bytes: &[u8]) -> fmt::Result {
    let mut rest = bytes;
    while !rest.is_empty() {
        let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
        if zeros >= ZERO_RUN {
            writeln!(out, "  .zeros {zeros}")?;
            rest = &rest[zeros..];
            continue;
        }
        let (line, tail) = rest.split_at(hex_len(rest));
        rest = tail;
        out.push_str("  .hex ");
        for (i, byte) in line.iter().enumerate() {
            if i > 0 && i.is_multiple_of(8) {
                out.push(' ');
            }
            let [high, low] = [byte >> 4, byte & 15]
                .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
            out.extend([high, low]);
        }
        out.push('\n');
    }
    Ok(())
}

/// Bytes of the next line of `.hex`: up to the next long run of zeros.
fn hex_len(bytes: &[u8]) -> usize {
    let longest = bytes.len().min(HEX_BYTES);
    (1..longest)
        .find(|&at| {
            bytes.get(at..at + ZERO_RUN).is_some_and(|run| run.iter().all(|&byte| byte == 0))
        })
        .unwrap_or(longest)
}

/// Bytes as lines of `.text` if they are a text, else as data.
fn blob_lines(out: &mut String, bytes: &[u8]) -> fmt::Result {
    let is_plain = |text: &&str| text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t');
    match std::str::from_utf8(bytes).ok().filter(is_plain) {
        Some(text) => {
            text.split_inclusive('\n').try_for_each(|line| writeln!(out, "  .text {}", json(&line)))
        }
        None => data(out, bytes),
    }
}

fn joined(list: &[u32], separator: &str) -> String {
    let texts: Vec<String> = list.iter().map(u32::to_string).collect();
    texts.join(separator)
}
