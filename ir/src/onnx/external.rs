//! Reading files: the model itself and the weight files beside it, all through memory maps.
//!
//! A model may name its weight files, and the model may come from anybody. So a path must be relative, must not step
//! upwards, and what it resolves to, symbolic links followed, must lie inside the model's folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use super::error::TensorProtoError;
use super::proto::TensorProto;

/// Maps a regular file. `Ok(None)` when the path names something else.
pub(super) fn map_file(path: &Path) -> io::Result<Option<Bytes>> {
    // Asked before opening, because opening a pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Some(Bytes::new()));
    }
    Ok(Some(Bytes::from_owner(map(&file)?)))
}

#[expect(
    unsafe_code,
    reason = "mapping a file is the one thing the standard library cannot do safely"
)]
fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the map is read-only and private to this process. As with every mapped file, another process that
    // shortens or rewrites the file meanwhile can change the bytes or raise a bus error; users are told not to.
    unsafe { memmap2::Mmap::map(file) }
}

/// The weight files of one model, each mapped once.
pub(super) struct External {
    /// The model's folder, resolved; `None` for a model that came as bytes.
    folder: Option<PathBuf>,
    maps: BTreeMap<PathBuf, Bytes>,
}

impl External {
    /// Files in `folder`.
    pub(super) fn new(folder: Option<PathBuf>) -> External {
        External { folder, maps: BTreeMap::new() }
    }

    /// The bytes that `tensor.external_data` names, borrowed from the map.
    pub(super) fn bytes(&mut self, tensor: &TensorProto) -> Result<Bytes, TensorProtoError> {
        let entry = |key: &str| {
            tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str())
        };
        let number = |key: &'static str| match entry(key) {
            None => Ok(None),
            Some(text) => {
                text.parse::<u64>().map(Some).map_err(|_| TensorProtoError::ExternalKey(key))
            }
        };
        let location = entry("location").ok_or(TensorProtoError::ExternalKey("location"))?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let file = self.file(location)?;
        let size = file.len() as u64;
        let end = length.map_or(size, |length| offset.saturating_add(length));
        match (usize::try_from(offset), usize::try_from(end)) {
            (Ok(start), Ok(stop)) if start <= stop && stop <= file.len() => {
                Ok(file.slice(start..stop))
            }
            _ => Err(TensorProtoError::ExternalRange {
                location: location.to_owned(),
                offset,
                end,
                size,
            }),
        }
    }

    fn file(&mut self, location: &str) -> Result<Bytes, TensorProtoError> {
        let outside = || TensorProtoError::ExternalPath(location.to_owned());
        let unreadable =
            |source| TensorProtoError::ExternalIo { location: location.to_owned(), source };
        let folder = self.folder.as_deref().ok_or(TensorProtoError::NoFolder)?;
        let relative = Path::new(location);
        if relative
            .components()
            .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(outside());
        }
        let folder = folder.canonicalize().map_err(unreadable)?;
        let path = folder.join(relative).canonicalize().map_err(unreadable)?;
        if !path.starts_with(&folder) {
            return Err(outside());
        }
        if let Some(bytes) = self.maps.get(&path) {
            return Ok(bytes.clone());
        }
        let bytes = map_file(&path).map_err(unreadable)?.ok_or_else(outside)?;
        self.maps.insert(path, bytes.clone());
        Ok(bytes)
    }
}
