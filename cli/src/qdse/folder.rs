//! The folder of a sweep: rows are appended as they are found, and put in order at the end.
//!
//! `points.partial.jsonl` grows line by line while the sweep runs. Whatever ends the process, all of it but a torn last line
//! stands, and `--resume` goes on behind it. At the end all rows go to `points.jsonl` in the order of their numbers, so
//! that the same sweep has the same bytes however often it was interrupted.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use explorer::front::Front;
use explorer::page::{chart, page, shown_runs};
use explorer::space::{Assignment, Space};
use explorer::sweep::{Row, Sink};
use serde::{Deserialize, Serialize};

use super::identity::{FILE as IDENTITY, Identity};
use crate::error::{CliError, describe, read_file};
use crate::output::{Output, write_file};
use crate::progress::Progress;

const POINTS: &str = "points.jsonl";
const PARTIAL: &str = "points.partial.jsonl";
const FRONT: &str = "front.csv";
const REPORT: &str = "report.html";
const PICTURE: &str = "front.svg";
const RUNS: &str = "runs.jsonl";

/// What the report shows of the runs of points, as HTML.
pub(super) type Runs = BTreeMap<u64, String>;

/// A line of [`RUNS`].
#[derive(Serialize, Deserialize)]
struct RunLine {
    point: u64,
    html: String,
}

/// How long a row may wait until the disk has it for certain.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// A sweep's folder, held by this process alone.
pub(super) struct Folder<'a> {
    path: PathBuf,
    space: &'a Space,
    journal: Mutex<Journal>,
    finished: bool,
    progress: Option<Progress>,
}

struct Journal {
    file: File,
    synced: Instant,
    rows: BTreeMap<u64, Row>,
}

impl<'a> Folder<'a> {
    /// Widths of layers that an interrupted sweep in the folder has chosen; `None` if there is no sweep yet.
    pub(super) fn held(
        path: &Path,
        identity: &Identity,
        resume: bool,
    ) -> Result<Option<Vec<Assignment>>, CliError> {
        if !path.join(IDENTITY).exists() {
            return Ok(None);
        }
        if !resume {
            return Err(CliError::in_file(
                path,
                "holds a sweep\n  hint: --resume goes on with it; or name another folder",
            ));
        }
        let held = Identity::read(path)?;
        // They follow from all the rest.
        let identity = Identity { assignments: held.assignments.clone(), ..identity.clone() };
        let differences = held.differences(&identity);
        if !differences.is_empty() {
            let all = differences.join(", ");
            return Err(CliError::in_file(
                path,
                format!("holds another sweep, with another {all}\n  hint: name another folder"),
            ));
        }
        Ok(Some(held.assignments))
    }

    /// Makes the folder of a new sweep, or goes on with the one that is [held](Self::held) there.
    pub(super) fn open(
        path: &Path,
        space: &'a Space,
        identity: &Identity,
    ) -> Result<Folder<'a>, CliError> {
        std::fs::create_dir_all(path).map_err(|e| {
            CliError::in_file(path, format!("cannot be made: {}", describe(path, &e)))
        })?;
        if !path.join(IDENTITY).exists() {
            write_file(&path.join(IDENTITY), identity.to_json().as_bytes())?;
        }
        let partial = path.join(PARTIAL);
        let failed = |e| CliError::in_file(&partial, describe(&partial, &e));
        let opened = File::options().read(true).append(true).create(true).open(&partial);
        let mut file = opened.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CliError::in_file(path, "another process works on this sweep"));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        let mut rows = BTreeMap::new();
        let evaluated = path.join(POINTS).exists();
        let finished = evaluated && path.join(RUNS).exists();
        if evaluated {
            add_rows(&path.join(POINTS), &text(&path.join(POINTS))?, space, &mut rows)?;
        }
        let mut found = Vec::new();
        file.read_to_end(&mut found).map_err(failed)?;
        // The end of a line is written with it: behind the last one lies what a line was torn to.
        let whole = found.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        let lines = String::from_utf8_lossy(&found[..whole]);
        add_rows(&partial, &lines, space, &mut rows)?;
        remove_scraps(path);
        let journal = Mutex::new(Journal { file, synced: Instant::now(), rows });
        Ok(Folder { path: path.to_path_buf(), space, journal, finished, progress: None })
    }

    /// Shows progress until the end.
    pub(super) fn show(&mut self, progress: Progress) {
        self.progress = Some(progress);
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of `points` that have no row yet.
    pub(super) fn missing(&self, points: &[u64]) -> Vec<u64> {
        let journal = self.journal();
        points.iter().copied().filter(|point| !journal.rows.contains_key(point)).collect()
    }

    /// The rows of `points`, in their order.
    pub(super) fn rows(&self, points: &[u64]) -> Vec<Row> {
        let journal = self.journal();
        points.iter().filter_map(|point| journal.rows.get(point).cloned()).collect()
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.journal().rows.len()
    }

    /// Whether there was nothing left to evaluate when it was opened.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// The points that are on the front so far, and those of them whose runs the report shows.
    pub(super) fn front(&self) -> (Vec<u64>, Vec<u64>) {
        let rows: Vec<Row> = self.journal().rows.values().cloned().collect();
        let front = Front::of(self.space, &rows);
        (front.rows().map(|row| row.point).collect(), shown_runs(&front))
    }

    /// The runs that were left when it was finished.
    pub(super) fn runs(&self) -> Result<Runs, CliError> {
        finished_runs(&self.path)
    }

    /// Puts everything in place; the rows in order.
    pub(super) fn finish(self, identity: &Identity, runs: &Runs) -> Result<Vec<Row>, CliError> {
        let Folder { path, space, journal, progress, finished: _ } = self;
        drop(progress);
        let Journal { file, rows, .. } =
            journal.into_inner().unwrap_or_else(PoisonError::into_inner);
        let rows: Vec<Row> = rows.into_values().collect();
        write_results(&path, space, identity, &rows, runs)?;
        let partial = path.join(PARTIAL);
        std::fs::remove_file(&partial)
            .map_err(|e| CliError::in_file(&partial, describe(&partial, &e)))?;
        drop(file);
        Ok(rows)
    }
}

