//! Writes random networks as program files with input and expected output, for `tests/independent`.
//!
//! usage: `cargo run -p qcc-tests --example write_networks -- FOLDER COUNT`
//!
//! Case `n` is `n.bin` and `n.json`: `{"inputs": [[..], ..], "outputs": [[..], ..]}`, stored integers in `[h, w, c]` order. The outputs
//! are the host runtime's; the simulator has no part in them.

use std::path::Path;

use qcc_tests::generate::{inputs, network};
use qcc_tests::machines::tiny;
use qcc_tests::oracle::host;
use rand::SeedableRng;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count] = arguments.as_slice() else {
        return Err("usage: write_networks FOLDER COUNT".to_owned());
    };
    let count = count.parse().map_err(|error| format!("`{count}`: {error}"))?;
    write(Path::new(folder), count)
}

/// Writes the first `count` random networks that fit their machine.
fn write(folder: &Path, count: usize) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut written = 0;
    for seed in 0.. {
        if written == count {
            break;
        }
        let mut rng = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
        let hw = tiny(&mut rng);
        let (graph, _) = network(&mut rng, &hw);
        let Ok(program) = compiler::backend::generate(&graph, &hw, Default::default()) else {
            continue;
        };
        let x = inputs(&mut rng, &graph);
        let values = host(&graph, &x, runtime::Path::Plain)?;
        let outputs: Vec<Vec<i32>> = graph
            .outputs
            .iter()
            .map(|v| &values[v.0 as usize])
            .map(|tensor| (0..tensor.len()).map(|i| tensor.get(i)).collect())
            .collect();
        let text = serde_json::json!({ "inputs": x, "outputs": outputs }).to_string();
        let bytes = program.to_bytes().map_err(|error| error.to_string())?;
        let file = |extension: &str, contents: &[u8]| {
            let path = folder.join(format!("{seed:04}.{extension}"));
            std::fs::write(&path, contents).map_err(|error| format!("{}: {error}", path.display()))
        };
        file("bin", &bytes)?;
        file("json", text.as_bytes())?;
        written += 1;
    }
    Ok(())
}
