//! Fast signal trace: the catalogue and the changes, handed to the library in sections of bounded size.

use std::io::{self, Seek, Write};

use fst_writer::{
    FstBodyWriter, FstFileType, FstHeaderWriter, FstInfo, FstScopeType, FstSignalId, FstSignalType,
    FstVarDirection, FstVarType, FstWriteError,
};

use super::signals::{Scope, TOP};
use super::{Sink, Value};

/// Changes are kept until they take this much memory, then compressed and written.
pub(super) const SECTION_BYTES: usize = 4 << 20;

/// An FST file in the making.
pub(super) struct Fst<W: Write + Seek> {
    body: FstBodyWriter<W>,
    signals: Vec<(FstSignalId, u32)>,
    section_bytes: usize,
    /// Whether time has moved since the section began.
    moved: bool,
}

fn told(error: FstWriteError) -> io::Error {
    match error {
        FstWriteError::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl<W: Write + Seek> Fst<W> {
    /// Writes the header.
    pub(super) fn new(out: W, scopes: &[Scope], section_bytes: usize) -> io::Result<Fst<W>> {
        let info = FstInfo {
            start_time: 0,
            timescale_exponent: -12,
            version: format!("qcc {}", env!("CARGO_PKG_VERSION")),
            // Equal runs give equal bytes.
            date: String::new(),
            file_type: FstFileType::Verilog,
        };
        let mut signals = Vec::new();
        let body = (|| {
            let mut header = FstHeaderWriter::new(out, &info)?;
            header.scope(TOP, "", FstScopeType::Module)?;
            for scope in scopes {
                header.scope(scope.name, "", FstScopeType::Module)?;
                for variable in &scope.variables {
                    let kind =
                        if variable.constant { FstVarType::Parameter } else { FstVarType::Wire };
                    let id = header.var(
                        variable.declared_name(),
                        FstSignalType::bit_vec(variable.bits),
                        kind,
                        FstVarDirection::Implicit,
                        None,
                    )?;
                    signals.push((id, variable.bits));
                }
                header.up_scope()?;
            }
            header.up_scope()?;
            header.finish()
        })()
        .map_err(told)?;
        // What the library keeps from the beginning does not count.
        let section_bytes = section_bytes + body.size();
        Ok(Fst { body, signals, section_bytes, moved: false })
    }
}

impl<W: Write + Seek> Sink for Fst<W> {
    fn time(&mut self, ps: u64) -> io::Result<()> {
        // A section can end only right before a step of time, and only after one.
        if self.moved && self.body.size() > self.section_bytes {
            self.body.flush().map_err(told)?;
        }
        self.moved = ps > 0;
        self.body.time_change(ps).map_err(told)
    }

    fn change(&mut self, signal: usize, value: Value) -> io::Result<()> {
        let (id, bits) = self.signals[signal];
        let mut digits = [b'x'; 32];
        let digits = &mut digits[..bits as usize];
        if let Some(value) = value {
            for (digit, bit) in digits.iter_mut().zip((0..bits).rev()) {
                *digit = b'0' + (value >> bit & 1) as u8;
            }
        }
        self.body.signal_change(id, digits).map_err(told)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.body.finish().map_err(told)?.flush()
    }
}
