//! A PyTorch state dict, in the form that files had before PyTorch 1.6, without PyTorch.
//!
//! The file is five pickles one behind the other (a magic number, a protocol version, properties of the machine, the dictionary, the list of
//! storages), then the storages in the order of that list: a count of elements in 8 bytes, then the elements, little-endian. A tensor is a window
//! on a storage: offset, extents and strides in elements. One that is stored row by row keeps pointing into the file; others, such as weights that
//! came from a framework with another order of axes, are gathered.
//!
//! Format: what `torch.load` of PyTorch 1.5 reads.

use std::collections::BTreeMap;

use bytes::Bytes;
use ir::tensor::{Data, Tensor, TensorError, element_count};

use super::pickle::{Global, Object, Pickle, PickleError, Ref};

/// Little-endian bytes of the magic number.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Version of the form.
const PROTOCOL: i64 = 1001;

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDictError {
    /// A zip file, which is the newer form.
    #[error("is a state dict in the zip form, which is not read")]
    Zip,
    /// Not a state dict of this form.
    #[error("is not a PyTorch state dict")]
    Magic,
    /// A pickle is refused.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// The pickles do not say what they should.
    #[error("{what} is not what a state dict has there")]
    Unexpected { what: &'static str },
    /// A storage that the file does not hold, or not as announced.
    #[error("storage `{key}`: {reason}")]
    Storage { key: String, reason: &'static str },
    /// A tensor that does not fit its storage.
    #[error("tensor `{name}`: {reason}")]
    Tensor { name: String, reason: &'static str },
    /// Extents and elements of a tensor disagree.
    #[error("tensor `{name}`: {source}")]
    Shape { name: String, source: TensorError },
}

/// Tensors by name: floats, and the integers that count batches.
pub(crate) type StateDict = BTreeMap<String, Tensor>;

/// Reads a file.
///
/// # Errors
/// A file of another form, or one whose parts do not fit together.
pub(crate) fn read(file: &Bytes) -> Result<StateDict, StateDictError> {
    if file.starts_with(b"PK") {
        return Err(StateDictError::Zip);
    }
    let mut at = 0;
    let mut next = || {
        let (pickle, len) = Pickle::read(file.get(at..).unwrap_or_default())?;
        at += len;
        Ok::<_, PickleError>(pickle)
    };
    let magic = next().map_err(|_| StateDictError::Magic)?;
    if *magic.root() != Object::Long(&MAGIC) {
        return Err(StateDictError::Magic);
    }
    if *next()?.root() != Object::Int(PROTOCOL) {
        return Err(StateDictError::Unexpected { what: "the protocol version" });
    }
    check_machine(&next()?)?;
    let (dict, keys) = (next()?, next()?);
    let storages = Storages::read(file, at, &dict, &keys)?;
    let Object::Dict(items) = dict.root() else {
        return Err(StateDictError::Unexpected { what: "the dictionary" });
    };
    let mut tensors = StateDict::new();
    let mut copied_bytes = 0;
    for &(name, value) in items {
        let name = dict
            .text(name)
            .ok_or(StateDictError::Unexpected { what: "a name in the dictionary" })?;
        let tensor = storages.tensor(file, &dict, name, value, &mut copied_bytes)?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

/// Elements are little-endian.
fn check_machine(pickle: &Pickle<'_>) -> Result<(), StateDictError> {
    let Object::Dict(items) = pickle.root() else {
        return Err(StateDictError::Unexpected { what: "the description of the machine" });
    };
    let little = items.iter().any(|&(key, value)| {
        pickle.text(key) == Some("little_endian") && *pickle.get(value) == Object::Bool(true)
    });
    if little { Ok(()) } else { Err(StateDictError::Unexpected { what: "the byte order" }) }
}

/// Element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Float,
    Long,
}

impl Kind {
    const fn bytes(self) -> usize {
        match self {
            Kind::Float => 4,
            Kind::Long => 8,
        }
    }
}

/// A run of elements in the file.
#[derive(Clone, Copy, Debug)]
struct Storage {
    kind: Kind,
    count: usize,
    /// First byte in the file.
    begin: usize,
}

/// All storages by key.
struct Storages<'a>(BTreeMap<&'a str, Storage>);

/// The key, element type and count that a persistent id names:
/// `("storage", type, key, device, count, view)`.
fn identify<'a>(dict: &Pickle<'a>, id: Ref) -> Option<(&'a str, Kind, usize)> {
    let &[tag, kind, key, _device, count, view] = dict.tuple(id)? else { return None };
    let kind = match dict.get(kind) {
        Object::Global(Global::FloatStorage) => Kind::Float,
        Object::Global(Global::LongStorage) => Kind::Long,
        _ => return None,
    };
    let whole = dict.text(tag) == Some("storage") && *dict.get(view) == Object::None;
    whole.then_some(())?;
    Some((dict.text(key)?, kind, dict.size(count)?))
}

impl<'a> Storages<'a> {
    /// Finds the storages behind byte `at`. Their types are told by the dictionary, their order by the list of keys.
    fn read(
        file: &Bytes,
        mut at: usize,
        dict: &Pickle<'a>,
        keys: &Pickle<'a>,
    ) -> Result<Storages<'a>, StateDictError> {
        let mut announced: BTreeMap<&str, (Kind, usize)> = BTreeMap::new();
        for id in dict.persistent_ids() {
            let (key, kind, count) = identify(dict, id)
                .ok_or(StateDictError::Unexpected { what: "the name of a storage" })?;
            if announced.insert(key, (kind, count)).is_some_and(|other| other != (kind, count)) {
                let reason = "is announced in two ways";
                return Err(StateDictError::Storage { key: key.to_owned(), reason });
            }
        }
        let Object::List(list) = keys.root() else {
            return Err(StateDictError::Unexpected { what: "the list of storages" });
        };
        let mut found = BTreeMap::new();
        for &key in list {
            let key = keys
                .text(key)
                .ok_or(StateDictError::Unexpected { what: "a key in the list of storages" })?;
            let wrong = |reason| StateDictError::Storage { key: key.to_owned(), reason };
            let &(kind, count) = announced.get(key).ok_or(wrong("belongs to no tensor"))?;
            let head = file.get(at..).and_then(|rest| rest.first_chunk::<8>());
            let held = u64::from_le_bytes(*head.ok_or(wrong("the file is cut off"))?);
            if usize::try_from(held) != Ok(count) {
                return Err(wrong("holds another number of elements than announced"));
            }
            let begin = at + 8;
            let end = count.checked_mul(kind.bytes()).and_then(|len| begin.checked_add(len));
            at = end.filter(|&end| end <= file.len()).ok_or(wrong("the file is cut off"))?;
            found.insert(key, Storage { kind, count, begin });
        }
        if at != file.len() {
            return Err(StateDictError::Unexpected { what: "something behind the storages" });
        }
        Ok(Storages(found))
    }

    /// The tensor that a value of the dictionary describes:
    /// `_rebuild_tensor_v2(storage, offset, extents, strides, requires_grad, hooks)`.
    fn tensor(
        &self,
        file: &Bytes,
        dict: &Pickle<'a>,
        name: &str,
        value: Ref,
        copied_bytes: &mut usize,
    ) -> Result<Tensor, StateDictError> {
        let wrong = |reason| StateDictError::Tensor { name: name.to_owned(), reason };
        let malformed = || wrong("is not described as a tensor");
        let shaped = |shape, data| {
            Tensor::new(shape, data)
                .map_err(|source| StateDictError::Shape { name: name.to_owned(), source })
        };
        let Object::Called(Global::RebuildTensor, arguments) = dict.get(value) else {
            return Err(malformed());
        };
        let Some(&[storage, offset, extents, strides, _grad, _hooks]) = dict.tuple(*arguments)
        else {
            return Err(malformed());
        };
        let Object::Persistent(id) = dict.get(storage) else { return Err(malformed()) };
        let (key, ..) = identify(dict, *id).ok_or_else(malformed)?;
        let storage = *self.0.get(key).ok_or_else(|| wrong("its storage is not in the file"))?;
        let sizes = |tuple: Ref| -> Option<Vec<usize>> {
            dict.tuple(tuple)?.iter().map(|&size| dict.size(size)).collect()
        };
        let shape = sizes(extents).ok_or_else(malformed)?;
        let strides = sizes(strides).ok_or_else(malformed)?;
        let offset = dict.size(offset).ok_or_else(malformed)?;
        if shape.len() != strides.len() {
            return Err(malformed());
        }
        let count = element_count(&shape).ok_or_else(|| wrong("is too large"))?;
        let last = shape.iter().zip(&strides).try_fold(offset, |last, (&extent, &stride)| {
            last.checked_add(extent.saturating_sub(1).checked_mul(stride)?)
        });
        if count > 0 && last.is_none_or(|last| last >= storage.count) {
            return Err(wrong("reaches beyond its storage"));
        }
        let width = storage.kind.bytes();
        let begin = |element: usize| storage.begin + element * width;
        if storage.kind == Kind::Float && count > 0 && is_row_major(&shape, &strides) {
            let bytes = file.slice(begin(offset)..begin(offset + count));
            return shaped(shape, Data::MappedF32(bytes));
        }
        // Strides of 0 and shared storages could make much out of little.
        *copied_bytes = count.saturating_mul(width).saturating_add(*copied_bytes);
        if *copied_bytes > file.len() {
            return Err(wrong("has, with those before it, more elements than the file"));
        }
        let element = |flat: usize| {
            let axes = shape.iter().zip(&strides).rev();
            let (_, at) = axes.fold((flat, offset), |(rest, at), (&extent, &stride)| {
                (rest / extent, at + rest % extent * stride)
            });
            begin(at)
        };
        let data = match storage.kind {
            Kind::Float => {
                Data::F32((0..count).map(|i| f32::from_le_bytes(chunk(file, element(i)))).collect())
            }
            Kind::Long => {
                Data::I64((0..count).map(|i| i64::from_le_bytes(chunk(file, element(i)))).collect())
            }
        };
        shaped(shape, data)
    }
}

/// The bytes of an element, which lies in the file.
fn chunk<const N: usize>(file: &[u8], begin: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&file[begin..begin + N]);
    bytes
}

/// Whether elements follow each other in the order of the extents. The stride of an extent of 1 does not matter.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    shape.iter().zip(strides).rev().all(|(&extent, &stride)| {
        let fits = extent == 1 || stride == step;
        step *= extent;
        fits
    })
}

#[cfg(test)]
mod tests;
