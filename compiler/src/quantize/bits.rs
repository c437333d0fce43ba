//! How many bits the weights of each layer have.
//!
//! Few bits ruin some layers more than others: depthwise convolutions average over few taps, and the first layers hold few
//! weights that everything rests on. Together they hold a small share of a network's weights, so by default they keep
//! eight bits.

use std::collections::BTreeMap;

use ir::graph::{Graph, Node, Op};

use super::error::unknown;
use super::{QuantizeError, keeps_integers};
use crate::options::Options;

/// Bits that any weight can have.
const MOST_BITS: u8 = 8;

/// Layers kept at eight bits hold at most one of so many weights of the network.
const KEPT_SHARE: usize = 10;

/// Bits per weight by node name of each layer whose file does not decide them: what `options` say of the layer, else eight for those that few bits would
/// ruin, else `options.weight_bits`.
///
/// # Errors
/// When the options name a layer that is none, or ask for a width that weights cannot have.
pub fn layer_bits(graph: &Graph, options: &Options) -> Result<BTreeMap<String, u8>, QuantizeError> {
    let own = |node: &&Node| is_layer(node) && !keeps_integers(graph, node);
    let layers: Vec<&Node> = graph.nodes.iter().filter(own).collect();
    let mut problems = Vec::new();
    for (name, bits) in &options.layer_bits {
        if !layers.iter().any(|node| node.name == *name) {
            problems.push(unknown("layer with weights", name, layers.iter().map(|n| &n.name)));
        } else if !(2..=MOST_BITS).contains(bits) {
            problems.push(format!("bits of `{name}` are {bits} per weight, expected 2 to 8"));
        }
    }
    if !problems.is_empty() {
        return Err(QuantizeError::Layers { problems });
    }
    let mut bits: BTreeMap<String, u8> =
        layers.iter().map(|node| (node.name.clone(), options.weight_bits)).collect();
    if options.weight_bits < MOST_BITS && !options.weight_bits_everywhere {
        for node in delicate(graph, &layers) {
            bits.insert(node.name.clone(), MOST_BITS);
        }
    }
    bits.extend(options.layer_bits.clone());
    Ok(bits)
}

/// Layers that keep their bits: depthwise ones, those that read the network's input, then the others from the fewest weights
/// up, as long as all together hold no more than their share.
fn delicate<'a>(graph: &Graph, layers: &[&'a Node]) -> Vec<&'a Node> {
    let weights =
        |node: &Node| -> usize { graph.values[node.inputs[1].0 as usize].shape.iter().product() };
    let rank = |node: &Node| {
        let first = graph.inputs.contains(&node.inputs[0]);
        (!(is_depthwise(graph, node) || first), weights(node))
    };
    let mut sorted = layers.to_vec();
    sorted.sort_by_key(|node| rank(node));
    let mut left = layers.iter().map(|node| weights(node)).sum::<usize>() / KEPT_SHARE;
    let fits = |node: &&Node| match left.checked_sub(weights(node)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    sorted.into_iter().take_while(fits).collect()
}

/// Whether every output channel reads one input channel.
fn is_depthwise(graph: &Graph, node: &Node) -> bool {
    match node.op {
        Op::Conv { groups, .. } => {
            groups > 1 && graph.values[node.inputs[1].0 as usize].shape[1] == 1
        }
        _ => false,
    }
}

fn is_layer(node: &Node) -> bool {
    matches!(node.op, Op::Conv { .. } | Op::Dense)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Build;

    /// 72 weights that read the input, 72 depthwise ones, 64, 640 and 2,560 more.
    fn network() -> Graph {
        let mut b = Build::new(1);
        let x = b.input(&[1, 1, 8, 8]);
        let x = b.conv(x, 8, [3, 3], 1);
        let x = b.conv(x, 8, [3, 3], 8);
        let x = b.conv(x, 8, [1, 1], 1);
        let x = b.conv(x, 80, [1, 1], 1);
        let x = b.conv(x, 32, [1, 1], 1);
        b.finish(&[x])
    }

    fn bits(options: &Options) -> Vec<u8> {
        layer_bits(&network(), options).unwrap().into_values().collect()
    }

    #[test]
    fn delicate_layers_keep_eight_bits_unless_told_otherwise() {
        let four = Options { weight_bits: 4, ..Options::default() };
        assert_eq!(bits(&four), [8, 8, 8, 4, 4]);
        assert_eq!(bits(&Options::default()), [8; 5]);
        let everywhere = Options { weight_bits_everywhere: true, ..four.clone() };
        assert_eq!(bits(&everywhere), [4; 5]);
        let explicit = [("n0".to_owned(), 3), ("n4".to_owned(), 6)].into_iter().collect();
        assert_eq!(bits(&Options { layer_bits: explicit, ..four }), [3, 8, 8, 4, 6]);
    }

    #[test]
    fn kept_layers_hold_a_tenth_at_most() {
        // A single layer is all of the network.
        let mut b = Build::new(1);
        let x = b.input(&[1, 4]);
        let y = b.dense(x, 4);
        let four = Options { weight_bits: 4, ..Options::default() };
        let bits = layer_bits(&b.finish(&[y]), &four).unwrap();
        assert_eq!(bits.into_values().collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn unknown_layers_and_widths_are_named() {
        let error = |name: &str, bits: u8| {
            let layer_bits = [(name.to_owned(), bits)].into_iter().collect();
            let options = Options { layer_bits, ..Options::default() };
            super::layer_bits(&network(), &options).unwrap_err().to_string()
        };
        let hint = "the network has `n0`, `n1`, `n2`, `n3`, `n4`";
        assert_eq!(error("middle", 4), format!("no layer with weights is called `middle`; {hint}"));
        assert!(error("n11", 4).contains("did you mean `n1`"), "{}", error("n11", 4));
        assert!(error("n1", 9).contains("`n1` are 9"), "{}", error("n1", 9));
    }
}
