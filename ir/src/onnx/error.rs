//! Why a file is refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use thiserror::Error;

use super::{NEWEST_OPSET, OLDEST_OPSET};
use crate::function::FunctionError;
use crate::infer::ShapeError;
use crate::tensor::{DType, TensorError};
use crate::verify::Problem;

/// A model file could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("not an ONNX file: `{}` {reason}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// How one can tell.
        reason: NotOnnx,
    },
    /// It is ONNX, but not a network that can be taken.
    #[error("`{}`: {source}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<ImportError>,
    },
}

/// How one can tell that a file is not ONNX.
#[derive(Debug, Error)]
pub enum NotOnnx {
    /// A folder, a device, a pipe.
    #[error("is not a regular file")]
    NotAFile,
    /// No byte in it.
    #[error("is empty")]
    Empty,
    /// The bytes are no protocol buffer of this kind.
    #[error("does not decode ({0}); it may be damaged or cut short")]
    Decode(prost::DecodeError),
    /// Decoded, but without a graph.
    #[error("holds no graph")]
    NoGraph,
}

/// An ONNX model could not be turned into a graph.
#[derive(Debug, Error)]
pub enum ImportError {
    /// No version of the standard operators is stated.
    #[error("the file states no version of the standard ONNX operators")]
    NoOpset,
    /// The version is outside what is read.
    #[error(
        "the file uses operator set {found}, expected {OLDEST_OPSET} to {NEWEST_OPSET}; hint: convert it with `onnx.version_converter`"
    )]
    Opset {
        /// Version stated.
        found: i64,
    },
    /// Nothing to compute.
    #[error("the graph has no output")]
    NoOutput,
    /// A constant's stored form is wrong.
    #[error("constant `{tensor}`: {source}")]
    Tensor {
        /// Name of the constant.
        tensor: String,
        /// What is wrong.
        source: TensorProtoError,
    },
    /// Symbolic extents that nobody fixed: all of them.
    #[error("{}", open_extents(.0))]
    SymbolicExtents(Vec<OpenExtent>),
    /// An extent was given for a name that does not occur.
    #[error(
        "no input has a symbolic extent `{symbol}`; the symbols are: {known}; the inputs are: {inputs}; hint: `--shape SYMBOL=EXTENT`, `--shape INPUT:AXIS=EXTENT` or `--shape INPUT=1x3x224x224`",
        known = list(known), inputs = list(inputs)
    )]
    UnknownSymbol {
        /// Name given.
        symbol: String,
        /// Symbols of the inputs.
        known: Vec<String>,
        /// Names of the inputs.
        inputs: Vec<String>,
    },
    /// A whole shape was given with another number of axes.
    #[error("input `{input}` has {expected} axes, but a shape with {found} was given")]
    GivenRank {
        /// The input.
        input: String,
        /// Extents given.
        found: usize,
        /// Axes in the file.
        expected: usize,
    },
    /// Another extent was given than the one the file fixes.
    #[error(
        "axis {axis} of input `{input}` has extent {declared} in the file, which cannot become {given}; only symbolic extents can be chosen"
    )]
    FixedExtent {
        /// The input.
        input: String,
        /// Its axis.
        axis: usize,
        /// Extent in the file.
        declared: usize,
        /// Extent given.
        given: usize,
    },
    /// One symbol was given two extents, under different names.
    #[error("the symbolic extent `{symbol}` was given as {first} and as {second}")]
    TwoExtents {
        /// The symbol.
        symbol: String,
        /// Extent given first.
        first: usize,
        /// Extent given then.
        second: usize,
    },
    /// An extent of zero, given or declared.
    #[error("axis {axis} of input `{input}` has extent 0, expected at least 1")]
    ZeroExtent {
        /// The input.
        input: String,
        /// Its axis.
        axis: usize,
    },
    /// An input that is not a tensor of known rank.
    #[error(
        "input `{input}` has no tensor type with a shape; hint: export with fixed shapes or run shape inference"
    )]
    NoShape {
        /// The input.
        input: String,
    },
    /// The file declares another shape than its operators give.
    #[error(
        "value `{value}` is declared with shape {declared}, but its operators give {inferred:?}"
    )]
    DeclaredShape {
        /// The value.
        value: String,
        /// Shape in the file; `?` for symbolic extents.
        declared: String,
        /// Shape computed.
        inferred: Vec<usize>,
    },
    /// A value is made twice.
    #[error("value `{value}` is defined more than once")]
    Redefined {
        /// The value.
        value: String,
    },
    /// A value is used but made nowhere.
    #[error("{place} uses value `{value}`, which nothing defines")]
    Undefined {
        /// Who uses it.
        place: String,
        /// The value.
        value: String,
    },
    /// Nodes depend on each other in a circle.
    #[error("node `{node}` depends on its own result")]
    Cycle {
        /// One of the nodes.
        node: String,
    },
    /// Constants computed during import take too much memory.
    #[error(
        "constants need more than {limit_bytes} bytes of memory (at `{place}`): {needed_bytes} bytes up to there; hint: raise `--max-constant-bytes` if the file is trusted"
    )]
    ConstantLimit {
        /// Node or constant at which the limit was met.
        place: String,
        /// Bytes of all constants made up to there, this one included.
        needed_bytes: u128,
        /// The limit.
        limit_bytes: u64,
    },
    /// A node contradicts the operator's definition.
    #[error("node `{node}` ({op}): {source}")]
    Node {
        /// The node.
        node: String,
        /// Its operator.
        op: String,
        /// What is wrong.
        source: NodeError,
    },
    /// Nodes that cannot be taken: all of them.
    #[error("{}", unsupported_block(.0))]
    Unsupported(Vec<Unsupported>),
    /// Each node is legal, but a number in the file breaks a rule of the graph: an empty tensor, a bound that is NaN.
    #[error("the graph is not well formed: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Verify(Vec<Problem>),
}

