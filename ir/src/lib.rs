//! What a network is: ONNX in and out, float graph, integer graph, text forms.

mod dot;
pub mod function;
pub mod graph;
pub mod indices;
pub mod infer;
pub mod onnx;
pub mod proof;
pub mod qgraph;
pub mod quantized;
pub mod tensor;
#[cfg(test)]
mod testing;
pub mod text;
pub mod verify;
