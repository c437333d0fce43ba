//! Constants as ONNX stores them -> [`Tensor`].
//!
//! Float32 payloads stay where they are, in the mapped file. Every integer type becomes `i64` and 16-bit floats become
//! float32, both exactly. Float64 is rounded to float32, and says so.

use std::cell::Cell;

use bytes::{Bytes, BytesMut};

use super::error::TensorProtoError;
use super::external::External;
use super::proto::{DataType, TensorProto};
use crate::tensor::{Data, Tensor, TensorError, element_count};

/// Most axes of any tensor: far above real networks, and low enough that a shape is never a memory problem.
pub(super) const MAX_RANK: usize = 16;

/// Memory that constants made during import may still take.
///
/// It counts copies and computed constants, not weights that stay in the mapped file. Shared by everything that
/// allocates in proportion to numbers in the file, and asked before each allocation.
pub(super) struct Budget {
    limit_bytes: u64,
    left_bytes: Cell<u64>,
    /// Size of the request that was refused.
    refused_bytes: Cell<u128>,
}

/// The budget is used up.
#[derive(Debug)]
pub(super) struct OverLimit;

impl Budget {
    /// A budget of `limit_bytes`.
    pub(super) fn new(limit_bytes: u64) -> Budget {
        Budget { limit_bytes, left_bytes: Cell::new(limit_bytes), refused_bytes: Cell::new(0) }
    }

    /// The whole budget.
    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// What would have been needed for the request that was refused, with all before it.
    pub(super) fn needed_bytes(&self) -> u128 {
        u128::from(self.limit_bytes - self.left_bytes.get()) + self.refused_bytes.get()
    }

    /// Takes room for `count` elements of `element_bytes`.
    pub(super) fn take(&self, count: usize, element_bytes: u64) -> Result<(), OverLimit> {
        // Both fit 64 bits, so the product fits 128.
        let needed = count as u128 * u128::from(element_bytes);
        let left = u64::try_from(needed).ok().and_then(|n| self.left_bytes.get().checked_sub(n));
        let Some(left) = left else {
            self.refused_bytes.set(needed);
            return Err(OverLimit);
        };
        self.left_bytes.set(left);
        Ok(())
    }
}

impl From<OverLimit> for TensorProtoError {
    fn from(_: OverLimit) -> TensorProtoError {
        TensorProtoError::Limit
    }
}

/// A decoded constant, and whether rounding changed it.
pub(super) struct Decoded {
    /// The constant.
    pub(super) tensor: Tensor,
    /// Whether float64 elements were rounded.
    pub(super) rounded: bool,
}

/// Decodes one constant.
pub(super) fn decode(
    proto: &TensorProto,
    external: &mut External,
    budget: &Budget,
) -> Result<Decoded, TensorProtoError> {
    if proto.dims.len() > MAX_RANK {
        return Err(TensorProtoError::Rank { found: proto.dims.len(), most: MAX_RANK });
    }
    let shape: Vec<usize> = (proto.dims.iter())
        .map(|&extent| usize::try_from(extent).map_err(|_| TensorProtoError::Extent(extent)))
        .collect::<Result<_, _>>()?;
    let count =
        element_count(&shape).ok_or_else(|| TensorError::TooLarge { shape: shape.clone() })?;
    let raw = if proto.data_location == TensorProto::EXTERNAL {
        Some(external.bytes(proto)?)
    } else {
        proto.raw_data.clone().filter(|raw| !raw.is_empty() || count == 0)
    };
    let mut rounded = false;
    let source = Source { proto, raw, count, budget };
    let data = match DataType::try_from(proto.data_type) {
        Ok(DataType::Float) => Data::MappedF32(source.floats()?),
        Ok(DataType::Float16) => Data::F32(source.elements(half_bits, f16_to_f32)?),
        Ok(DataType::Bfloat16) => Data::F32(source.elements(half_bits, bf16_to_f32)?),
        Ok(DataType::Double) => {
            let doubles: Vec<f64> = source.numbers(&proto.double_data, f64::from_le_bytes)?;
            rounded = doubles.iter().any(|&v| !v.is_nan() && f64::from(v as f32) != v);
            Data::F32(doubles.into_iter().map(|v| v as f32).collect())
        }
        Ok(DataType::Int64) => Data::I64(source.numbers(&proto.int64_data, i64::from_le_bytes)?),
        Ok(DataType::Int32) => Data::I64(source.elements(i32::from_le_bytes, i64::from)?),
        Ok(DataType::Int16) => Data::I64(source.elements(i16::from_le_bytes, i64::from)?),
        Ok(DataType::Int8) => Data::I64(source.elements(i8::from_le_bytes, i64::from)?),
        Ok(DataType::Uint16) => Data::I64(source.elements(u16::from_le_bytes, i64::from)?),
        Ok(DataType::Uint8) => Data::I64(source.elements(u8::from_le_bytes, i64::from)?),
        Ok(DataType::Bool) => Data::Bool(source.elements(u8::from_le_bytes, |v| v != 0)?),
        Ok(DataType::Uint32) => Data::I64(source.unsigned(|b| u64::from(u32::from_le_bytes(b)))?),
        Ok(DataType::Uint64) => Data::I64(source.unsigned(u64::from_le_bytes)?),
        Ok(DataType::Int4) => {
            Data::I64(source.nibbles(|nibble| i64::from((nibble << 4).cast_signed() >> 4))?)
        }
        Ok(DataType::Uint4) => Data::I64(source.nibbles(i64::from)?),
        Ok(DataType::Undefined | DataType::String | DataType::Complex64 | DataType::Complex128)
        | Err(_) => {
            return Err(TensorProtoError::ElementType(type_name(proto.data_type)));
        }
    };
    Ok(Decoded { tensor: Tensor::new(shape, data)?, rounded })
}