/// A symbolic extent that nobody fixed, at the first place where it occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenExtent {
    /// Name of the input.
    pub input: String,
    /// Its axis.
    pub axis: usize,
    /// Symbol, or `INPUT:AXIS` for an unnamed one.
    pub symbol: String,
}

fn open_extents(open: &[OpenExtent]) -> String {
    let places: Vec<String> = (open.iter())
        .map(|o| {
            format!("axis {} of input `{}` has no fixed extent (`{}`)", o.axis, o.input, o.symbol)
        })
        .collect();
    let flags: Vec<String> = open.iter().map(|o| format!("--shape {}=EXTENT", o.symbol)).collect();
    format!("{}; hint: `{}`", places.join("; "), flags.join(" "))
}

/// Something in the file that is legal ONNX but cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Name of the node, or of the input or constant.
    pub node: String,
    /// Its operator; `input` or `initializer` where it is none.
    pub op: String,
    /// Why not.
    pub reason: String,
    /// What the user can do; may be empty.
    pub suggestion: String,
}

/// One paragraph per operator and reason, each with all its nodes.
fn unsupported_block(items: &[Unsupported]) -> String {
    let mut groups: Vec<(&Unsupported, Vec<&str>)> = Vec::new();
    let mut indices = BTreeMap::new();
    for item in items {
        let index =
            *indices.entry((&item.op, &item.reason, &item.suggestion)).or_insert(groups.len());
        match groups.get_mut(index) {
            Some((_, nodes)) => nodes.push(&item.node),
            None => groups.push((item, vec![&item.node])),
        }
    }
    let places = if items.len() == 1 { "place" } else { "places" };
    let mut text = format!("the model is not supported in {} {places}:", items.len());
    for (item, nodes) in groups {
        text.push_str(&format!("\n  {}: {}", item.op, item.reason));
        let plural = if nodes.len() == 1 { "" } else { "s" };
        text.push_str(&format!("\n    node{plural}: `{}`", nodes.join("`, `")));
        if !item.suggestion.is_empty() {
            text.push_str(&format!("\n    hint: {}", item.suggestion));
        }
    }
    text
}

