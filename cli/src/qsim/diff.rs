//! `qsim diff A.bin B.bin`: which layers of two programs differ, and why.

use std::path::Path;

use explorer::compare::Comparison;

use super::args::DiffArgs;
use super::text::load;
use crate::error::CliError;
use crate::output::{Output, Talk, check_distinct};
use crate::qdse::report;

/// Compares two programs as the arguments say.
pub(super) fn diff(args: &DiffArgs, talk: Talk) -> Result<(), CliError> {
    let DiffArgs { before, after, format, output } = args;
    check_distinct(&[Some(before), Some(after)], &[("-o", output.as_deref())])?;
    let mut shown = Output::open(output.as_deref().unwrap_or(Path::new("-")))?;
    let programs = [load(before)?, load(after)?];
    let [a, b] = &programs;
    if a.meta.model_sha256 != b.meta.model_sha256 {
        talk.warn("the programs are of different networks: layers are compared by their names");
    }
    let names = [before, after].map(|path| path.display().to_string());
    let found = Comparison::new(names, [&report(a)?, &report(b)?]);
    let text = if format == "json" { found.to_json() } else { found.to_text() };
    shown.put(text.as_bytes())?;
    Output::finish(vec![shown])
}
