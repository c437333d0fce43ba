//! Reading the pickles that hold a PyTorch state dict.
//!
//! A pickle is a program for a stack machine that can call anything Python can. This machine knows the instructions that tensors, tuples and
//! dictionaries need, and four names; every other instruction or name is refused, and nothing is ever called. Objects live in one arena
//! and refer to each other by index, so shared objects cost nothing and nothing recurses.
//!
//! Format: the Python module `pickletools`, protocol 2.

use std::collections::BTreeMap;

/// Objects that one pickle may make. A state dict takes about 30 for each tensor.
const MAX_OBJECTS: usize = 1 << 20;

/// Why a pickle is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PickleError {
    /// The bytes end within an instruction, or before the end of the pickle.
    #[error("byte {0}: the pickle is cut off")]
    Short(usize),
    /// An instruction that state dicts do not need.
    #[error("byte {at}: pickle instruction {code:#04x} is not read")]
    Instruction { at: usize, code: u8 },
    /// A class or function that state dicts do not need.
    #[error("byte {at}: the pickle names `{name}`, which is not one of those that make tensors")]
    Name { at: usize, name: String },
    /// An instruction that does not suit what is on the stack.
    #[error("byte {0}: the pickle is malformed")]
    Malformed(usize),
    /// More objects than any state dict has.
    #[error("the pickle makes more than {MAX_OBJECTS} objects")]
    TooMany,
}

/// Index of an object in the arena.
pub(super) type Ref = usize;

/// The names that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    FloatStorage,
    LongStorage,
    RebuildTensor,
}

