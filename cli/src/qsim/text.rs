//! `qsim asm`, `qsim disasm`.

use std::path::Path;

use isa::Program;

use crate::error::{CliError, read_file};
use crate::output::{Talk, check_distinct, print, write_file};

/// Reads and validates a program.
pub(crate) fn load(path: &Path) -> Result<Program, CliError> {
    Program::from_bytes(&read_file(path)?).map_err(|e| CliError::in_file(path, e))
}

/// Assembles a text file.
pub(super) fn assemble(source: &Path, output: Option<&Path>, talk: Talk) -> Result<(), CliError> {
    let text = String::from_utf8(read_file(source)?).map_err(|e| {
        CliError::in_file(source, format!("is not text (byte {})", e.utf8_error().valid_up_to()))
    })?;
    let program = isa::asm::assemble(&text).map_err(|errors| {
        let list: Vec<String> =
            errors.iter().map(|e| e.render(&source.display().to_string())).collect();
        CliError::Refused(format!("{}:\n{}", source.display(), list.join("\n")))
    })?;
    let target = output.map_or_else(|| source.with_extension("bin"), Path::to_path_buf);
    check_distinct(&[Some(source)], &[("-o", Some(&target))])?;
    let bytes = program.to_bytes().map_err(|e| CliError::in_file(source, e))?;
    write_file(&target, &bytes)?;
    talk.note(format_args!("wrote {}", target.display()));
    Ok(())
}

/// Prints a program as assembly.
pub(super) fn disassemble(path: &Path, output: Option<&Path>) -> Result<(), CliError> {
    check_distinct(&[Some(path)], &[("-o", output)])?;
    let text = isa::disasm::disassemble(&load(path)?);
    match output {
        Some(target) => write_file(target, text.as_bytes()),
        None => print(&text),
    }
}
