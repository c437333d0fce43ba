//! A graph whose sums a machine's accumulators might not hold is no program for it, wherever the graph came from: our own quantization sees to
//! the widths, a graph read from text or from a program may not.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use compiler::backend::{BackendError, generate};
use compiler::validate::{Problem, validate};
use ir::qgraph::QGraph;
use isa::Hardware;

/// Sums of up to 2,155,806,719: 33 bits.
const CONV: &str = r#"qgraph "g" rounding=half-even (%v0: i16[1, 1, 2] scale=1.0 zero_point=0 onnx_shape=[1, 2, 1, 1] perm=[0, 2, 3, 1]) -> (%v1) {
  %v1: i16[1, 1, 1] scale=1.0 zero_point=0 onnx_shape=[1, 1, 1, 1] perm=[0, 2, 3, 1] = conv "c"(%v0) onnx="Conv" kernel=[1, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1 oc=1 ic=2 bits=8 weights=0x7f81 bias=[2147483647] multipliers=[8388608] shifts=[40] lo=-32768 hi=32767
}
"#;

/// Sums of 256 values of up to 255: 17 bits.
const POOL: &str = r#"qgraph "g" rounding=half-even (%v0: i8[16, 16, 1] scale=1.0 zero_point=-128 onnx_shape=[1, 1, 16, 16] perm=[0, 2, 3, 1]) -> (%v1) {
  %v1: i8[1, 1, 1] scale=1.0 zero_point=-128 onnx_shape=[1, 1, 1, 1] perm=[0, 2, 3, 1] = average_pool "p"(%v0) onnx="AveragePool" kernel=[16, 16] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] multipliers=[8388608] shifts=[31] lo=-128 hi=127
}
"#;

fn with(acc_bits: u32) -> Hardware {
    Hardware { acc_bits, ..Hardware::default() }
}

#[test]
fn sums_too_wide_for_the_machine_are_refused_with_the_width_that_would_do() {
    for (text, narrow, wide) in [(CONV, 32, 33), (POOL, 16, 17)] {
        let graph: QGraph = text.parse().unwrap();
        match generate(&graph, &with(narrow), Default::default()) {
            Err(error @ BackendError::Sums { bits, .. }) => {
                assert_eq!(bits, wide);
                assert!(error.to_string().contains(&format!("--set acc_bits={wide}")), "{error}");
            }
            other => panic!("{other:?}"),
        }
        let mut program = generate(&graph, &with(wide), Default::default()).unwrap();
        assert_eq!(validate(&program, &graph), []);
        // The same words on a machine with narrower accumulators.
        program.hardware.acc_bits = narrow;
        let findings = validate(&program, &graph);
        assert!(matches!(findings[0].problem, Problem::Sum(_)), "{findings:?}");
    }
}
