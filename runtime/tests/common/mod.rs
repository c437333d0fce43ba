//! Small integer graphs for the tests.
#![allow(dead_code, reason = "every test file compiles this module and uses a part of it")]

use ir::qgraph::{Bounds, Hwc, QGraph, QNode, QOp, QType, QValue, QWeights, ValueId, View, Window};
use isa::numerics::{Requant, Rounding};
use runtime::{Path, Prepared, QData, QTensor, run, run_all};

/// A value of scale 1 whose ONNX form is `[h, w, c]` itself.
pub(crate) fn value([h, w, c]: [usize; 3], dtype: QType, zero_point: i32) -> QValue {
    QValue {
        name: String::new(),
        shape: Hwc { h, w, c },
        dtype,
        scale: 1.0,
        zero_point,
        view: View { onnx_shape: vec![h, w, c], perm: vec![0, 1, 2] },
    }
}

/// A graph under construction: values get names `v0`, `v1`, ..., nodes `n0`, `n1`, ...
#[derive(Default)]
pub(crate) struct Builder(QGraph);

impl Builder {
    pub(crate) fn new(rounding: Rounding) -> Self {
        Self(QGraph { name: "test".into(), rounding, ..QGraph::default() })
    }

    fn add(&mut self, mut value: QValue) -> ValueId {
        value.name = format!("v{}", self.0.values.len());
        self.0.values.push(value);
        ValueId(self.0.values.len() as u32 - 1)
    }

    pub(crate) fn input(&mut self, value: QValue) -> ValueId {
        let id = self.add(value);
        self.0.inputs.push(id);
        id
    }

    pub(crate) fn node(&mut self, op: QOp, inputs: &[ValueId], output: QValue) -> ValueId {
        let output = self.add(output);
        let name = format!("n{}", self.0.nodes.len());
        let onnx_op = op.name().into();
        self.0.nodes.push(QNode { name, onnx_op, op, inputs: inputs.to_vec(), output });
        output
    }

    pub(crate) fn value(&self, id: ValueId) -> QValue {
        self.0.values[id.0 as usize].clone()
    }

    pub(crate) fn finish(mut self, outputs: &[ValueId]) -> QGraph {
        self.0.outputs = outputs.to_vec();
        self.0
    }
}

/// A graph of one node.
pub(crate) fn single(op: QOp, inputs: impl AsRef<[QValue]>, output: QValue) -> QGraph {
    single_rounded(op, inputs, output, Rounding::HalfEven)
}

/// A graph of one node with a rounding mode.
pub(crate) fn single_rounded(
    op: QOp,
    inputs: impl AsRef<[QValue]>,
    output: QValue,
    rounding: Rounding,
) -> QGraph {
    let mut builder = Builder::new(rounding);
    let ids: Vec<ValueId> =
        inputs.as_ref().iter().map(|value| builder.input(value.clone())).collect();
    let output = builder.node(op, &ids, output);
    builder.finish(&[output])
}

/// Int8 tensor.
pub(crate) fn bytes([h, w, c]: [usize; 3], data: &[i8]) -> QTensor {
    QTensor { shape: Hwc { h, w, c }, data: QData::I8(data.to_vec()) }
}

/// Int16 tensor.
pub(crate) fn words([h, w, c]: [usize; 3], data: &[i16]) -> QTensor {
    QTensor { shape: Hwc { h, w, c }, data: QData::I16(data.to_vec()) }
}

/// Runs both paths, demands that every value is equal, and returns the outputs.
pub(crate) fn run_both(graph: &QGraph, inputs: impl AsRef<[QTensor]>) -> Vec<QTensor> {
    let inputs = inputs.as_ref();
    let plain =
        run_all(graph, inputs, Path::Plain).expect("a well-formed graph and inputs that fit it");
    let prepared = Prepared::new(graph).expect("a well-formed graph and inputs that fit it");
    for ((value, plain), fast) in graph
        .values
        .iter()
        .zip(&plain)
        .zip(prepared.run_all(inputs).expect("a well-formed graph and inputs that fit it"))
    {
        assert_eq!(plain, &fast, "plain and fast differ in `{}`", value.name);
    }
    let outputs =
        run(graph, inputs, Path::Plain).expect("a well-formed graph and inputs that fit it");
    assert_eq!(outputs, prepared.run(inputs).expect("a well-formed graph and inputs that fit it"));
    // Once more, in memory that the run before has written to.
    assert_eq!(outputs, prepared.run(inputs).expect("inputs that have been accepted"));
    let expected: Vec<_> = graph.outputs.iter().map(|id| plain[id.0 as usize].clone()).collect();
    assert_eq!(outputs, expected);
    outputs
}

/// Runs a graph of one output on both paths and returns its elements.
pub(crate) fn elements(graph: &QGraph, inputs: impl AsRef<[QTensor]>) -> Vec<i32> {
    let output = run_both(graph, inputs).remove(0);
    (0..output.len()).map(|i| output.get(i)).collect()
}

/// A window of square numbers: kernel, stride, padding on all sides; no dilation.
pub(crate) fn window(kernel: usize, stride: usize, pad: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad: [pad; 4] }
}

/// The whole int8 range.
pub(crate) const INT8: Bounds = Bounds { lo: -128, hi: 127 };

/// The whole int16 range.
pub(crate) const INT16: Bounds = Bounds { lo: -32768, hi: 32767 };

/// Eight-bit weights of shape `[oc, kh, kw, ic]`.
pub(crate) fn weights([oc, kh, kw, ic]: [usize; 4], data: &[i8]) -> QWeights {
    QWeights { oc, kernel: [kh, kw], ic, bits: 8, data: data.to_vec() }
}

/// `multiplier / 2^shift`.
pub(crate) fn requant(multiplier: u32, shift: u8) -> Requant {
    Requant { multiplier, shift }
}
