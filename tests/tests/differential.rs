//! Random networks on random tiny machines: the host runtime (plain and fast), the simulator (fast, plain loops, adversarial order) and the
//! static verifier must agree. The same for random float networks through the whole compiler. `cargo run --release -p qcc-tests --bin networks` goes on with other seeds.
#![allow(clippy::print_stdout, reason = "a test says what it saw")]

use qcc_tests::case::{Case, Verdict};
use qcc_tests::choices::Choices;
use qcc_tests::generate::Features;

/// Cases that must compile, of all.
const CASES: u64 = 700;

/// What must occur, and how often at least.
const FEATURES: &[&str] = &[
    "Conv",
    "Add",
    "Mul",
    "Rescale",
    "MaxPool",
    "AveragePool",
    "Lut8",
    "Lut16",
    "Max",
    "Min",
    "PRelu",
    "local response normalization",
    "MatMul",
    "16-bit product",
    "shared columns",
    "product of a product",
    "Softmax",
    "Concat",
    "Pad",
    "Interpolate",
    "interpolate axis 0",
    "interpolate axis 1",
    "doubled",
    "Reorder",
    "Gather",
    "slice",
    "reversed",
    "resized",
    "edge",
    "reflected",
    "concat of many",
    "shuffled channels",
    "depth to space",
    "space to depth",
    "transposed pixels",
    "transposed",
    "flattened",
    "crossing axes",
    "depthwise",
    "channel multiplier",
    "grouped",
    "residual",
    "broadcast",
    "stride 1",
    "stride 2",
    "stride 3",
    "dilation 1",
    "dilation 2",
    "padding",
    "asymmetric padding",
    "several folds",
    "16-bit input",
    "2-bit weights",
    "3-bit weights",
    "4-bit weights",
    "5-bit weights",
    "6-bit weights",
    "7-bit weights",
    "8-bit weights",
];

/// Random float networks.
const FLOAT_CASES: u64 = 250;

/// What must occur in them, as integer operators and otherwise.
const FLOAT_FEATURES: &[&str] = &[
    "quantized conv",
    "quantized add",
    "quantized mul",
    "quantized max_pool",
    "quantized average_pool",
    "quantized lut8",
    "quantized gather",
    "quantized concat",
    "i8 to i16",
    "i16 to i8",
    "batch_norm",
    "conv_transpose",
    "interpolate",
    "lrn",
    "matmul",
    "prelu",
    "transpose",
];

#[derive(Default)]
struct Tally {
    equal: u64,
    counts: Features,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, seed: u64, case: Result<Option<(Case, Features)>, String>) {
        let verdict = case.and_then(|case| match case {
            None => Ok(None),
            Some((case, features)) => Ok((case.check()? == Verdict::Equal).then_some(features)),
        });
        match verdict {
            Err(e) => self.failures.push(format!("seed {seed}: {e}")),
            Ok(None) => {}
            Ok(Some(features)) => {
                self.equal += 1;
                for (name, n) in features {
                    *self.counts.entry(name).or_insert(0) += n;
                }
            }
        }
    }

    /// Demands that nothing failed and that each feature occurred at least `least` times.
    fn demand(&self, cases: u64, features: &[&str], least: usize) {
        println!("{} of {cases} networks compiled; they held {:?}", self.equal, self.counts);
        let first: Vec<&str> = self.failures.iter().take(10).map(String::as_str).collect();
        assert!(
            first.is_empty(),
            "{} of {cases} cases failed, first:\n{}",
            self.failures.len(),
            first.join("\n")
        );
        for &feature in features {
            let found = self.counts.get(feature).copied().unwrap_or(0);
            assert!(found >= least, "`{feature}` occurs only {found} times");
        }
    }
}

#[test]
fn machine_equals_host_on_random_networks() {
    let mut tally = Tally::default();
    for seed in 0..CASES {
        tally.add(seed, Ok(Some(Case::integer(&mut Choices::random(seed)))));
    }
    tally.demand(CASES, FEATURES, 20);
    assert!(tally.equal * 10 >= CASES * 9, "only {} of {CASES} networks compiled", tally.equal);
}

#[test]
fn machine_equals_host_on_what_the_compiler_makes_of_random_float_networks() {
    let mut tally = Tally::default();
    for seed in 0..FLOAT_CASES {
        tally.add(seed, Case::float(&mut Choices::random(seed)));
    }
    tally.demand(FLOAT_CASES, FLOAT_FEATURES, 10);
    assert!(
        tally.equal * 2 >= FLOAT_CASES,
        "only {} of {FLOAT_CASES} networks compiled",
        tally.equal
    );
}

/// Every case that once failed (`tests/regressions`, named after the defect) holds.
#[test]
fn what_failed_once_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/regressions");
    for entry in std::fs::read_dir(folder).expect("the folder is in the repository") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_some_and(|e| e == "case") {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            let case: Case = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            case.check().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        }
    }
}