impl Sink for Folder<'_> {
    fn row(&self, row: Row) -> Result<(), String> {
        let mut journal = self.journal();
        // In one piece, so that a line is whole unless the write itself is cut short.
        let line = format!("{}\n", row.line);
        let written = journal.file.write_all(line.as_bytes()).and_then(|()| {
            if journal.synced.elapsed() < SYNC_AFTER {
                return Ok(());
            }
            journal.synced = Instant::now();
            journal.file.sync_data()
        });
        written.map_err(|e| {
            format!("{}: cannot be written: {e}", self.path.join(PARTIAL).display())
        })?;
        journal.rows.insert(row.point, row);
        if let Some(progress) = &self.progress {
            progress.tick();
        }
        Ok(())
    }
}

/// Writes what a sweep leaves; all files appear whole.
pub(super) fn write_results(
    folder: &Path,
    space: &Space,
    identity: &Identity,
    rows: &[Row],
    runs: &Runs,
) -> Result<(), CliError> {
    let front = Front::of(space, rows);
    let mut points = Output::open(&folder.join(POINTS))?;
    for row in rows {
        points.put(row.line.as_bytes())?;
        points.put(b"\n")?;
    }
    let mut best = Output::open(&folder.join(FRONT))?;
    best.put(front.to_csv().as_bytes())?;
    let mut report = Output::open(&folder.join(REPORT))?;
    report.put(page(space, rows, &identity.about(), runs).as_bytes())?;
    let mut picture = Output::open(&folder.join(PICTURE))?;
    picture.put(chart(space, rows, &front).file().as_bytes())?;
    let mut drawn = Output::open(&folder.join(RUNS))?;
    for (&point, html) in runs {
        let line = RunLine { point, html: html.clone() };
        let line = serde_json::to_string(&line).map_err(CliError::refused)?;
        drawn.put(format!("{line}\n").as_bytes())?;
    }
    Output::finish(vec![points, best, report, picture, drawn])
}

/// The runs that a finished sweep left.
pub(super) fn finished_runs(folder: &Path) -> Result<Runs, CliError> {
    let path = folder.join(RUNS);
    let mut runs = Runs::new();
    for (number, line) in text(&path)?.lines().enumerate() {
        let RunLine { point, html } = serde_json::from_str(line)
            .map_err(|e| CliError::in_file(&path, format!("line {}: {e}", number + 1)))?;
        runs.insert(point, html);
    }
    Ok(runs)
}

/// The rows of a finished sweep.
pub(super) fn finished_rows(folder: &Path, space: &Space) -> Result<BTreeMap<u64, Row>, CliError> {
    let path = folder.join(POINTS);
    if !path.exists() && folder.join(PARTIAL).exists() {
        return Err(CliError::in_file(
            folder,
            "is not finished\n  hint: run it again with --resume",
        ));
    }
    let mut rows = BTreeMap::new();
    add_rows(&path, &text(&path)?, space, &mut rows)?;
    Ok(rows)
}

fn text(path: &Path) -> Result<String, CliError> {
    String::from_utf8(read_file(path)?).map_err(|_| CliError::in_file(path, "is not text"))
}

fn add_rows(
    path: &Path,
    lines: &str,
    space: &Space,
    rows: &mut BTreeMap<u64, Row>,
) -> Result<(), CliError> {
    for (number, line) in lines.lines().enumerate() {
        let row = Row::parse(space, line)
            .map_err(|e| CliError::in_file(path, format!("line {} {e}", number + 1)))?;
        rows.insert(row.point, row);
    }
    Ok(())
}

/// Removes what a killed process left half-written.
fn remove_scraps(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(".partial") {
            // What cannot be removed does no harm.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
