//! Hardware files: TOML in, the same TOML out. The same text as `--set` takes it, line by line.

use isa::Hardware;
use isa::hardware::PRESETS;

use crate::{Target, mutate};

pub(super) const TARGET: Target =
    Target { name: "hardware", run, seeds, mutate: mutate::text, dictionary };

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut set = Hardware::default();
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let _ = set.set(name.trim(), value.trim()).map_err(|error| error.to_string());
    }
    let _ = set.validate().map_err(|error| error.to_string());
    match Hardware::from_toml(text) {
        Err(error) => drop(error.to_string()),
        Ok(machine) => {
            let written = machine.to_toml();
            assert_eq!(
                Hardware::from_toml(&written).as_ref(),
                Ok(&machine),
                "what is written reads back"
            );
            assert!(machine.validate().is_ok(), "what is read is a machine");
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let presets = PRESETS.iter().filter_map(|name| Hardware::preset(name));
    let mut seeds: Vec<Vec<u8>> = presets.map(|machine| machine.to_toml().into_bytes()).collect();
    seeds.push(
        b"# comment\narray_rows = 8\narray_cols = 0x10\n[table]\nrounding = \"half-up\"\n".to_vec(),
    );
    seeds
}

fn dictionary() -> Vec<String> {
    Hardware::names()
        .map(str::to_owned)
        .chain(["half-even", "half-up", "half-away", "floor"].map(str::to_owned))
        .collect()
}
