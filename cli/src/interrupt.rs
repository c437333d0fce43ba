//! Ctrl-C and the like: what is half-written goes, what was there before stays, and the exit code says what happened.
//!
//! Everything that must not outlive the process unless it is finished is a [`Scrap`]. They are listed in one place behind one lock; who
//! ends the process takes the lock and never gives it back, so nothing is made or put in place after the list was cleared.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static SCRAPS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn scraps() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    SCRAPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets an interrupt or a request to terminate clear what is unfinished and end the process with 128 and the signal's number (130
/// for Ctrl-C). A file that outgrows its limit becomes an error of the write instead of the end of the process.
#[cfg(unix)]
pub(crate) fn watch() {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGXFSZ]) else {
        // Without it an interrupt ends the process as it does any other.
        return;
    };
    let watcher = move || {
        if let Some(signal) = signals.forever().find(|signal| *signal != SIGXFSZ) {
            let held = scraps();
            held.iter().for_each(|path| remove(path));
            std::process::exit(128 + signal);
        }
    };
    // As above if there is no thread to be had.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(watcher);
}

/// Interrupts end the process as they do any other.
#[cfg(not(unix))]
pub(crate) fn watch() {}

/// A file or folder that is removed unless it is put in place.
pub(crate) struct Scrap(PathBuf);

impl Scrap {
    /// Makes it at `path` by `make`.
    pub(crate) fn make<T>(
        path: PathBuf,
        make: impl FnOnce(&Path) -> io::Result<T>,
    ) -> io::Result<(Scrap, T)> {
        let mut held = scraps();
        let made = make(&path)?;
        held.insert(path.clone());
        Ok((Scrap(path), made))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Renames each to its place, without an interrupt in between.
    ///
    /// # Errors
    /// The first place that cannot be had, with the reason; those before it are taken.
    pub(crate) fn put_in_place(scraps: Vec<(Scrap, PathBuf)>) -> Result<(), (PathBuf, io::Error)> {
        let mut held = self::scraps();
        for (scrap, place) in &scraps {
            std::fs::rename(&scrap.0, place).map_err(|e| (place.clone(), e))?;
            held.remove(&scrap.0);
        }
        Ok(())
    }
}

impl Drop for Scrap {
    fn drop(&mut self) {
        if scraps().remove(&self.0) {
            remove(&self.0);
        }
    }
}

fn remove(path: &Path) {
    // Whatever cannot be removed stays: there is nobody left to tell.
    let _ = match path.is_dir() {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
}
