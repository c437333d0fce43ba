//! Value change dump: text, one change a line.

use std::io::{self, Write};

use super::signals::{Scope, TOP};
use super::{Sink, Value};

/// Printable characters that short names are made of.
const FIRST: u8 = b'!';
const LAST: u8 = b'~';

/// A VCD file in the making.
pub(super) struct Vcd<W> {
    out: W,
    signals: Vec<Declared>,
}

/// A signal as the text names it.
struct Declared {
    /// Its short name.
    code: Vec<u8>,
    bits: u32,
}

impl<W: Write> Vcd<W> {
    /// Writes the header.
    pub(super) fn new(mut out: W, scopes: &[Scope]) -> io::Result<Vcd<W>> {
        let mut signals = Vec::new();
        writeln!(out, "$version qcc {} $end", env!("CARGO_PKG_VERSION"))?;
        writeln!(out, "$timescale 1 ps $end\n$scope module {TOP} $end")?;
        for scope in scopes {
            writeln!(out, "$scope module {} $end", scope.name)?;
            for variable in &scope.variables {
                let code = short_name(signals.len());
                let kind = if variable.constant { "parameter" } else { "wire" };
                write!(out, "$var {kind} {} ", variable.bits)?;
                out.write_all(&code)?;
                writeln!(out, " {} $end", variable.declared_name())?;
                signals.push(Declared { code, bits: variable.bits });
            }
            writeln!(out, "$upscope $end")?;
        }
        writeln!(out, "$upscope $end\n$enddefinitions $end\n#0")?;
        Ok(Vcd { out, signals })
    }
}

/// The short name of the signal `index`: digits of base 94, low first.
fn short_name(mut index: usize) -> Vec<u8> {
    const BASE: usize = (LAST - FIRST) as usize + 1;
    let mut name = Vec::new();
    loop {
        name.push(FIRST + (index % BASE) as u8);
        index /= BASE;
        if index == 0 {
            return name;
        }
    }
}

impl<W: Write> Sink for Vcd<W> {
    fn time(&mut self, ps: u64) -> io::Result<()> {
        // The header has said 0 already.
        if ps == 0 { Ok(()) } else { writeln!(self.out, "#{ps}") }
    }

    fn change(&mut self, signal: usize, value: Value) -> io::Result<()> {
        let Declared { code, bits } = &self.signals[signal];
        // `b`, 32 digits, a space, a short name, an end of line.
        let mut line = [0; 48];
        let mut len = 0;
        let mut push = |byte| {
            line[len] = byte;
            len += 1;
        };
        if *bits > 1 {
            push(b'b');
        }
        match value {
            None => push(b'x'),
            Some(value) => {
                let digits = (32 - value.leading_zeros()).max(1);
                (0..digits).rev().for_each(|bit| push(b'0' + (value >> bit & 1) as u8));
            }
        }
        if *bits > 1 {
            push(b' ');
        }
        code.iter().for_each(|&byte| push(byte));
        push(b'\n');
        self.out.write_all(&line[..len])
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}
