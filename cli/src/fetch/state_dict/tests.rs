//! State dicts made byte by byte.

use super::*;

/// Writes pickles.
#[derive(Default)]
struct Pickler(Vec<u8>);

impl Pickler {
    fn new() -> Pickler {
        Pickler(vec![0x80, 2])
    }

    fn op(mut self, bytes: &[u8]) -> Pickler {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Pickler {
        let len = u32::try_from(text.len()).unwrap().to_le_bytes();
        self.op(b"X").op(&len).op(text.as_bytes())
    }

    fn int(self, value: i32) -> Pickler {
        self.op(b"J").op(&value.to_le_bytes())
    }

    fn tuple(self, values: &[i32]) -> Pickler {
        values.iter().fold(self.op(b"("), |pickler, &value| pickler.int(value)).op(b"t")
    }

    /// A storage outside the pickle.
    fn storage(self, kind: &str, key: &str, count: i32) -> Pickler {
        self.op(b"(")
            .text("storage")
            .op(format!("ctorch\n{kind}\n").as_bytes())
            .text(key)
            .text("cpu")
            .int(count)
            .op(b"NtQ")
    }

    fn tensor(
        self,
        storage: (&str, &str, i32),
        offset: i32,
        shape: &[i32],
        strides: &[i32],
    ) -> Pickler {
        self.op(b"ctorch._utils\n_rebuild_tensor_v2\n(")
            .storage(storage.0, storage.1, storage.2)
            .int(offset)
            .tuple(shape)
            .tuple(strides)
            .op(b"\x89ccollections\nOrderedDict\n)RtR")
    }

    fn end(self) -> Vec<u8> {
        self.op(b".").0
    }
}

/// A file around a dictionary, with a list of storages and their elements.
fn file(dict: Vec<u8>, storages: &[(&str, u64, Vec<u8>)]) -> Vec<u8> {
    let magic = [&[0x80, 2, 0x8a, 10][..], &MAGIC, b"."].concat();
    let protocol = Pickler::new().op(b"M\xe9\x03").end();
    let machine = Pickler::new().op(b"}(").text("little_endian").op(b"\x88u").end();
    let keys = storages.iter().fold(Pickler::new().op(b"]("), |keys, (key, ..)| keys.text(key));
    let mut out = [magic, protocol, machine, dict, keys.op(b"e").end()].concat();
    for (_, count, elements) in storages {
        out.extend(count.to_le_bytes());
        out.extend(elements);
    }
    out
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

const F: (&str, &str, i32) = ("FloatStorage", "7", 6);

/// `w` [2, 2] from element 2 on, `b` [2] in the same storage, `n` an integer.
fn good() -> Vec<u8> {
    let dict = Pickler::new()
        .op(b"ccollections\nOrderedDict\n)R(")
        .text("w")
        .tensor(F, 2, &[2, 2], &[2, 1])
        .text("b")
        .tensor(F, 0, &[2], &[1])
        .text("n")
        .tensor(("LongStorage", "9", 1), 0, &[], &[])
        .op(b"u}")
        .text("_metadata")
        .op(b"Nsb")
        .end();
    let values = floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    file(dict, &[("9", 1, 42i64.to_le_bytes().to_vec()), ("7", 6, values)])
}

fn told(bytes: Vec<u8>) -> String {
    read(&Bytes::from(bytes)).unwrap_err().to_string()
}

/// A file with one tensor `w` as given.
fn one(tensor: impl FnOnce(Pickler) -> Pickler, storages: &[(&str, u64, Vec<u8>)]) -> Vec<u8> {
    let dict = Pickler::new().op(b"}(").text("w");
    file(tensor(dict).op(b"u").end(), storages)
}

#[test]
fn tensors_are_windows_on_storages() {
    let state = read(&Bytes::from(good())).unwrap();
    assert_eq!(state.keys().collect::<Vec<_>>(), ["b", "n", "w"]);
    assert_eq!(state["w"], Tensor::from_f32(&[2, 2], vec![3.0, 4.0, 5.0, 6.0]).unwrap());
    assert_eq!(state["b"], Tensor::from_f32(&[2], vec![1.0, 2.0]).unwrap());
    assert_eq!(state["n"].i64_values(), Some(&[42][..]));
}

#[test]
fn other_orders_of_axes_are_gathered() {
    let values: Vec<f32> = (0u8..12).map(f32::from).collect();
    let storage = ("FloatStorage", "7", 12);
    let dict = Pickler::new()
        .op(b"}(")
        .text("turned")
        .tensor(storage, 0, &[3, 2, 2], &[1, 6, 3])
        .text("column")
        .tensor(storage, 1, &[4], &[3])
        .text("repeated")
        .tensor(storage, 5, &[3], &[0])
        .text("empty")
        .tensor(storage, 0, &[0, 3], &[3, 1])
        .op(b"u")
        .end();
    let state = read(&Bytes::from(file(dict, &[("7", 12, floats(&values))]))).unwrap();
    let of = |name: &str| state[name].f32_values().unwrap().into_owned();
    assert_eq!(of("turned"), [0., 3., 6., 9., 1., 4., 7., 10., 2., 5., 8., 11.]);
    assert_eq!(state["turned"].shape, [3, 2, 2]);
    assert_eq!((of("column"), of("repeated")), (vec![1., 4., 7., 10.], vec![5.; 3]));
    assert_eq!(state["empty"].shape, [0, 3]);
}

#[test]
fn shared_objects_are_shared() {
    // The dictionary's tensor is described once, remembered and used twice.
    let dict = Pickler::new()
        .op(b"}(")
        .text("a")
        .tensor(F, 0, &[1, 6], &[999, 1])
        .op(b"q\x01")
        .text("b")
        .op(b"h\x01u")
        .end();
    let state = read(&Bytes::from(file(dict, &[("7", 6, floats(&[0.5; 6]))]))).unwrap();
    assert_eq!(state["a"], state["b"]);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = good();
    for len in 0..whole.len() {
        assert!(read(&Bytes::from(whole[..len].to_vec())).is_err(), "cut at {len}");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert!(told(longer).contains("behind the storages"));
}

#[test]
fn a_changed_byte_never_panics() {
    let whole = good();
    for at in 0..whole.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bad = whole.clone();
            bad[at] ^= change;
            let _ = read(&Bytes::from(bad));
        }
    }
}

#[test]
fn other_files_are_refused() {
    assert!(told(b"PK\x03\x04".to_vec()).contains("zip"));
    assert!(told(b"".to_vec()).contains("not a PyTorch state dict"));
    assert!(told(Pickler::new().int(3).end()).contains("not a PyTorch state dict"));
    let big_endian = {
        let mut bytes = good();
        let at = bytes.windows(2).position(|pair| pair == [0x88, b'u']).unwrap();
        bytes[at] = 0x89;
        bytes
    };
    assert!(told(big_endian).contains("byte order"));
}

#[test]
fn names_and_instructions_beyond_tensors_are_refused() {
    let evil = file(Pickler::new().op(b"cos\nsystem\n(").text("true").op(b"tR").end(), &[]);
    assert!(told(evil).contains("names `os.system`"));
    let class = file(Pickler::new().op(b"cbuiltins\neval\n").end(), &[]);
    assert!(told(class).contains("names `builtins.eval`"));
    for code in [b"i", b"o", b"\x81", b"\x93", b"B", b"V", b"P"] {
        assert!(told(file(Pickler::new().op(code).op(b"a\nb\n.").0, &[])).contains("is not read"));
    }
    // A known name called in an unknown way.
    let call = file(Pickler::new().op(b"ctorch\nFloatStorage\n)R").end(), &[]);
    assert!(told(call).contains("malformed"));
    let filled = file(Pickler::new().op(b"ccollections\nOrderedDict\nNN\x86R").end(), &[]);
    assert!(told(filled).contains("malformed"));
}

#[test]
fn malformed_pickles_are_refused() {
    for ops in [
        &b"t"[..],
        b"(s",
        b"u",
        b"(Nu",
        b"Q",
        b"R",
        b"\x86",
        b"q\x00",
        b"h\x05",
        b"b",
        b"e",
        b"](N(sN",
        b"}Ns",
        b"N(e",
        b"(\x85",
    ] {
        let bytes = file(Pickler::new().op(ops).end(), &[]);
        assert!(read(&Bytes::from(bytes)).is_err(), "{ops:?}");
    }
    let many = [vec![0x80, 2], vec![b'N'; (1 << 20) + 1], b".".to_vec()].concat();
    assert!(told(file(many, &[])).contains("more than"));
    let recalled = [b"\x80\x02Nq\x00".to_vec(), b"h\x00".repeat((1 << 20) + 1)].concat();
    assert!(told(file(recalled, &[])).contains("more than"));
    let long = file(Pickler::new().op(b"X\xff\xff\xff\xff").end(), &[]);
    assert!(told(long).contains("cut off"));
    // A tuple that holds itself: never followed.
    let own = file(Pickler::new().op(b"](q\x00h\x00e").end(), &[]);
    assert!(read(&Bytes::from(own)).is_err());
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let data = [("7", 6, floats(&[0.0; 6]))];
    let shaped = |offset, shape: &'static [i32], strides: &'static [i32]| {
        told(one(|p| p.tensor(F, offset, shape, strides), &data))
    };
    assert!(shaped(3, &[2, 2], &[2, 1]).contains("tensor `w`: reaches beyond its storage"));
    assert!(shaped(i32::MAX, &[2], &[1]).contains("reaches beyond"));
    assert!(shaped(0, &[2, 2], &[4, 2]).contains("reaches beyond"));
    assert!(shaped(0, &[2, 2], &[1]).contains("not described"));
    assert!(shaped(0, &[1000], &[0]).contains("more elements than the file"));
    assert!(shaped(-1, &[2], &[1]).contains("not described"));
    assert!(shaped(0, &[-2], &[1]).contains("not described"));
    let huge = [i32::MAX; 4];
    assert!(told(one(|p| p.tensor(F, 0, &huge, &huge), &data)).contains("too large"));
    assert!(told(one(|p| p.int(3), &data)).contains("belongs to no tensor"));
    assert!(told(one(|p| p.int(3), &[])).contains("`w`: is not described as a tensor"));
}

#[test]
fn storages_that_do_not_fit_are_named() {
    let with =
        |storages: &[(&str, u64, Vec<u8>)]| told(one(|p| p.tensor(F, 0, &[6], &[1]), storages));
    assert!(with(&[]).contains("its storage is not in the file"));
    assert!(with(&[("8", 6, floats(&[0.0; 6]))]).contains("storage `8`: belongs to no tensor"));
    assert!(with(&[("7", 5, floats(&[0.0; 5]))]).contains("another number of elements"));
    assert!(with(&[("7", u64::MAX, vec![])]).contains("another number of elements"));
    assert!(with(&[("7", 6, floats(&[0.0; 5]))]).contains("cut off"));
    let huge = ("FloatStorage", "7", i32::MAX);
    let bytes = one(|p| p.tensor(huge, 0, &[6], &[1]), &[("7", i32::MAX as u64, vec![0; 24])]);
    assert!(told(bytes).contains("cut off"));
    let twice = Pickler::new()
        .op(b"}(")
        .text("a")
        .tensor(F, 0, &[6], &[1])
        .text("b")
        .tensor(("LongStorage", "7", 6), 0, &[6], &[1])
        .op(b"u")
        .end();
    assert!(told(file(twice, &[("7", 6, vec![0; 48])])).contains("announced in two ways"));
    let unknown = one(|p| p.tensor(("FloatStorage", "7", -1), 0, &[6], &[1]), &[]);
    assert!(told(unknown).contains("name of a storage"));
}
