//! Why a pass stopped.

use ir::verify::Problem;

/// A graph that a pass cannot rewrite, or that a pass broke.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PassError {
    /// A batch norm whose constants are not usable numbers.
    #[error(
        "node `{node}`: batch norm channel {channel} has variance {variance}, scale {scale}, bias {bias} and mean {mean}; expected finite numbers and a variance plus epsilon above 0"
    )]
    BatchNorm {
        /// The node.
        node: String,
        /// First channel concerned.
        channel: usize,
        /// Its variance.
        variance: f32,
        /// Its scale.
        scale: f32,
        /// Its bias.
        bias: f32,
        /// Its mean.
        mean: f32,
    },
    /// A factor or bias that is not a usable number.
    #[error("node `{node}`: element {index} of its constant is {value}, expected a finite number")]
    Constant {
        /// The node.
        node: String,
        /// Position in the constant.
        index: usize,
        /// What was found.
        value: f32,
    },
    /// The graph breaks its rules after a pass (or, with pass `import`, did so before the first).
    #[error("after pass `{pass}` the graph is not valid: {}", list(problems))]
    Invalid {
        /// The pass.
        pass: &'static str,
        /// Broken rules.
        problems: Vec<Problem>,
    },
    /// Passes kept undoing each other.
    #[error("passes still change the graph after {rounds} rounds; the last to do so was `{pass}`")]
    NoFixpoint {
        /// Rounds run.
        rounds: usize,
        /// The last pass that changed something.
        pass: &'static str,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
