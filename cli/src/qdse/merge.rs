//! `qdse merge FOLDER.. -o FOLDER`: shards become one sweep.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use explorer::front::Front;
use explorer::page::shown_runs;
use explorer::search;
use explorer::sweep::Row;

use super::args::{MergeArgs, Shard};
use super::folder::{Runs, finished_rows, finished_runs, write_results};
use super::identity::{FILE, Identity};
use super::sweep::shown;
use crate::error::{CliError, describe};
use crate::output::{Talk, print, write_file};

/// A folder and which shard it holds.
type Part<'p> = (&'p Path, Shard);

/// Puts shards together as the arguments say, and prints the front.
pub(crate) fn merge_command(args: &MergeArgs, talk: Talk) -> Result<(), CliError> {
    let target = &args.output;
    if target.join(FILE).exists() {
        return Err(CliError::in_file(target, "holds a sweep\n  hint: name another folder"));
    }
    let (whole, folders) = matching(&args.shards)?;
    let (first, _) = folders[0];
    let space = whole.space(first)?;
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    let mut runs = Runs::new();
    for (folder, _) in &folders {
        rows.extend(finished_rows(folder, &space)?);
        runs.extend(finished_runs(folder)?);
    }
    let expected = search::fixed(&space).unwrap_or_default();
    let missing = expected.iter().filter(|point| !rows.contains_key(point)).count();
    if missing > 0 || rows.len() != expected.len() {
        return Err(CliError::Refused(format!(
            "the shards hold {} points, {missing} of the {} of the sweep are missing",
            rows.len(),
            expected.len()
        )));
    }
    let rows: Vec<Row> = rows.into_values().collect();
    // Shards keep the runs of their whole fronts, since the front of all is not known to them.
    let front = Front::of(&space, &rows);
    let few = shown_runs(&front);
    runs.retain(|point, _| few.contains(point));
    std::fs::create_dir_all(target).map_err(|e| {
        CliError::in_file(target, format!("cannot be made: {}", describe(target, &e)))
    })?;
    write_results(target, &space, &whole, &rows, &runs)?;
    write_file(&target.join(FILE), whole.to_json().as_bytes())?;
    talk.note(format_args!("merged {} shards into {}", folders.len(), target.display()));
    print(&shown(&space, &front, &rows))?;
    match front.is_empty() {
        true => Err(CliError::Failed("no point keeps to all constraints".into())),
        false => Ok(()),
    }
}

/// What the shards are parts of; and each with its number, all there and none twice.
fn matching(paths: &[PathBuf]) -> Result<(Identity, Vec<Part<'_>>), CliError> {
    let mut folders: Vec<Part<'_>> = Vec::new();
    let mut whole: Option<Identity> = None;
    let mut problems = Vec::new();
    for path in paths {
        let mut identity = Identity::read(path)?;
        let Some(shard) = identity.shard.take() else {
            problems.push(format!("{}: is no shard", path.display()));
            continue;
        };
        match &whole {
            None => whole = Some(identity),
            Some(first) => {
                let differences = identity.differences(first);
                if !differences.is_empty() {
                    let all = differences.join(", ");
                    problems.push(format!(
                        "{}: is of another sweep, with another {all}",
                        path.display()
                    ));
                }
            }
        }
        folders.push((path, shard));
    }
    let of = folders.first().map_or(0, |(_, shard)| shard.of);
    for (path, shard) in folders.iter().filter(|(_, shard)| shard.of != of) {
        problems.push(format!("{}: is one of {} shards, others of {of}", path.display(), shard.of));
    }
    for index in 1..=of {
        let count = folders.iter().filter(|(_, shard)| shard.index == index).count();
        if count != 1 {
            problems.push(format!("shard {index}/{of} is there {count} times"));
        }
    }
    match whole {
        Some(whole) if problems.is_empty() => Ok((whole, folders)),
        _ => Err(CliError::Refused(problems.join("\n"))),
    }
}
