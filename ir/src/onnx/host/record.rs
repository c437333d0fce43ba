//! Gathering the nodes of a part while a file is imported.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message;

use crate::onnx::integers::IntType;
use crate::onnx::order::needed_nodes;
use crate::onnx::proto::{
    DataType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use crate::onnx::write::put_elements;
use crate::tensor::{DType, Data, Tensor};

/// Which end of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::onnx) enum Side {
    /// In front: made of integer inputs.
    Head,
    /// Behind: made of positions that index work finds.
    Tail,
}

/// The nodes of a part so far.
#[derive(Default)]
pub(in crate::onnx) struct Recording {
    nodes: Vec<NodeProto>,
    constants: BTreeMap<String, TensorProto>,
}

impl Recording {
    /// Adds a node, whose operands have the names that the part knows them by.
    pub(in crate::onnx) fn push(&mut self, node: NodeProto) {
        self.nodes.push(node);
    }

    /// Whether nothing was recorded.
    pub(in crate::onnx) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a constant under a name, unless it is there.
    pub(in crate::onnx) fn constant(&mut self, name: &str, tensor: &Tensor, int: Option<IntType>) {
        self.constants.entry(name.to_owned()).or_insert_with(|| stored(name, tensor, int));
    }

    /// The bytes of a model of the nodes that `outputs` need.
    pub(in crate::onnx) fn finish(
        self,
        opset: i64,
        inputs: Vec<ValueInfoProto>,
        outputs: Vec<ValueInfoProto>,
    ) -> Bytes {
        let mut graph = GraphProto {
            name: "host".to_owned(),
            node: self.nodes,
            input: inputs,
            output: outputs,
            ..GraphProto::default()
        };
        // The nodes stand in topological order already, so that this finds those needed and no circle.
        if let Ok(needed) = needed_nodes(&graph) {
            let needed: BTreeSet<usize> = needed.into_iter().collect();
            let mut index = 0;
            graph.node.retain(|_| {
                index += 1;
                needed.contains(&(index - 1))
            });
        }
        let read: BTreeSet<&String> = graph.node.iter().flat_map(|node| &node.input).collect();
        let constants = self.constants.into_iter().filter(|(name, _)| read.contains(name));
        graph.initializer = constants.map(|(_, tensor)| tensor).collect();
        let model = ModelProto {
            ir_version: 8,
            producer_name: "qcc".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
            graph: Some(graph),
            ..ModelProto::default()
        };
        model.encode_to_vec().into()
    }
}

fn stored(name: &str, tensor: &Tensor, int: Option<IntType>) -> TensorProto {
    let int32 = tensor.dtype() == DType::I64 && int == Some(IntType::INT32);
    let (data_type, raw) = match &tensor.data {
        Data::MappedF32(bytes) => (DataType::Float, bytes.clone()),
        Data::I64(values) if int32 => {
            let narrow = values.iter().map(|&v| i32::try_from(v).unwrap_or_default());
            (DataType::Int32, narrow.flat_map(i32::to_le_bytes).collect::<Vec<u8>>().into())
        }
        data => {
            let mut raw = Vec::new();
            put_elements(&mut raw, data);
            let data_type = match data.dtype() {
                DType::F32 => DataType::Float,
                DType::I64 => DataType::Int64,
                DType::Bool => DataType::Bool,
            };
            (data_type, raw.into())
        }
    };
    TensorProto {
        name: name.to_owned(),
        dims: tensor.shape.iter().map(|&extent| extent as i64).collect(),
        data_type: data_type as i32,
        raw_data: Some(raw),
        ..TensorProto::default()
    }
}
