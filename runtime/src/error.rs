//! What can go wrong: a graph that breaks its rules, inputs that do not fit it, numbers that cannot be quantized.

use ir::qgraph::{Hwc, QType, Window};
use ir::verify::Problem;

/// Why a graph was not run or a tensor not converted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuntimeError {
    /// The graph breaks rules of the integer graph.
    #[error("malformed integer graph: {}", list(problems))]
    Graph {
        /// All broken rules.
        problems: Vec<Problem>,
    },
    /// A tensor of the graph has too many elements to be held.
    #[error("value `{name}` has shape {found}, expected at most {limit} elements")]
    TooLarge {
        /// Name of the value.
        name: String,
        /// Its extents.
        found: Hwc,
        /// Most elements allowed.
        limit: usize,
    },
    /// A node would take unreasonably long.
    #[error(
        "node `{node}` has window {window:?}, expected no number above {max_geometry} and at most {max_taps} taps in all"
    )]
    TooMuchWork {
        /// Name of the node.
        node: String,
        /// Its window.
        window: Window,
        /// Most taps allowed, over all windows and channels.
        max_taps: usize,
        /// Largest kernel, stride, dilation or padding allowed.
        max_geometry: usize,
    },
    /// The number of input tensors is wrong.
    #[error("the network has {expected} inputs, {found} were given")]
    InputCount {
        /// Inputs of the graph.
        expected: usize,
        /// Tensors given.
        found: usize,
    },
    /// An input tensor has the wrong extents.
    #[error("input `{name}` has shape {found}, expected [h, w, c] = {expected}")]
    InputShape {
        /// Name of the input.
        name: String,
        /// Extents in the graph.
        expected: Hwc,
        /// Extents given.
        found: Hwc,
    },
    /// An input tensor has the wrong storage type.
    #[error("input `{name}` is stored as {}, expected {}", found.name(), expected.name())]
    InputType {
        /// Name of the input.
        name: String,
        /// Storage type in the graph.
        expected: QType,
        /// Storage type given.
        found: QType,
    },
    /// A tensor's number of elements contradicts its shape.
    #[error("`{name}` holds {found} elements, expected {expected}")]
    Length {
        /// Name of the value.
        name: String,
        /// Elements the shape asks for.
        expected: usize,
        /// Elements present.
        found: usize,
    },
    /// A real number has no quantized form.
    #[error("element {index} of `{name}` is not a number (NaN); replace it before quantizing")]
    NotANumber {
        /// Name of the value.
        name: String,
        /// Position in ONNX order.
        index: usize,
    },
    /// A value's scale or view does not allow conversion to or from real numbers.
    #[error("`{name}` cannot be converted: {reason}")]
    Conversion {
        /// Name of the value.
        name: String,
        /// What was found and what was expected.
        reason: String,
    },
}

/// The first few problems on one line.
fn list(problems: &[Problem]) -> String {
    const SHOWN: usize = 3;
    let mut texts: Vec<String> = problems.iter().take(SHOWN).map(Problem::to_string).collect();
    if problems.len() > SHOWN {
        texts.push(format!("and {} more", problems.len() - SHOWN));
    }
    texts.join("; ")
}