/// A stored constant is malformed.
#[derive(Debug, Error)]
pub enum TensorProtoError {
    /// A negative extent.
    #[error("extent {0} is negative")]
    Extent(i64),
    /// More axes than any network needs.
    #[error("it has {found} axes, expected at most {most}")]
    Rank {
        /// Axes found.
        found: usize,
        /// Most axes.
        most: usize,
    },
    /// Shape and elements disagree.
    #[error(transparent)]
    Shape(#[from] TensorError),
    /// Payload of the wrong length.
    #[error("found {found} bytes of elements, expected {expected}")]
    Bytes {
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// An element type that cannot be taken.
    #[error("element type {0} is not supported")]
    ElementType(String),
    /// An unsigned integer beyond the signed range.
    #[error("element {0} does not fit a signed 64-bit integer")]
    Unsigned(u64),
    /// Memory limit.
    #[error("it exceeds the limit on constant bytes")]
    Limit,
    /// The model came as bytes, without a folder.
    #[error("its elements lie in another file, but the model has no folder")]
    NoFolder,
    /// An entry for external data is missing or not a number.
    #[error("its external data has no valid `{0}`")]
    ExternalKey(&'static str),
    /// The path leaves the model's folder.
    #[error("its external data `{0}` is not inside the model's folder")]
    ExternalPath(String),
    /// The file cannot be read.
    #[error("its external data `{location}` cannot be read: {source}")]
    ExternalIo {
        /// Path in the model.
        location: String,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The range lies outside the file.
    #[error("its external data is bytes {offset} to {end} of `{location}`, which has {size}")]
    ExternalRange {
        /// Path in the model.
        location: String,
        /// First byte.
        offset: u64,
        /// One behind the last byte.
        end: u64,
        /// Size of the file in bytes.
        size: u64,
    },
}

/// A node contradicts its operator's definition in ONNX.
#[derive(Debug, Error)]
pub enum NodeError {
    /// A required operand is absent.
    #[error("operand {0} is missing")]
    MissingInput(usize),
    /// A required result is absent.
    #[error("it has no result")]
    MissingOutput,
    /// A required attribute is absent.
    #[error("attribute `{0}` is missing")]
    MissingAttribute(&'static str),
    /// An attribute of the wrong type.
    #[error("attribute `{attribute}` is not {expected}")]
    AttributeType {
        /// Its name.
        attribute: &'static str,
        /// Type expected.
        expected: &'static str,
    },
    /// An attribute of the wrong value or length.
    #[error("attribute `{attribute}` is {found}, expected {expected}")]
    AttributeValue {
        /// Its name.
        attribute: &'static str,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// An operand of the wrong value or length.
    #[error("operand {operand} is {found}, expected {expected}")]
    OperandValue {
        /// Its position.
        operand: usize,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// An operand must be constant here.
    #[error("operand {0} must be a constant")]
    NotConstant(usize),
    /// An operand of the wrong element type.
    #[error("operand {operand} is {found}, expected {expected}", found = found.name(), expected = expected.name())]
    OperandType {
        /// Its position.
        operand: usize,
        /// Element type found.
        found: DType,
        /// Element type expected.
        expected: DType,
    },
    /// Scales, zero points or integers that do not go together.
    #[error("`{tensor}` is {found}, expected {expected}")]
    Quantization {
        /// Name of the tensor.
        tensor: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// An attribute or constant that a function cannot have.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// An axis that the tensor does not have.
    #[error("axis {axis} is outside a tensor with {rank} axes")]
    Axis {
        /// Axis as written.
        axis: i64,
        /// Axes there are.
        rank: usize,
    },
    /// Element counts before and after a reshape differ.
    #[error("cannot reshape {from:?} to {to:?}")]
    Reshape {
        /// Shape of the operand.
        from: Vec<usize>,
        /// Shape asked for.
        to: Vec<i64>,
    },
    /// Operand shapes contradict the operator.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A computed constant is malformed.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A constant in an attribute is malformed.
    #[error("the constant: {0}")]
    Constant(#[from] TensorProtoError),
    /// Integer arithmetic on constants left 64 bits or divided by zero.
    #[error("integer arithmetic on its constants overflows or divides by zero")]
    Arithmetic,
    /// An index outside the tensor.
    #[error("index {index} is outside extent {extent}")]
    Index {
        /// Index as written.
        index: i64,
        /// Extent of the axis.
        extent: usize,
    },
    /// More axes than any network needs.
    #[error("the result has {found} axes, expected at most {most}")]
    Rank {
        /// Axes found.
        found: usize,
        /// Most axes.
        most: usize,
    },
    /// Memory limit.
    #[error("its result exceeds the limit on constant bytes")]
    Limit,
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
