//! The last cycle that is simulated.

use isa::instructions::{Halt, VpuIn, VpuKernel, VpuOut, VpuPool};
use isa::program::{Note, Section};
use isa::{Engine, Hardware, Inst, Op};
use timing::{InstRef, MAX_CYCLES, Mode, TimingError, run};

use crate::program::assemble;

#[test]
fn a_program_beyond_the_last_cycle_is_refused_at_once() {
    // 32 * 32 results of 2048 * 2048 taps, one tap and one lane of 256 a cycle: 2^40 cycles, but they do not start in cycle 0.
    let hardware = Hardware {
        array_rows: 256,
        vector_lanes: 1,
        depthwise_taps: 1,
        scratchpad_kib: 512,
        vpu_pipeline_cycles: 0,
        ..Hardware::default()
    };
    let input =
        VpuIn { page: 0, h: 1, w: 1, row_stride: 1, block_stride: 1, plane_stride: 0, wide: false };
    let out = VpuOut { page: 0, row_stride: 32, block_stride: 1024, plane_stride: 0, wide: false };
    let kernel = VpuKernel {
        page: 0,
        kh: 2048,
        kw: 2048,
        sy: 1,
        sx: 1,
        dy: 1,
        dx: 1,
        pad: 0,
        weights: 0,
        by_count: false,
    };
    let pool = VpuPool {
        page: 0,
        a: 2000,
        dst: 0,
        th: 32,
        tw: 32,
        iy0: -100,
        ix0: -100,
        blocks: 1,
        slot: 0,
        base: 0,
        average: false,
    };
    let mut code: [Section; 4] = Default::default();
    code[Engine::Vpu.index()].words = [Op::from(input), out.into(), kernel.into(), pool.into()]
        .map(|op| Inst::new(Engine::Vpu, op))
        .into();
    for (engine, section) in Engine::ALL.into_iter().zip(&mut code) {
        section.words.push(Inst::new(engine, Halt {}));
        section.notes = vec![Note { node: u32::MAX, ..Note::default() }; section.words.len()];
    }
    let program = assemble(hardware, 0, code);
    let error =
        TimingError::TooLong { inst: InstRef { engine: Engine::Vpu, index: 3 }, limit: MAX_CYCLES };
    for mode in [Mode::Stepped, Mode::Event] {
        assert_eq!(run(&program, mode), Err(error.clone()));
    }
}