/// Name of an element type for messages.
pub(super) fn type_name(data_type: i32) -> String {
    match DataType::try_from(data_type) {
        Ok(known) => format!("{known:?}").to_lowercase(),
        Err(_) => format!("number {data_type}"),
    }
}

/// Payload of one constant: raw bytes, or one of the typed lists.
struct Source<'a> {
    proto: &'a TensorProto,
    raw: Option<Bytes>,
    count: usize,
    budget: &'a Budget,
}

impl Source<'_> {
    /// Float32 bytes, borrowed unless the file holds them in several pieces.
    fn floats(&self) -> Result<Bytes, TensorProtoError> {
        let bytes = match (&self.raw, self.proto.float_data.as_slice()) {
            (Some(raw), _) => raw.clone(),
            (None, []) => Bytes::new(),
            (None, [one]) => one.clone(),
            (None, pieces) => {
                let mut joined = BytesMut::new();
                pieces.iter().for_each(|piece| joined.extend_from_slice(piece));
                joined.freeze()
            }
        };
        self.length_is(bytes.len(), 4)?;
        Ok(bytes)
    }

    /// Elements of a type whose typed list is `list`.
    fn numbers<T: Copy, const N: usize>(
        &self,
        list: &[T],
        parse: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, TensorProtoError> {
        self.budget.take(self.count, 8)?;
        let Some(raw) = &self.raw else {
            return self.listed(list.len()).map(|()| list.to_vec());
        };
        self.length_is(raw.len(), N)?;
        Ok(raw.as_chunks::<N>().0.iter().map(|chunk| parse(*chunk)).collect())
    }

    /// Elements of a type that is kept in `int32_data` when it is not raw.
    fn elements<T: Narrow, U, const N: usize>(
        &self,
        parse: fn([u8; N]) -> T,
        convert: fn(T) -> U,
    ) -> Result<Vec<U>, TensorProtoError> {
        self.budget.take(self.count, 8)?;
        let Some(raw) = &self.raw else {
            self.listed(self.proto.int32_data.len())?;
            return Ok(self.proto.int32_data.iter().map(|&v| convert(T::narrow(v))).collect());
        };
        self.length_is(raw.len(), N)?;
        Ok(raw.as_chunks::<N>().0.iter().map(|chunk| convert(parse(*chunk))).collect())
    }

    /// Elements of 4 bits, two in a byte, the first in its lower half.
    fn nibbles(&self, convert: fn(u8) -> i64) -> Result<Vec<i64>, TensorProtoError> {
        self.budget.take(self.count, 8)?;
        let found = self.raw.as_ref().map_or(self.proto.int32_data.len(), Bytes::len);
        if found != self.count.div_ceil(2) {
            return Err(TensorProtoError::Bytes { found, expected: self.count.div_ceil(2) });
        }
        let listed = self.proto.int32_data.iter().map(|&pair| u8::narrow(pair));
        let bytes: Vec<u8> = self.raw.as_ref().map_or_else(|| listed.collect(), |raw| raw.to_vec());
        let halves = bytes.iter().flat_map(|pair| [pair & 15, pair >> 4]);
        Ok(halves.take(self.count).map(convert).collect())
    }

    /// Unsigned elements of 32 or 64 bits.
    fn unsigned<const N: usize>(
        &self,
        parse: fn([u8; N]) -> u64,
    ) -> Result<Vec<i64>, TensorProtoError> {
        let values = self.numbers(&self.proto.uint64_data, parse)?;
        let signed =
            |value: u64| i64::try_from(value).map_err(|_| TensorProtoError::Unsigned(value));
        values.into_iter().map(signed).collect()
    }

    fn listed(&self, found: usize) -> Result<(), TensorProtoError> {
        if found == self.count {
            return Ok(());
        }
        let shape = self.proto.dims.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
        Err(TensorError::Count { shape, expected: self.count, found }.into())
    }

    fn length_is(&self, found: usize, element_bytes: usize) -> Result<(), TensorProtoError> {
        match self.count.checked_mul(element_bytes) {
            Some(expected) if expected == found => Ok(()),
            expected => {
                Err(TensorProtoError::Bytes { found, expected: expected.unwrap_or(usize::MAX) })
            }
        }
    }
}

