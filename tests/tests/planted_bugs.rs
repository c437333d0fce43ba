//! Planted bugs: programs broken in one place, the way a bug in the compiler or the simulator would break them. The checks that guard the
//! real programs (verifier, comparison with the host, adversarial orders) must catch every one.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it saw"
)]

use ir::qgraph::QGraph;
use isa::inst::{Engine, Op};
use isa::numerics::Rounding;
use isa::{Hardware, Program};
use qcc_tests::generate::{inputs, network};
use qcc_tests::machines::tiny;
use qcc_tests::oracle::{How, compare, host};
use rand::SeedableRng;
use runtime::Path;
use simulator::exec::Kernels;

/// Random networks that each bug is tried on.
const NETWORKS: u64 = 60;

/// A bug: changes a program in one place, or says that there is no such place.
type Plant = fn(&mut Program) -> bool;

/// Changes the last word of an engine that `f` can change (the first often feeds values that a clamp hides).
fn change(program: &mut Program, engine: Engine, f: impl Fn(&mut Op) -> bool) -> bool {
    program.code[engine as usize].words.iter_mut().rev().any(|inst| f(&mut inst.op))
}

fn swapped_columns(program: &mut Program) -> bool {
    change(program, Engine::Mxu, |op| match op {
        Op::MxuConv(c) => {
            c.wgt += 1;
            true
        }
        _ => false,
    })
}

fn off_by_one_pad(program: &mut Program) -> bool {
    change(program, Engine::Mxu, |op| match op {
        Op::MxuConv(c) if c.iy0 < 0 => {
            c.iy0 += 1;
            true
        }
        _ => false,
    })
}

fn wrong_pad_value(program: &mut Program) -> bool {
    change(program, Engine::Mxu, |op| match op {
        Op::MxuKernel(k) if k.kh > 1 && k.pad < 100 => {
            k.pad += 20;
            true
        }
        _ => false,
    })
}

fn forgotten_accumulate(program: &mut Program) -> bool {
    change(program, Engine::Mxu, |op| match op {
        Op::MxuConv(c) if c.add => {
            c.add = false;
            true
        }
        _ => false,
    })
}

fn lost_block(program: &mut Program) -> bool {
    change(program, Engine::Mxu, |op| match op {
        Op::MxuConv(c) if c.blocks > 1 => {
            c.blocks -= 1;
            true
        }
        _ => false,
    })
}

fn wrong_stride(program: &mut Program) -> bool {
    change(program, Engine::Mxu, |op| match op {
        Op::MxuKernel(k) if k.sx > 1 => {
            k.sx -= 1;
            true
        }
        _ => false,
    })
}

fn wrong_dilation(program: &mut Program) -> bool {
    change(program, Engine::Mxu, |op| match op {
        Op::MxuKernel(k) if k.dy > 1 => {
            k.dy -= 1;
            true
        }
        _ => false,
    })
}

fn wrong_bank(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuDrain(d) => {
            d.bank ^= 1;
            true
        }
        _ => false,
    })
}

fn wrong_parameters(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuDrain(d) if d.base > 0 => {
            d.base -= 1;
            true
        }
        _ => false,
    })
}

fn forgotten_residual(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuDrain(d) if d.add => {
            d.add = false;
            true
        }
        _ => false,
    })
}

fn swapped_residual_multipliers(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuScale(s) if s.mb != 0 && s.ma != s.mb => {
            (s.ma, s.mb) = (s.mb, s.ma);
            true
        }
        _ => false,
    })
}

fn shift_off_by_one(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuScale(s) if s.shift > 1 => {
            s.shift -= 1;
            true
        }
        _ => false,
    })
}

fn wrong_zero_point(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuQuant(q) => {
            q.zero0 += 1;
            q.zero1 += 1;
            true
        }
        _ => false,
    })
}

fn depthwise_origin(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuDepthwise(d) => {
            d.ix0 -= 1;
            true
        }
        _ => false,
    })
}

fn average_by_wrong_count(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuKernel(k) if k.by_count => {
            k.by_count = false;
            true
        }
        _ => false,
    })
}

fn smaller_for_larger(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuMax(m) => {
            m.least = !m.least;
            true
        }
        _ => false,
    })
}

fn slopes_of_another_slot(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuPrelu(p) => {
            p.slot ^= 1;
            true
        }
        _ => false,
    })
}

/// The pivot of a leaky ReLU, or the zero point of another operand.
fn wrong_operand_zero_point(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuScale(s) => {
            s.za += 1;
            true
        }
        _ => false,
    })
}

fn wrong_table(program: &mut Program) -> bool {
    change(program, Engine::Load, |op| match op {
        Op::LoadTable(t) => {
            t.src += 1;
            true
        }
        _ => false,
    })
}

fn lane_off_by_one(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuMove(m) if m.src_lane > 0 => {
            m.src_lane -= 1;
            true
        }
        _ => false,
    })
}

fn short_load(program: &mut Program) -> bool {
    change(program, Engine::Load, |op| match op {
        Op::LoadGeom(g) if g.rows > 1 => {
            g.rows -= 1;
            true
        }
        _ => false,
    })
}

fn misplaced_store(program: &mut Program) -> bool {
    change(program, Engine::Store, |op| match op {
        Op::Store(s) => {
            s.dst += 1;
            true
        }
        _ => false,
    })
}

