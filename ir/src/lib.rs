//! What a network is: ONNX in and out, float graph, integer graph, text forms.

pub mod graph;
pub mod infer;
pub mod onnx;
pub mod qgraph;
pub mod tensor;
pub mod verify;