/// Keeps the low bits of an `int32_data` entry, which is how ONNX stores narrow types there.
trait Narrow {
    fn narrow(value: i32) -> Self;
}

macro_rules! narrow {
    ($($type:ty),*) => {
        $(impl Narrow for $type {
            fn narrow(value: i32) -> $type {
                value as $type
            }
        })*
    };
}
narrow!(i32, i16, i8, u16, u8);

/// Bits of a 16-bit float.
fn half_bits(bytes: [u8; 2]) -> u16 {
    u16::from_le_bytes(bytes)
}

/// IEEE 754 half precision to single: exact for every value.
fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10) & 31, u32::from(bits) & 0x3ff);
    let magnitude = match exponent {
        // Zero and subnormals are fraction * 2^-24, which single precision holds exactly.
        0 => (fraction as f32 * 2f32.powi(-24)).to_bits(),
        31 => 0x7f80_0000 | (fraction << 13),
        _ => ((exponent + 112) << 23) | (fraction << 13),
    };
    f32::from_bits(sign | magnitude)
}

/// bfloat16 is the upper half of single precision.
fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(proto: &TensorProto) -> Result<Tensor, TensorProtoError> {
        decode(proto, &mut External::new(None), &Budget::new(1 << 20)).map(|d| d.tensor)
    }

    fn raw(data_type: DataType, dims: &[i64], bytes: &[u8]) -> TensorProto {
        TensorProto {
            data_type: data_type as i32,
            dims: dims.to_vec(),
            raw_data: Some(Bytes::copy_from_slice(bytes)),
            ..TensorProto::default()
        }
    }

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 2f32.powi(-24)), (0x7bff, 65504.0)]
        {
            assert_eq!(f16_to_f32(bits), value);
        }
        assert_eq!(f16_to_f32(0x8000).to_bits(), (-0.0f32).to_bits());
        assert_eq!(f16_to_f32(0xfc00), f32::NEG_INFINITY);
        assert!(f16_to_f32(0x7e00).is_nan());
        assert_eq!(bf16_to_f32(0x3fc0), 1.5);
    }

    #[test]
    fn each_storage_form_decodes_alike() {
        let from_raw = decoded(&raw(DataType::Int8, &[2], &[0xff, 3])).unwrap();
        let listed = TensorProto {
            raw_data: None,
            int32_data: vec![-1, 3],
            ..raw(DataType::Int8, &[2], &[])
        };
        assert_eq!(from_raw, Tensor::from_i64_vec(vec![-1, 3]));
        assert_eq!(from_raw, decoded(&listed).unwrap());

        let floats = [1.0f32.to_le_bytes(), 2.0f32.to_le_bytes()];
        let pieces = TensorProto {
            raw_data: None,
            float_data: floats.iter().map(|b| Bytes::copy_from_slice(b)).collect(),
            ..raw(DataType::Float, &[2], &[])
        };
        assert_eq!(
            decoded(&pieces).unwrap(),
            decoded(&raw(DataType::Float, &[2], &floats.concat())).unwrap()
        );
        let bools = decoded(&raw(DataType::Bool, &[3], &[0, 1, 2])).unwrap();
        assert_eq!(bools.data.len(), 3);
        assert!(matches!(bools.data, Data::Bool(v) if v == [false, true, true]));
    }

    #[test]
    fn malformed_constants_are_refused() {
        assert!(matches!(
            decoded(&raw(DataType::Float, &[2], &[0; 7])),
            Err(TensorProtoError::Bytes { .. })
        ));
        assert!(matches!(
            decoded(&raw(DataType::Float, &[-2], &[])),
            Err(TensorProtoError::Extent(-2))
        ));
        assert!(matches!(
            decoded(&raw(DataType::String, &[0], &[])),
            Err(TensorProtoError::ElementType(_))
        ));
        let huge = raw(DataType::Float, &[i64::MAX, i64::MAX], &[]);
        assert!(matches!(
            decoded(&huge),
            Err(TensorProtoError::Shape(TensorError::TooLarge { .. }))
        ));
        let wide = raw(DataType::Float, &[1; 99], &[0; 4]);
        assert!(matches!(decoded(&wide), Err(TensorProtoError::Rank { found: 99, .. })));
        let unsigned = raw(DataType::Uint64, &[1], &u64::MAX.to_le_bytes());
        assert!(matches!(decoded(&unsigned), Err(TensorProtoError::Unsigned(u64::MAX))));
        // The budget is asked before the list is made.
        let claims = TensorProto { dims: vec![1 << 30], ..raw(DataType::Int64, &[], &[]) };
        assert!(matches!(decoded(&claims), Err(TensorProtoError::Limit)));
    }

    #[test]
    fn rounding_of_doubles_is_noticed() {
        let decode_double = |value: f64| {
            let proto = raw(DataType::Double, &[1], &value.to_le_bytes());
            decode(&proto, &mut External::new(None), &Budget::new(64)).unwrap().rounded
        };
        assert!(!decode_double(0.5) && !decode_double(f64::NAN) && !decode_double(f64::INFINITY));
        assert!(decode_double(0.1));
    }
}
