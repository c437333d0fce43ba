//! Changes that are not libFuzzer's own.

use rand::RngExt;

use crate::{Change, Rng};

/// Numbers at which something changes.
pub const NUMBERS: [i64; 30] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    17,
    31,
    63,
    127,
    128,
    255,
    256,
    1000,
    32767,
    65535,
    65536,
    1 << 20,
    1 << 28,
    i32::MAX as i64,
    1 << 31,
    u32::MAX as i64,
    1 << 32,
    1 << 40,
    i64::MAX,
    -1,
    i64::MIN,
];

/// A number at which something changes, or one beside it.
pub fn number(rng: &mut Rng) -> i64 {
    let near = NUMBERS[rng.random_range(0..NUMBERS.len())];
    near.wrapping_add(if rng.random_bool(0.2) { rng.random_range(-2..3) } else { 0 })
}

/// A few small changes of bytes: what stands in for libFuzzer's where it is not there.
pub fn bytes(bytes: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            bytes.push(rng.random());
            continue;
        }
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..9)).min(bytes.len());
        match rng.random_range(0..7) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes[at] = bytes[at].wrapping_add(rng.random_range(0..5)).wrapping_sub(2),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            5 => {
                let value = number(rng).to_le_bytes();
                let width = [1, 2, 4, 8][rng.random_range(0..4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&value[..width]);
            }
            _ => bytes.truncate(at),
        }
    }
}

/// Where the words, numbers and other signs of a text begin and end.
fn tokens(text: &[u8]) -> Vec<std::ops::Range<usize>> {
    let class = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' | b'-' => 0,
        b' ' | b'\n' | b'\t' | b'\r' => 1,
        other => u16::from(other) + 2,
    };
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, &byte) in text.iter().enumerate() {
        match out.last_mut() {
            Some(last) if class(text[last.start]) == class(byte) && class(byte) < 2 => {
                last.end = at + 1
            }
            _ => out.push(at..at + 1),
        }
    }
    out.retain(|token| class(text[token.start]) != 1);
    out
}

/// Changes a text by its words: numbers become others, words change places, lines come twice or go.
pub fn text(text: &mut Vec<u8>, rng: &mut Rng, change: &mut Change<'_>) {
    let tokens = tokens(text);
    if tokens.is_empty() || rng.random_bool(0.3) {
        return change(text);
    }
    let pick = |rng: &mut Rng| tokens[rng.random_range(0..tokens.len())].clone();
    let token = pick(rng);
    match rng.random_range(0..8) {
        0..4 => {
            // The next number, so that numbers are met more often than they are written.
            let is_number = |t: &&std::ops::Range<usize>| {
                text[t.start].is_ascii_digit() || (t.len() > 1 && text[t.start] == b'-')
            };
            let number = tokens.iter().filter(|t| t.start >= token.start).find(is_number);
            let Some(number) = number.cloned() else { return change(text) };
            let value = match rng.random_range(0..10) {
                0 => ["1e999", "nan", "-0.0", "1e-320", "0x", "inf"][rng.random_range(0..6)]
                    .to_owned(),
                1..4 => rng.random_range(0..20).to_string(),
                _ => self::number(rng).to_string(),
            };
            text.splice(number, value.into_bytes());
        }
        4 => {
            let other = text[pick(rng)].to_vec();
            text.splice(token, other);
        }
        5 => drop(text.drain(token)),
        6 => {
            let piece = text[token.clone()].to_vec();
            text.splice(token.start..token.start, [piece, b" ".to_vec()].concat());
        }
        _ => {
            let start =
                text[..token.start].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            let end = text[token.end..]
                .iter()
                .position(|&b| b == b'\n')
                .map_or(text.len(), |at| token.end + at + 1);
            if rng.random_bool(0.5) {
                drop(text.drain(start..end));
            } else {
                let line = text[start..end].to_vec();
                let to = pick(rng).start;
                let to = text[..to].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
                text.splice(to..to, line);
            }
        }
    }
}
