//! The layers of a report as comma-separated values (RFC 4180), one node a line.
//!
//! Columns are the keys below `layers[]`, in order, joined by dots. What is `null` is empty. A text that begins like a spreadsheet
//! formula is left as it is: the file is data for programs.

use serde_json::Value;

use super::declare::keys_of;
use super::schema::{Layer, Report};

impl Report {
    /// One line of column names, then one line per node, each ended by a line feed.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let columns = columns();
        let mut text = columns.join(",") + "\n";
        for layer in &self.layers {
            let value = serde_json::to_value(layer).expect("a layer has only string keys");
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&cell(column.split('.').fold(&value, |value, name| &value[name])));
            }
            text.push('\n');
        }
        text
    }
}

/// Keys of a layer that are no objects, groups expanded.
pub(super) fn columns() -> Vec<String> {
    let plain = keys_of::<Layer>().into_iter().filter(|key| !key.kind.starts_with("object"));
    plain.flat_map(|key| key.paths()).collect()
}

/// One value, quoted where it must be.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.contains(['"', ',', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
