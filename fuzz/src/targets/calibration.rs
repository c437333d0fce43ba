//! Calibration tables: read, written and read again, and used to quantize a small network.

use std::sync::OnceLock;

use compiler::calibrate::Calibration;
use compiler::compile::Network;
use compiler::options::Options;
use isa::Hardware;

use super::networks;
use crate::{Target, mutate};

pub(super) const TARGET: Target =
    Target { name: "calibration", run, seeds, mutate: mutate::text, dictionary };

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let table = match Calibration::from_json(text) {
        Err(error) => return drop(error.to_string()),
        Ok(table) => table,
    };
    assert_eq!(
        Calibration::from_json(&table.to_json()).ok().as_ref(),
        Some(&table),
        "what is written reads back"
    );
    for act_bits in [8, 16] {
        let options = Options { act_bits, ..Options::default() };
        match network().quantize(&table, &options, &Hardware::default()) {
            Err(error) => drop(error.to_string()),
            Ok(graph) => {
                assert_eq!(graph.verify(), Ok(()), "what is quantized is sound");
                super::run::graph(&graph, 1);
            }
        }
    }
}

fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| {
        Network::new(networks::float_graph()).expect("the network can be quantized")
    })
}

fn seeds() -> Vec<Vec<u8>> {
    let table = network()
        .calibrate_without_data(&Options::default())
        .expect("the network can be calibrated");
    vec![table.to_json().into_bytes()]
}

fn dictionary() -> Vec<String> {
    let names = network().graph.values.iter().map(|value| value.name.clone());
    ["format", "method", "samples", "ranges", "lo", "hi"]
        .map(str::to_owned)
        .into_iter()
        .chain(names)
        .collect()
}
