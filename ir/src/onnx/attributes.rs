//! Typed access to a node's attributes.

use super::error::NodeError;
use super::proto::{AttributeProto, AttributeType, GraphProto, NodeProto, TensorProto};

/// The attributes of one node.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub(super) &'a NodeProto);

impl<'a> Attributes<'a> {
    /// The attribute of that name, if its stated type is `kind` or is not stated.
    fn get(
        self,
        attribute: &'static str,
        kind: AttributeType,
        expected: &'static str,
    ) -> Result<Option<&'a AttributeProto>, NodeError> {
        let Some(found) = self.0.attribute.iter().find(|a| a.name == attribute) else {
            return Ok(None);
        };
        if found.r#type != 0 && found.r#type != kind as i32 {
            return Err(NodeError::AttributeType { attribute, expected });
        }
        Ok(Some(found))
    }

    /// Whether there is an attribute of that name, of any type.
    pub(super) fn has(self, name: &str) -> bool {
        self.0.attribute.iter().any(|a| a.name == name)
    }

    /// An integer. A writer may leave out the value 0.
    pub(super) fn int(self, name: &'static str) -> Result<Option<i64>, NodeError> {
        Ok(self.get(name, AttributeType::Int, "an integer")?.map(|a| a.i.unwrap_or(0)))
    }

    /// A float. A writer may leave out the value 0.
    pub(super) fn float(self, name: &'static str) -> Result<Option<f32>, NodeError> {
        Ok(self.get(name, AttributeType::Float, "a float")?.map(|a| a.f.unwrap_or(0.0)))
    }

    /// A switch: 0 or 1.
    pub(super) fn flag(self, name: &'static str, default: bool) -> Result<bool, NodeError> {
        match self.int(name)? {
            None => Ok(default),
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => Err(NodeError::AttributeValue {
                attribute: name,
                found: other.to_string(),
                expected: "0 or 1",
            }),
        }
    }

    /// Integers.
    pub(super) fn ints(self, name: &'static str) -> Result<Option<&'a [i64]>, NodeError> {
        Ok(self.get(name, AttributeType::Ints, "a list of integers")?.map(|a| a.ints.as_slice()))
    }

    /// Floats.
    pub(super) fn floats(self, name: &'static str) -> Result<Option<&'a [f32]>, NodeError> {
        Ok(self.get(name, AttributeType::Floats, "a list of floats")?.map(|a| a.floats.as_slice()))
    }

    /// A string; bytes that are not UTF-8 are shown with replacement characters.
    pub(super) fn string(self, name: &'static str) -> Result<Option<String>, NodeError> {
        let found = self.get(name, AttributeType::String, "a string")?;
        Ok(found.map(|a| String::from_utf8_lossy(a.s.as_deref().unwrap_or_default()).into_owned()))
    }

    /// A constant.
    pub(super) fn tensor(self, name: &'static str) -> Result<Option<&'a TensorProto>, NodeError> {
        Ok(self.get(name, AttributeType::Tensor, "a tensor")?.and_then(|a| a.t.as_ref()))
    }

    /// A subgraph.
    pub(super) fn graph(self, name: &'static str) -> Result<Option<&'a GraphProto>, NodeError> {
        Ok(self.get(name, AttributeType::Graph, "a graph")?.and_then(|a| a.g.as_deref()))
    }

    /// `count` non-negative integers.
    pub(super) fn extents(
        self,
        name: &'static str,
        count: usize,
    ) -> Result<Option<Vec<usize>>, NodeError> {
        let Some(values) = self.ints(name)? else {
            return Ok(None);
        };
        let bad = |expected| NodeError::AttributeValue {
            attribute: name,
            found: format!("{values:?}"),
            expected,
        };
        if values.len() != count {
            return Err(bad("one entry per axis (two per axis for pads)"));
        }
        let extents: Option<Vec<usize>> = values.iter().map(|&v| usize::try_from(v).ok()).collect();
        extents.map(Some).ok_or_else(|| bad("entries of at least 0"))
    }
}
