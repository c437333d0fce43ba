//! Both ends of a network as who uses it sees them: what the host does between its inputs and outputs and those of the program.

mod inputs;
mod outputs;

pub(crate) use inputs::{Given, NetworkInputs};
pub(crate) use outputs::{NetworkOutputs, dequantized};

use bytes::Bytes;
use ir::onnx::host::{Part, Work};
use isa::Program;
use simulator::report::{HostOp, HostWork};

use crate::error::CliError;

/// Share of a network's operations that the host should not exceed.
pub(crate) const MOST_SHARE: f64 = 0.01;

/// Reads a part: `what` it is says where it is bad.
fn read(bytes: Option<Bytes>, what: &str) -> Result<Option<Part>, CliError> {
    let read =
        |bytes| Part::from_bytes(bytes).map_err(|e| CliError::Refused(format!("host {what}: {e}")));
    bytes.map(read).transpose()
}

/// What the host computes beside a program.
pub(crate) fn host_work(program: &Program) -> Result<HostWork, CliError> {
    let mut ops = Vec::new();
    for (part, bytes) in [("head", &program.host.head), ("tail", &program.host.tail)] {
        let bytes = bytes.clone().map(Bytes::from);
        let Some(read) = read(bytes, part)? else { continue };
        let work = read.work().map_err(|e| CliError::Refused(format!("host {part}: {e}")))?;
        ops.extend(work.into_iter().map(|Work { node, op, elements }| HostOp {
            part: part.to_owned(),
            node,
            op,
            elements,
        }));
    }
    let host: f64 = ops.iter().map(|op| op.elements as f64).sum();
    let machine: f64 = program.nodes.iter().map(|node| 2.0 * node.macs as f64).sum();
    let share = if host > 0.0 { host / (host + machine) } else { 0.0 };
    Ok(HostWork { ops, share })
}