/// What a pickle makes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer too large to matter, by its little-endian bytes.
    Long(&'a [u8]),
    Text(&'a str),
    Tuple(Vec<Ref>),
    List(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    Global(Global),
    /// Something outside the pickle, by the tuple that identifies it.
    Persistent(Ref),
    /// A known function applied to a tuple.
    Called(Global, Ref),
}

/// A pickle that has been read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: Ref,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the beginning of `bytes`. Returns it and its length.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Pickle<'a>, usize), PickleError> {
        let machine = Machine {
            bytes,
            at: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
        };
        machine.run()
    }

    /// The object that the pickle stands for.
    pub(super) fn root(&self) -> &Object<'a> {
        &self.objects[self.root]
    }

    /// An object that another one refers to.
    pub(super) fn get(&self, object: Ref) -> &Object<'a> {
        &self.objects[object]
    }

    /// What all objects outside the pickle are identified by.
    pub(super) fn persistent_ids(&self) -> impl Iterator<Item = Ref> + '_ {
        self.objects.iter().filter_map(|object| match object {
            Object::Persistent(id) => Some(*id),
            _ => None,
        })
    }

    /// The elements of a tuple.
    pub(super) fn tuple(&self, object: Ref) -> Option<&[Ref]> {
        match self.get(object) {
            Object::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// A number that is not negative.
    pub(super) fn size(&self, object: Ref) -> Option<usize> {
        match self.get(object) {
            Object::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A text.
    pub(super) fn text(&self, object: Ref) -> Option<&'a str> {
        match self.get(object) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object<'a>>,
    stack: Vec<Ref>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, Ref>,
}

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<(Pickle<'a>, usize), PickleError> {
        loop {
            let at = self.at;
            let [code] = self.array()?;
            if code == b'.' {
                let root = self.pop()?;
                return Ok((Pickle { objects: self.objects, root }, self.at));
            }
            self.step(code, at)?;
        }
    }

    fn step(&mut self, code: u8, at: usize) -> Result<(), PickleError> {
        match code {
            // PROTO; the instructions are the same in all that are read.
            0x80 => self.array::<1>().map(|_| ()),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'N' => self.push(Object::None),
            0x88 => self.push(Object::Bool(true)),
            0x89 => self.push(Object::Bool(false)),
            b'K' => {
                let [byte] = self.array()?;
                self.push(Object::Int(i64::from(byte)))
            }
            b'M' => {
                let bytes = self.array()?;
                self.push(Object::Int(i64::from(u16::from_le_bytes(bytes))))
            }
            b'J' => {
                let bytes = self.array()?;
                self.push(Object::Int(i64::from(i32::from_le_bytes(bytes))))
            }
            0x8a => {
                let [len] = self.array()?;
                let bytes = self.take(usize::from(len))?;
                self.push(Object::Long(bytes))
            }
            b'X' => {
                let len = u32::from_le_bytes(self.array()?);
                let bytes = self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
                let text = std::str::from_utf8(bytes).map_err(|_| PickleError::Malformed(at))?;
                self.push(Object::Text(text))
            }
            b'c' => {
                let global = self.global(at)?;
                self.push(Object::Global(global))
            }
            b'}' => self.push(Object::Dict(Vec::new())),
            b']' => self.push(Object::List(Vec::new())),
            b')' => self.push(Object::Tuple(Vec::new())),
            b't' => {
                let elements = self.pop_mark()?;
                self.push(Object::Tuple(elements))
            }
            0x85 => {
                let element = self.pop()?;
                self.push(Object::Tuple(vec![element]))
            }
            0x86 => {
                let second = self.pop()?;
                let first = self.pop()?;
                self.push(Object::Tuple(vec![first, second]))
            }
            b'e' => {
                let elements = self.pop_mark()?;
                match self.top()? {
                    Object::List(list) => list.extend(elements),
                    _ => return Err(PickleError::Malformed(at)),
                }
                Ok(())
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert([(key, value)], at)
            }
            b'u' => {
                let elements = self.pop_mark()?;
                if !elements.len().is_multiple_of(2) {
                    return Err(PickleError::Malformed(at));
                }
                self.insert(elements.chunks_exact(2).map(|pair| (pair[0], pair[1])), at)
            }
            b'R' => {
                let arguments = self.pop()?;
                let callee = self.pop()?;
                self.reduce(callee, arguments, at)
            }
            // BUILD: attributes of the object below; of a state dict they say nothing about its tensors.
            b'b' => {
                self.pop()?;
                self.top().map(|_| ())
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Object::Persistent(id))
            }
            b'q' => {
                let [index] = self.array()?;
                self.put(u32::from(index))
            }
            b'r' => {
                let index = self.array()?;
                self.put(u32::from_le_bytes(index))
            }
            b'h' => {
                let [index] = self.array()?;
                self.recall(u32::from(index), at)
            }
            b'j' => {
                let index = self.array()?;
                self.recall(u32::from_le_bytes(index), at)
            }
            code => Err(PickleError::Instruction { at, code }),
        }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..len).ok_or(PickleError::Short(self.bytes.len()))?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| PickleError::Short(self.bytes.len()))
    }

    /// Up to the end of the line.
    fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(len.ok_or(PickleError::Short(self.bytes.len()))?)?;
        self.at += 1;
        Ok(line)
    }

    /// A class or function, by module and name.
    fn global(&mut self, at: usize) -> Result<Global, PickleError> {
        let (module, name) = (self.line()?, self.line()?);
        match (module, name) {
            (b"collections", b"OrderedDict") => Ok(Global::OrderedDict),
            (b"torch", b"FloatStorage") => Ok(Global::FloatStorage),
            (b"torch", b"LongStorage") => Ok(Global::LongStorage),
            (b"torch._utils", b"_rebuild_tensor_v2") => Ok(Global::RebuildTensor),
            _ => {
                let text = |bytes: &[u8]| -> String {
                    String::from_utf8_lossy(bytes).chars().take(60).collect()
                };
                let name = format!("{}.{}", text(module), text(name));
                Err(PickleError::Name { at, name })
            }
        }
    }

    /// A call: an ordered dictionary is made at once, a tensor only described.
    fn reduce(&mut self, callee: Ref, arguments: Ref, at: usize) -> Result<(), PickleError> {
        match (&self.objects[callee], &self.objects[arguments]) {
            (Object::Global(Global::OrderedDict), Object::Tuple(arguments))
                if arguments.is_empty() =>
            {
                self.push(Object::Dict(Vec::new()))
            }
            (Object::Global(Global::RebuildTensor), Object::Tuple(_)) => {
                self.push(Object::Called(Global::RebuildTensor, arguments))
            }
            _ => Err(PickleError::Malformed(at)),
        }
    }

    fn push(&mut self, object: Object<'a>) -> Result<(), PickleError> {
        if self.objects.len() == MAX_OBJECTS {
            return Err(PickleError::TooMany);
        }
        self.stack.push(self.objects.len());
        self.objects.push(object);
        Ok(())
    }

    /// Takes the top of the stack, which must be above the last mark.
    fn pop(&mut self) -> Result<Ref, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.pop().filter(|_| self.stack.len() >= floor);
        top.ok_or(PickleError::Malformed(self.at))
    }

    fn pop_mark(&mut self) -> Result<Vec<Ref>, PickleError> {
        let mark = self.marks.pop().ok_or(PickleError::Malformed(self.at))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn top(&mut self) -> Result<&mut Object<'a>, PickleError> {
        let top = self.stack.last().ok_or(PickleError::Malformed(self.at))?;
        Ok(&mut self.objects[*top])
    }

    fn insert(
        &mut self,
        items: impl IntoIterator<Item = (Ref, Ref)>,
        at: usize,
    ) -> Result<(), PickleError> {
        match self.top()? {
            Object::Dict(dict) => {
                dict.extend(items);
                Ok(())
            }
            _ => Err(PickleError::Malformed(at)),
        }
    }

    fn put(&mut self, index: u32) -> Result<(), PickleError> {
        let top = *self.stack.last().ok_or(PickleError::Malformed(self.at))?;
        self.memo.insert(index, top);
        Ok(())
    }

    /// Pushes a remembered object again; it stays the same object.
    fn recall(&mut self, index: u32, at: usize) -> Result<(), PickleError> {
        let object = *self.memo.get(&index).ok_or(PickleError::Malformed(at))?;
        if self.stack.len() >= MAX_OBJECTS {
            return Err(PickleError::TooMany);
        }
        self.stack.push(object);
        Ok(())
    }
}