/// Removes a wait and the signal that served it.
fn dropped_wait(program: &mut Program) -> bool {
    let (producer, consumer) = (Engine::Load, Engine::Mxu);
    let served = |p: &Program, e: Engine| -> Vec<usize> {
        let words = &p.section(e).words;
        let uses = |i: &usize| {
            if e == producer {
                words[*i].signal.contains(consumer)
            } else {
                words[*i].wait.contains(producer)
            }
        };
        (0..words.len()).filter(uses).collect()
    };
    let (signals, waits) = (served(program, producer), served(program, consumer));
    let (Some(&signal), Some(&wait)) = (signals.first(), waits.first()) else { return false };
    program.code[producer as usize].words[signal].signal.remove(consumer);
    program.code[consumer as usize].words[wait].wait.remove(producer);
    true
}

/// Removes a signal alone.
fn dropped_signal(program: &mut Program) -> bool {
    let words = &mut program.code[Engine::Mxu as usize].words;
    words
        .iter_mut()
        .find(|w| w.signal.contains(Engine::Vpu))
        .map(|w| w.signal.remove(Engine::Vpu))
        .is_some()
}

/// The lanes behind the last channel of an operand that rests in the array.
fn uncleared_lanes(program: &mut Program) -> bool {
    change(program, Engine::Vpu, |op| match op {
        Op::VpuFill(f) if f.dst_lane > 0 && f.value == 0 => {
            f.value = 101;
            true
        }
        _ => false,
    })
}

/// A tie rounded up instead of to even.
fn wrong_rounding_tie(program: &mut Program) -> bool {
    let even = program.hardware.rounding == Rounding::HalfEven;
    program.hardware.rounding = Rounding::HalfUp;
    even
}

/// The lowest bit of a weight.
fn flipped_weight_bit(program: &mut Program) -> bool {
    program.constants.first_mut().map(|b| *b ^= 1).is_some()
}

const BUGS: &[(&str, Plant)] = &[
    ("swapped columns", swapped_columns),
    ("off-by-one pad", off_by_one_pad),
    ("wrong pad value", wrong_pad_value),
    ("forgotten accumulate", forgotten_accumulate),
    ("lost channel block", lost_block),
    ("wrong stride", wrong_stride),
    ("wrong dilation", wrong_dilation),
    ("wrong accumulator bank", wrong_bank),
    ("parameters of another channel", wrong_parameters),
    ("forgotten residual", forgotten_residual),
    ("swapped residual multipliers", swapped_residual_multipliers),
    ("shift off by one", shift_off_by_one),
    ("wrong zero point", wrong_zero_point),
    ("depthwise origin off by one", depthwise_origin),
    ("average by the wrong count", average_by_wrong_count),
    ("smaller for larger", smaller_for_larger),
    ("slopes of another slot", slopes_of_another_slot),
    ("wrong zero point of an operand", wrong_operand_zero_point),
    ("table off by one byte", wrong_table),
    ("lane off by one", lane_off_by_one),
    ("load one row short", short_load),
    ("misplaced store", misplaced_store),
    ("uncleared lanes", uncleared_lanes),
    ("dropped wait", dropped_wait),
    ("dropped signal", dropped_signal),
    ("wrong rounding tie", wrong_rounding_tie),
    ("flipped weight bit", flipped_weight_bit),
];

/// A compiled random network with its input.
struct Case {
    graph: QGraph,
    program: Program,
    input: Vec<Vec<i32>>,
    seed: u64,
}

fn cases() -> Vec<Case> {
    let make = |seed: u64| {
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let hw: Hardware = tiny(&mut rng);
        let (graph, _) = network(&mut rng, &hw);
        let program = compiler::backend::generate(&graph, &hw, Default::default()).ok()?;
        let input = inputs(&mut rng, &graph);
        Some(Case { graph, program, input, seed })
    };
    (1000..1000 + NETWORKS).filter_map(make).collect()
}

/// Whether any check notices that the program is not the one compiled.
fn caught(case: &Case, broken: &Program) -> bool {
    if !broken.check().is_empty() || !isa::verify::verify(broken).is_empty() {
        return true;
    }
    let expected = host(&case.graph, &case.input, Path::Plain).unwrap();
    [None, Some(case.seed), Some(case.seed + 1)].into_iter().any(|adversarial| {
        compare(
            &case.graph,
            broken,
            &case.input,
            &expected,
            How { kernels: Kernels::Fast, adversarial },
        )
        .is_err()
    })
}

#[test]
fn every_planted_bug_is_caught() {
    let cases = cases();
    let mut missed = Vec::new();
    for (name, plant) in BUGS {
        let (mut planted, mut found) = (0, 0);
        for case in &cases {
            let mut broken = case.program.clone();
            if plant(&mut broken) {
                planted += 1;
                found += usize::from(caught(case, &broken));
            }
        }
        println!("{name}: planted in {planted} programs, caught in {found}");
        if found == 0 {
            missed.push(*name);
        }
    }
    assert!(missed.is_empty(), "not caught anywhere: {missed:?}");
}

#[test]
fn sound_programs_are_not_accused() {
    for case in cases() {
        assert!(!caught(&case, &case.program), "seed {}", case.seed);
    }
}
