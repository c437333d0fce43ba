//! The targets.

mod arrays;
mod assembly;
mod calibration;
mod external;
mod float_graph;
mod hardware;
mod images;
mod integer_graph;
mod labels;
mod manifest;
mod networks;
mod onnx;
mod package;
mod preprocessing;
mod program;
mod run;
mod state_dict;

use crate::Target;

/// All targets, by name.
pub const ALL: &[Target] = &[
    arrays::TARGET,
    assembly::TARGET,
    calibration::TARGET,
    external::TARGET,
    float_graph::TARGET,
    hardware::TARGET,
    images::TARGET,
    integer_graph::TARGET,
    labels::TARGET,
    manifest::TARGET,
    onnx::TARGET,
    package::TARGET,
    preprocessing::TARGET,
    program::TARGET,
    state_dict::TARGET,
];
