//! The manual page of supported operators, generated from the table.

use std::fmt::Write as _;

use super::ops::{MICROSOFT, OPS, OpSpec};
use super::unsupported::FAMILIES;
use super::{NEWEST_OPSET, OLDEST_OPSET};

/// Markdown: which ONNX operators are taken, with which attributes and constraints, and why the others are not.
#[must_use]
pub fn supported_ops_manual() -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "# Supported ONNX operators\n\n\
         Models of operator set {OLDEST_OPSET} to {NEWEST_OPSET} are read. Values computed at run time are float32, or integers that QuantizeLinear made of such: a model that is quantized already keeps its scales, \
         weights and biases. Integers may be moved (Reshape, Transpose, Concat, MaxPool ..) before DequantizeLinear reads them; \
         every shape is known after the symbolic extents of the inputs are fixed (`--shape NAME=EXTENT`, \
         `--shape INPUT:AXIS=EXTENT` or `--shape INPUT=1x3x224x224`; a leading one is the batch and defaults to 1). A node that breaks a constraint is reported with the text below, together with all \
         others.\n\n\
         \"Versions\" are the operator sets that changed the definition; all of them are understood. \"Constants\": the \
         node is computed during import when all its operands are constant.\n\n\
         | Operator | Versions | Constants | Attributes | Constraints |\n\
         | --- | --- | --- | --- | --- |\n"
    );
    let rows = OPS.iter().map(|spec| ("", spec));
    let rows = rows.chain(MICROSOFT.iter().map(|spec| ("com.microsoft.", spec)));
    for (domain, spec) in rows {
        let _ = writeln!(
            text,
            "| {domain}{} | {} | {} | {} | {} |",
            spec.name,
            join(spec.versions.iter().map(ToString::to_string), ", "),
            constants(spec),
            join(spec.attributes.iter().map(|name| format!("`{name}`")), ", "),
            join(spec.constraints.iter().map(|constraint| constraint.text.to_owned()), "; "),
        );
    }
    text.push_str(
        "\n## Not supported\n\n| Operators | Reason | What to do |\n| --- | --- | --- |\n",
    );
    for family in FAMILIES {
        let ops = join(family.ops.iter().map(|&op| op.to_owned()), ", ");
        let _ = writeln!(text, "| {ops} | {} | {} |", family.reason, family.suggestion);
    }
    text
}

fn constants(spec: &OpSpec) -> &'static str {
    match (spec.fold.is_some(), spec.import.is_some()) {
        (true, true) => "folded",
        (true, false) => "only constants",
        (false, _) => "",
    }
}

fn join(items: impl Iterator<Item = String>, separator: &str) -> String {
    items.collect::<Vec<_>>().join(separator)
}
