//! Random operands shared by the property tests: awkward sizes, scattered segments, extreme values.

use proptest::prelude::*;

use crate::{Accumulate, Rows};

/// An int8 element; the extremes, where saturating instructions fail, come often.
pub(crate) fn element() -> impl Strategy<Value = i8> {
    prop_oneof![3 => any::<i8>(), 1 => Just(-128), 1 => Just(127), 1 => Just(-127)]
}

/// A product of `rows` rows of scattered segments and `columns` columns.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) segments: usize,
    pub(crate) segment_len: usize,
    pub(crate) data: Vec<i8>,
    pub(crate) offsets: Vec<u32>,
    pub(crate) w: Vec<i8>,
    /// Sums before the product.
    pub(crate) c: Vec<i32>,
    pub(crate) stride: usize,
    pub(crate) accumulate: Accumulate,
}

impl Product {
    pub(crate) fn left(&self) -> Rows<'_> {
        Rows::segmented(&self.data, &self.offsets, self.segments, self.segment_len)
    }
}

/// Products of up to 40 rows, `max_columns` columns and 3 segments of up to 70 elements.
pub(crate) fn product(max_columns: usize) -> impl Strategy<Value = Product> {
    (1..=40_usize, 1..=max_columns, 1..=3_usize, 1..=70_usize, 0..=4_usize, any::<bool>())
        .prop_flat_map(|(rows, columns, segments, segment_len, gap, add)| {
            let data_len = segment_len + 50;
            let stride = columns + gap;
            let accumulate = if add { Accumulate::Add } else { Accumulate::Replace };
            let vec = prop::collection::vec::<BoxedStrategy<i8>>;
            (
                vec(element().boxed(), data_len),
                prop::collection::vec(0..=50_u32, rows * segments),
                vec(element().boxed(), columns * segments * segment_len),
                prop::collection::vec(any::<i32>(), rows * stride),
            )
                .prop_map(move |(data, offsets, w, c)| Product {
                    rows,
                    columns,
                    segments,
                    segment_len,
                    data,
                    offsets,
                    w,
                    c,
                    stride,
                    accumulate,
                })
        })
}
