//! Progress on stderr: only on a terminal, with the rate and the time left, and gone without a trace when done.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::{Talk, Verbosity};

/// A bar or a spinner; nothing when stderr is no terminal or talk is unwanted.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar over `count` things, `what` they are called.
    pub(crate) fn over(talk: Talk, what: &'static str, count: usize) -> Progress {
        let style = ProgressStyle::with_template(
            "{msg} [{bar:30}] {human_pos}/{human_len}  {per_sec}, {eta} left",
        );
        Progress::start(talk, what, Some(count as u64), style)
    }

    /// A spinner for a stage whose length is not known.
    pub(crate) fn stage(talk: Talk, what: &'static str) -> Progress {
        let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
        Progress::start(talk, what, None, style)
    }

    fn start(
        talk: Talk,
        what: &'static str,
        count: Option<u64>,
        style: Result<ProgressStyle, indicatif::style::TemplateError>,
    ) -> Progress {
        // Draws nothing unless stderr is a terminal.
        let target = match talk.verbosity {
            Verbosity::Quiet => ProgressDrawTarget::hidden(),
            Verbosity::Normal | Verbosity::Verbose => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(count, target).with_message(what);
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("#> "));
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Progress(bar)
    }

    /// One more is done.
    pub(crate) fn tick(&self) {
        self.0.inc(1);
    }
}

/// Bars of stages that follow each other: one is drawn at a time.
pub(crate) struct Stages {
    talk: Talk,
    current: Mutex<Option<Progress>>,
}

impl Stages {
    pub(crate) fn new(talk: Talk) -> Stages {
        Stages { talk, current: Mutex::new(None) }
    }

    /// A stage of `count` steps begins; the one before is over.
    pub(crate) fn begin(&self, what: &'static str, count: usize) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // The old one goes before the new one draws.
        *current = None;
        *current = Some(Progress::over(self.talk, what, count));
    }

    /// A step of the stage is done.
    pub(crate) fn tick(&self) {
        if let Some(progress) = self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref()
        {
            progress.tick();
        }
    }

    /// Says a line; nothing draws meanwhile.
    pub(crate) fn line(&self, text: &str) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.talk.note(text.trim_end());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
