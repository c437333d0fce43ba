//! EfficientNet-Lite0 from its weights, node by node, batch norm unfolded.
//!
//! The network is a stem, 16 inverted bottlenecks and a head. A bottleneck widens its channels (1x1), filters each of them (depthwise) and
//! narrows them again (1x1), and adds its input where the shapes allow; every convolution is followed by batch norm, all but the narrowing one
//! by a clip to 0..6. Windows are placed as TensorFlow's `SAME` padding does: an odd pixel of padding goes below and to the right.
//!
//! Source: M. Tan, Q. Le, "EfficientNet", 2019, table 1; the Lite variants drop squeeze-and-excitation, clip at 6 instead of swish, and keep stem
//! and head at their base width. Names of the weights: the PyPI package `efficientnet-lite-pytorch`.

use ir::graph::{Graph, Node, Op, Value, ValueId, Window};
use ir::infer::{Rule, infer};
use ir::tensor::{DType, Tensor};

use super::state_dict::StateDict;

/// Extent of the input image.
const IMAGE: usize = 224;
const STEM: usize = 32;
const FEATURES: usize = 1280;
const CLASSES: usize = 1000;
/// As trained in TensorFlow.
const EPSILON: f32 = 1e-3;

/// Bottlenecks of equal shape but for the first one's stride.
struct Stage {
    repeats: usize,
    kernel: usize,
    stride: usize,
    /// How many times wider the inner channels are.
    widening: usize,
    channels: usize,
}

const STAGES: [Stage; 7] = [
    Stage { repeats: 1, kernel: 3, stride: 1, widening: 1, channels: 16 },
    Stage { repeats: 2, kernel: 3, stride: 2, widening: 6, channels: 24 },
    Stage { repeats: 2, kernel: 5, stride: 2, widening: 6, channels: 40 },
    Stage { repeats: 3, kernel: 3, stride: 2, widening: 6, channels: 80 },
    Stage { repeats: 3, kernel: 5, stride: 1, widening: 6, channels: 112 },
    Stage { repeats: 4, kernel: 5, stride: 2, widening: 6, channels: 192 },
    Stage { repeats: 1, kernel: 3, stride: 1, widening: 6, channels: 320 },
];

/// The network, `input [1, 3, 224, 224]` to `logits [1, 1000]`.
///
/// # Errors
/// A weight that is missing, of another shape, or that no node uses.
pub(crate) fn lite0(weights: StateDict) -> Result<Graph, String> {
    let mut net =
        Builder { graph: Graph { name: "efficientnet_lite0".into(), ..Graph::default() }, weights };
    let mut x = net.value("input".into(), vec![1, 3, IMAGE, IMAGE], None);
    net.graph.inputs.push(x);
    x = net.conv(
        x,
        "stem",
        "_conv_stem",
        Conv { channels: STEM, kernel: 3, stride: 2, depthwise: false },
    )?;
    x = net.norm(x, "stem", "_bn0")?;
    x = net.clip(x, "stem")?;
    let mut index = 0;
    for stage in &STAGES {
        for repeat in 0..stage.repeats {
            x = net.bottleneck(x, index, stage, if repeat == 0 { stage.stride } else { 1 })?;
            index += 1;
        }
    }
    x = net.conv(
        x,
        "head",
        "_conv_head",
        Conv { channels: FEATURES, kernel: 1, stride: 1, depthwise: false },
    )?;
    x = net.norm(x, "head", "_bn1")?;
    x = net.clip(x, "head")?;
    x = net.node("pool", Op::ReduceMean { axes: vec![2, 3] }, vec![x], None)?;
    x = net.node("flatten", Op::Reshape, vec![x], Some(vec![1, FEATURES]))?;
    let w = net.weight("_fc.weight", &[CLASSES, FEATURES])?;
    let b = net.weight("_fc.bias", &[CLASSES])?;
    x = net.node("logits", Op::Dense, vec![x, w, b], None)?;
    net.graph.outputs.push(x);
    net.finish()
}

/// Shape of a convolution.
#[derive(Clone, Copy)]
struct Conv {
    /// Channels of the result.
    channels: usize,
    kernel: usize,
    stride: usize,
    depthwise: bool,
}

struct Builder {
    graph: Graph,
    /// Weights that are not used yet.
    weights: StateDict,
}

