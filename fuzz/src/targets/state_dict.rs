//! PyTorch state dicts: pickles and the storages behind them.

use crate::{Target, as_bytes};

pub(super) const TARGET: Target =
    Target { name: "state_dict", run, seeds, mutate: as_bytes, dictionary };

fn run(bytes: &[u8]) {
    let _ = qcc::untrusted::state_dict(bytes.to_vec());
}

/// A pickle of protocol 2 with this body.
fn pickle(body: &[u8]) -> Vec<u8> {
    [b"\x80\x02", body, b"."].concat()
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A file with tensors of these extents, all in one storage of floats.
fn file(tensors: &[(&str, [u8; 2], [u8; 2])]) -> Vec<u8> {
    let mut dict = b"ccollections\nOrderedDict\nq\x00)Rq\x01(".to_vec();
    for (name, extents, strides) in tensors {
        dict.extend(text(name));
        dict.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        dict.extend(
            [
                text("storage"),
                b"ctorch\nFloatStorage\n".to_vec(),
                text("7"),
                text("cpu"),
                b"K\x10Ntq\x02QK\x00".to_vec(),
            ]
            .concat(),
        );
        dict.extend([
            b'K', extents[0], b'K', extents[1], 0x86, b'K', strides[0], b'K', strides[1], 0x86,
            0x89,
        ]);
        dict.extend_from_slice(b"ccollections\nOrderedDict\n)RtR");
    }
    dict.push(b'u');
    [
        pickle(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"),
        pickle(b"M\xe9\x03"),
        pickle(
            &[
                b"}q\x00(".to_vec(),
                text("protocol_version"),
                b"M\xe9\x03".to_vec(),
                text("little_endian"),
                b"\x88u".to_vec(),
            ]
            .concat(),
        ),
        pickle(&dict),
        pickle(&[b"]q\x00".to_vec(), text("7"), b"a".to_vec()].concat()),
        16u64.to_le_bytes().to_vec(),
        vec![0; 64],
    ]
    .concat()
}

fn seeds() -> Vec<Vec<u8>> {
    vec![
        file(&[]),
        file(&[("a", [2, 3], [3, 1])]),
        file(&[("_fc.weight", [4, 4], [1, 4]), ("_fc.bias", [1, 16], [0, 1])]),
    ]
}

fn dictionary() -> Vec<String> {
    [
        "ccollections\nOrderedDict\n",
        "ctorch._utils\n_rebuild_tensor_v2\n",
        "ctorch\nFloatStorage\n",
        "ctorch\nLongStorage\n",
        "storage",
        "cpu",
        "little_endian",
    ]
    .map(str::to_owned)
    .to_vec()
}
