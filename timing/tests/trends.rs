//! What must hold of any sensible machine: more bandwidth and less latency do not hurt a pipeline, and no program beats its bounds.

mod common;

use common::{Layer, layers};
use isa::{Engine, Hardware, Program};
use timing::{Bucket, Mode, Timing, run};

fn event(program: &Program) -> Timing {
    run(program, Mode::Event).expect("the program is legal and ends")
}

/// Totals of one layer while `set` varies the machine.
fn totals(values: &[u32], set: fn(&mut Hardware, u32)) -> Vec<u64> {
    let total = |&value: &u32| {
        let mut hardware = Hardware::default();
        set(&mut hardware, value);
        event(&layers(hardware, &Layer { tiles: 12, kernel: 2, blocks: 2, side: 7 })).total_cycles
    };
    values.iter().map(total).collect()
}

#[test]
fn more_bandwidth_does_not_hurt_and_helps_where_it_is_scarce() {
    let totals =
        totals(&[1, 2, 4, 8, 16, 32, 64, 128, 256], |hw, bytes| hw.dram_bytes_per_cycle = bytes);
    assert!(totals.is_sorted_by(|slow, fast| slow >= fast), "{totals:?}");
    assert!(totals[0] > 3 * totals[2], "{totals:?}");
}

#[test]
fn more_latency_does_not_help() {
    let totals = totals(&[0, 10, 50, 100, 300, 1000], |hw, cycles| hw.dram_latency_cycles = cycles);
    assert!(totals.is_sorted(), "{totals:?}");
}

#[test]
fn more_outstanding_bursts_do_not_hurt() {
    let totals = totals(&[1, 2, 4, 8, 16, 64], |hw, bursts| hw.dram_outstanding = bursts);
    assert!(totals.is_sorted_by(|few, many| few >= many), "{totals:?}");
    assert!(totals[0] > 4 * totals[5], "{totals:?}");
}

#[test]
fn no_program_beats_its_bandwidth_or_its_array() {
    for kernel in 1..4 {
        let program = layers(Hardware::default(), &Layer { tiles: 9, kernel, blocks: 3, side: 9 });
        let timing = event(&program);
        let moved: u64 =
            timing.traffic.values().map(|traffic| traffic.read_bytes + traffic.write_bytes).sum();
        assert!(timing.total_cycles >= moved / u64::from(program.hardware.dram_bytes_per_cycle));
        let mxu = &timing.engines[Engine::Mxu.index()];
        let side = u64::from(9 - kernel + 1);
        // Folds times pixels of nine tiles, two register words, nine `sync`; words behind an unfinished convolution do not count.
        let streams = 9 * u64::from(kernel * kernel) * 3 * side * side;
        assert!(
            (streams..=streams + 11).contains(&mxu[Bucket::Busy]),
            "{} of {streams}",
            mxu[Bucket::Busy]
        );
    }
}

#[test]
fn layer_cycles_sum_to_the_total() {
    let mut program =
        layers(Hardware::default(), &Layer { tiles: 9, kernel: 3, blocks: 2, side: 8 });
    // Three nodes: the tiles alternate between the first and the last; the middle one has no instruction.
    program.nodes = vec![program.nodes[0].clone(); 3];
    for section in &mut program.code {
        let tiles = section.notes.iter_mut().filter(|note| note.node == 0);
        tiles.enumerate().filter(|(i, _)| i % 2 == 1).for_each(|(_, note)| note.node = 2);
    }
    let timing = event(&program);
    assert_eq!(timing.layers.iter().map(|layer| layer.cycles).sum::<u64>(), timing.total_cycles);
    assert_eq!((timing.layers[1].cycles, timing.layers[1].span), (0, None));
    let last = timing.layers[2].span.unwrap();
    assert!(last.first_issue < timing.layers[0].span.unwrap().finish, "the nodes overlap");
}