impl Builder {
    fn value(&mut self, name: String, shape: Vec<usize>, constant: Option<Tensor>) -> ValueId {
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value { name, dtype: DType::F32, shape, constant });
        id
    }

    fn shape(&self, value: ValueId) -> &[usize] {
        &self.graph.values[value.0 as usize].shape
    }

    fn weight(&mut self, name: &str, shape: &[usize]) -> Result<ValueId, String> {
        let tensor = self.weights.remove(name).ok_or_else(|| format!("no weights `{name}`"))?;
        if tensor.shape != shape || tensor.dtype() != DType::F32 {
            let found = (tensor.dtype().name(), &tensor.shape);
            return Err(format!("weights `{name}` are {found:?}, expected {shape:?} of f32"));
        }
        Ok(self.value(name.to_owned(), shape.to_vec(), Some(tensor)))
    }

    /// A node and its result of the same name. `shape` says what the operator leaves open.
    fn node(
        &mut self,
        name: &str,
        op: Op,
        inputs: Vec<ValueId>,
        shape: Option<Vec<usize>>,
    ) -> Result<ValueId, String> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&id| self.shape(id)).collect();
        let rule = infer(&op, &shapes).map_err(|e| format!("node `{name}`: {e}"))?;
        let shape = match (rule, shape) {
            (Rule::Exact(exact), None) => exact,
            (rule, Some(shape)) if rule.admits(&shape) => shape,
            (rule, shape) => return Err(format!("node `{name}`: {shape:?} is not {rule:?}")),
        };
        let output = self.value(name.to_owned(), shape, None);
        self.graph.nodes.push(Node { name: name.to_owned(), op, inputs, output });
        Ok(output)
    }

    fn conv(
        &mut self,
        x: ValueId,
        part: &str,
        weights: &str,
        conv: Conv,
    ) -> Result<ValueId, String> {
        let Conv { channels, kernel, stride, depthwise } = conv;
        let &[_, in_channels, height, _] = self.shape(x) else {
            return Err(format!("node `{part}/conv`: the input is no image"));
        };
        let groups = if depthwise { in_channels } else { 1 };
        let shape = [channels, in_channels / groups, kernel, kernel];
        let w = self.weight(&format!("{weights}.weight"), &shape)?;
        // Images are square.
        let padding = ((height.div_ceil(stride) - 1) * stride + kernel).saturating_sub(height);
        let (before, after) = (padding / 2, padding.div_ceil(2));
        let window = Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pad: [before, before, after, after],
        };
        self.node(&format!("{part}/conv"), Op::Conv { window, groups }, vec![x, w], None)
    }

    fn norm(&mut self, x: ValueId, part: &str, weights: &str) -> Result<ValueId, String> {
        let channels = self.shape(x)[1];
        let mut inputs = vec![x];
        for what in ["weight", "bias", "running_mean", "running_var"] {
            inputs.push(self.weight(&format!("{weights}.{what}"), &[channels])?);
        }
        self.node(&format!("{part}/norm"), Op::BatchNorm { epsilon: EPSILON }, inputs, None)
    }

    fn clip(&mut self, x: ValueId, part: &str) -> Result<ValueId, String> {
        self.node(&format!("{part}/clip"), Op::Clip { lo: 0.0, hi: 6.0 }, vec![x], None)
    }

    fn bottleneck(
        &mut self,
        input: ValueId,
        index: usize,
        stage: &Stage,
        stride: usize,
    ) -> Result<ValueId, String> {
        let &Stage { kernel, widening, channels, .. } = stage;
        let in_channels = self.shape(input)[1];
        let inner = in_channels * widening;
        let name = |part: &str| format!("block{index}/{part}");
        let weights = |part: &str| format!("_blocks.{index}.{part}");
        let pointwise = |channels| Conv { channels, kernel: 1, stride: 1, depthwise: false };
        let mut x = input;
        if widening > 1 {
            x = self.conv(x, &name("widen"), &weights("_expand_conv"), pointwise(inner))?;
            x = self.norm(x, &name("widen"), &weights("_bn0"))?;
            x = self.clip(x, &name("widen"))?;
        }
        let depthwise = Conv { channels: inner, kernel, stride, depthwise: true };
        x = self.conv(x, &name("depthwise"), &weights("_depthwise_conv"), depthwise)?;
        x = self.norm(x, &name("depthwise"), &weights("_bn1"))?;
        x = self.clip(x, &name("depthwise"))?;
        x = self.conv(x, &name("narrow"), &weights("_project_conv"), pointwise(channels))?;
        x = self.norm(x, &name("narrow"), &weights("_bn2"))?;
        if stride == 1 && in_channels == channels {
            x = self.node(&name("add"), Op::Add, vec![x, input], None)?;
        }
        Ok(x)
    }

    /// Every weight has its place, but for the counters that training leaves behind.
    fn finish(self) -> Result<Graph, String> {
        let unused = self.weights.keys().find(|name| !name.ends_with(".num_batches_tracked"));
        match unused {
            Some(name) => Err(format!("weights `{name}` belong to no node")),
            None => Ok(self.graph),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights of the right names and shapes, all 1.
    fn weights() -> StateDict {
        let mut weights = StateDict::new();
        let mut put = |name: String, shape: &[usize]| {
            let count = shape.iter().product();
            weights.insert(name, Tensor::from_f32(shape, vec![1.0; count]).unwrap());
        };
        let mut norms = vec![("_bn0".to_owned(), STEM), ("_bn1".to_owned(), FEATURES)];
        put("_conv_stem.weight".into(), &[STEM, 3, 3, 3]);
        put("_conv_head.weight".into(), &[FEATURES, 320, 1, 1]);
        put("_fc.weight".into(), &[CLASSES, FEATURES]);
        put("_fc.bias".into(), &[CLASSES]);
        let (mut index, mut channels) = (0, STEM);
        for stage in &STAGES {
            for _ in 0..stage.repeats {
                let inner = channels * stage.widening;
                let block = format!("_blocks.{index}");
                if stage.widening > 1 {
                    put(format!("{block}._expand_conv.weight"), &[inner, channels, 1, 1]);
                    norms.push((format!("{block}._bn0"), inner));
                }
                put(
                    format!("{block}._depthwise_conv.weight"),
                    &[inner, 1, stage.kernel, stage.kernel],
                );
                put(format!("{block}._project_conv.weight"), &[stage.channels, inner, 1, 1]);
                norms.push((format!("{block}._bn1"), inner));
                norms.push((format!("{block}._bn2"), stage.channels));
                (index, channels) = (index + 1, stage.channels);
            }
        }
        for (norm, channels) in &norms {
            for what in ["weight", "bias", "running_mean", "running_var"] {
                put(format!("{norm}.{what}"), &[*channels]);
            }
        }
        for (norm, _) in norms {
            weights.insert(format!("{norm}.num_batches_tracked"), Tensor::from_i64_vec(vec![0]));
        }
        weights
    }

    #[test]
    fn the_network_has_the_published_size() {
        let graph = lite0(weights()).unwrap();
        graph.verify().unwrap();
        let of = |id: &ValueId| graph.value(*id).unwrap();
        assert_eq!(of(&graph.outputs[0]).shape, [1, CLASSES]);
        // 4,652,008 trained parameters and 42,016 running statistics of batch norm.
        let parameters: usize = graph
            .values
            .iter()
            .filter_map(|value| value.constant.as_ref())
            .map(|tensor| tensor.data.len())
            .sum();
        assert_eq!(parameters, 4_694_024);
        let macs: usize = graph
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::Conv { .. } | Op::Dense))
            .map(|node| {
                let out: usize = of(&node.output).shape.iter().product();
                let taps: usize = of(&node.inputs[1]).shape[1..].iter().product();
                out * taps
            })
            .sum();
        assert_eq!(macs / 1_000_000, 385);
    }

    #[test]
    fn weights_that_do_not_fit_are_named() {
        let told = |change: fn(&mut StateDict)| {
            let mut weights = weights();
            change(&mut weights);
            lite0(weights).unwrap_err()
        };
        assert!(told(|w| drop(w.remove("_fc.bias"))).contains("no weights `_fc.bias`"));
        let swap = |w: &mut StateDict| {
            let other = w["_fc.bias"].clone();
            w.insert("_bn1.bias".into(), other);
        };
        assert!(told(swap).contains("`_bn1.bias` are (\"f32\", [1000]), expected [1280]"));
        let add = |w: &mut StateDict| {
            let other = w["_fc.bias"].clone();
            w.insert("extra".into(), other);
        };
        assert!(told(add).contains("`extra` belong to no node"));
        let integer = |w: &mut StateDict| {
            w.insert("_fc.bias".into(), Tensor::from_i64_vec(vec![0; CLASSES]));
        };
        assert!(told(integer).contains("i64"));
    }
}
