//! The machines that come with the tool.

use super::Hardware;

/// Names of the presets, small to large.
pub const PRESETS: &[&str] = &["tiny8", "edge16", "edge32", "tpu128", "tpu256"];

impl Hardware {
    /// A preset by name; `None` if there is no such preset.
    #[must_use]
    pub fn preset(name: &str) -> Option<Hardware> {
        let text = match name {
            "tiny8" => include_str!("../../presets/tiny8.toml"),
            "edge16" => include_str!("../../presets/edge16.toml"),
            "edge32" => include_str!("../../presets/edge32.toml"),
            "tpu128" => include_str!("../../presets/tpu128.toml"),
            "tpu256" => include_str!("../../presets/tpu256.toml"),
            _ => return None,
        };
        Some(Hardware::from_toml(text).expect("a test reads every preset"))
    }
}
