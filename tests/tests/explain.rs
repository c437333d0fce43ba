//! Every layer of random programs: its cycles are told once each, in the buckets that the report has, down to the bound.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use isa::Program;
use qcc_tests::generate::network;
use qcc_tests::machines::tiny;
use rand::SeedableRng;
use simulator::explain::Explanation;
use simulator::report::{Buckets, ProgramFile, Report};

/// Random networks that must compile.
const NETWORKS: usize = 100;

/// Sums of all layers, or what does not add up. Returns how many layers there were.
fn check(program: &Program) -> Result<usize, String> {
    let file = ProgramFile::default();
    let explanation =
        Explanation::new(program, &program.hardware, &file).map_err(|e| e.to_string())?;
    let timing = timing::run(program, timing::Mode::Event).map_err(|e| e.to_string())?;
    let report =
        Report::new(program, &program.hardware, &file, &timing).map_err(|e| e.to_string())?;
    let mut windows = vec![[0; Buckets::COUNT]; 4];
    for (layer, expected) in explanation.layers.iter().zip(&report.layers) {
        if &layer.report != expected {
            return Err(format!("layer {} differs from the report", layer.number));
        }
        let signed = expected.cycles as i64;
        let told: i64 = layer.gap.parts().map(|(_, cycles)| cycles).sum();
        if told + layer.gap.lower_bound as i64 != signed {
            return Err(format!("{signed} cycles told as {:?}", layer.gap));
        }
        if layer.gap.mapping < 0 || layer.gap.overlapped > 0 {
            return Err(format!("faster than its multiplications allow: {:?}", layer.gap));
        }
        for ((engine, buckets), sums) in layer.window.iter().zip(&mut windows) {
            let parts = buckets.parts();
            if parts.iter().map(|(_, cycles)| cycles).sum::<u64>() != expected.cycles {
                return Err(format!("{engine} in layer {}: {parts:?}", layer.number));
            }
            sums.iter_mut().zip(parts).for_each(|(sum, (_, cycles))| *sum += cycles);
        }
    }
    for ((engine, whole), sums) in report.cycles.engines.iter().zip(&windows) {
        if whole.parts().map(|(_, cycles)| cycles) != *sums {
            return Err(format!("{engine}: layers have {sums:?}, the run {whole:?}"));
        }
    }
    let needed: u64 = report.layers.iter().map(|layer| layer.lower_bound.dram_bytes).sum();
    if needed != report.traffic.lower_bound_bytes {
        return Err(format!("layers need {needed} bytes, the whole {:?}", report.traffic));
    }
    Ok(report.layers.len())
}

#[test]
fn random_networks() {
    let (mut networks, mut layers) = (0, 0);
    for seed in 0.. {
        if networks == NETWORKS {
            break;
        }
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let hw = tiny(&mut rng);
        let (graph, _) = network(&mut rng, &hw);
        let Ok(program) = compiler::backend::generate(&graph, &hw, Default::default()) else {
            continue;
        };
        layers += check(&program).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        networks += 1;
    }
    assert!(layers >= 2 * NETWORKS, "{layers}");
}
