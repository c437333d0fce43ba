//! Operands of the kernels: rows of segments on the left, a strided matrix of sums as the result.

/// An int8 activation in one of the two forms that products take.
pub trait Activation: Copy + sealed::Sealed {
    /// Whether the element is 128 more than the integer it stands for, which then is what unsigned byte products want.
    const EXCESS: bool;

    /// The integer that the element stands for.
    fn value(self) -> i16;
}

impl Activation for i8 {
    const EXCESS: bool = false;

    #[inline]
    fn value(self) -> i16 {
        self.into()
    }
}

impl Activation for u8 {
    const EXCESS: bool = true;

    #[inline]
    fn value(self) -> i16 {
        i16::from(self) - 128
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for u8 {}
}

/// Left operand of a product: `rows` rows, each the concatenation of `segments` runs of `segment_len` elements that may
/// lie anywhere in one slice.
///
/// A dense matrix has one segment per row. A convolution window has one segment per kernel row (or per tap), so its
/// rows need not be copied together: this is the indirect form of im2col (Dukhan 2019, "The Indirect Convolution
/// Algorithm").
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T = i8> {
    data: &'a [T],
    layout: Layout<'a>,
    rows: usize,
    segments: usize,
    segment_len: usize,
    /// End of the segment that lies furthest in the data.
    end: usize,
}

#[derive(Clone, Copy, Debug)]
enum Layout<'a> {
    /// Row `r` starts at `r * stride` and has one segment.
    Strided { stride: usize },
    /// Segment `s` of row `r` starts at entry `r * segments + s`.
    Offsets(&'a [u32]),
}

impl<'a, T> Rows<'a, T> {
    /// Dense rows of `depth` elements, row `r` starting at `r * stride`. Rows may overlap.
    ///
    /// # Panics
    /// If `depth` is 0 or a row reaches beyond `data`.
    pub fn dense(data: &'a [T], rows: usize, depth: usize, stride: usize) -> Self {
        assert!(depth > 0, "rows must have elements");
        let end = rows.checked_sub(1).map_or(Some(0), |last| {
            last.checked_mul(stride).and_then(|start| start.checked_add(depth))
        });
        let end = end.filter(|&end| end <= data.len()).expect("a row reaches beyond the data");
        let layout = Layout::Strided { stride };
        Self { data, layout, rows, segments: 1, segment_len: depth, end }
    }

    /// Rows of `segments` segments of `segment_len` elements; `offsets` holds the start of every segment in `data`, row
    /// after row.
    ///
    /// # Panics
    /// If a segment would be empty, the number of offsets is no multiple of `segments`, or a segment reaches beyond
    /// `data`.
    pub fn segmented(
        data: &'a [T],
        offsets: &'a [u32],
        segments: usize,
        segment_len: usize,
    ) -> Self {
        assert!(segment_len > 0, "rows must have elements");
        assert!(
            segments > 0 && offsets.len().is_multiple_of(segments),
            "offsets must come in rows of `segments`"
        );
        let end = offsets.iter().max().map_or(0, |&last| last as usize + segment_len);
        assert!(end <= data.len(), "a segment reaches beyond the data");
        let layout = Layout::Offsets(offsets);
        Self { data, layout, rows: offsets.len() / segments, segments, segment_len, end }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Segments in each row.
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// Elements in each segment.
    pub fn segment_len(&self) -> usize {
        self.segment_len
    }

    /// Segment `s` of row `r`.
    ///
    /// # Panics
    /// If there is no such row or segment.
    #[inline]
    pub fn segment(&self, r: usize, s: usize) -> &'a [T] {
        assert!(r < self.rows && s < self.segments, "no such row or segment");
        let start = self.offset(r, s);
        &self.data[start..start + self.segment_len]
    }

    /// Start of segment `s` of row `r` in [`Rows::data`].
    #[inline(always)]
    pub(crate) fn offset(&self, r: usize, s: usize) -> usize {
        match self.layout {
            Layout::Strided { stride } => r * stride,
            Layout::Offsets(offsets) => offsets[r * self.segments + s] as usize,
        }
    }

    /// Whether every segment is followed by `extra` more elements of the slice.
    pub(crate) fn may_read_past(&self, extra: usize) -> bool {
        self.end + extra <= self.data.len()
    }

    /// The slice that all segments lie in.
    pub(crate) fn data(&self) -> &'a [T] {
        self.data
    }
}

/// What happens to the sums already in the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accumulate {
    /// They are overwritten.
    Replace,
    /// The new sums are added to them.
    Add,
}

/// Result of a product: a row of sums for each row of the left operand.
#[derive(Debug)]
pub struct Sums<'a, T = i32> {
    data: &'a mut [T],
    rows: usize,
    columns: usize,
    stride: usize,
    accumulate: Accumulate,
}

impl<'a, T> Sums<'a, T> {
    /// `rows` rows of `columns` sums, row `r` starting at `r * stride` of `data`.
    ///
    /// # Panics
    /// If a row reaches beyond `data` or into the next row.
    pub fn new(
        data: &'a mut [T],
        [rows, columns]: [usize; 2],
        stride: usize,
        accumulate: Accumulate,
    ) -> Self {
        if let Some(last) = rows.checked_sub(1) {
            let end = last.checked_mul(stride).and_then(|start| start.checked_add(columns));
            assert!(end.is_some_and(|end| end <= data.len()), "a row reaches beyond the data");
            assert!(rows == 1 || columns <= stride, "rows of sums overlap");
        }
        Self { data, rows, columns, stride, accumulate }
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Distance between the starts of two rows.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// What happens to the sums already there.
    pub(crate) fn accumulate(&self) -> Accumulate {
        self.accumulate
    }

    /// Row `r`.
    pub(crate) fn row(&mut self, r: usize) -> &mut [T] {
        assert!(r < self.rows, "no such row");
        &mut self.data[r * self.stride..][..self.columns]
    }

    /// First sum of the first row; every row of the shape is inside the allocation.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut T {
        self.data.as_mut_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_found_in_both_layouts() {
        let data: Vec<i8> = (0..12).collect();
        let dense = Rows::dense(&data, 3, 5, 3);
        assert_eq!(dense.segment(2, 0), [6, 7, 8, 9, 10]);
        let offsets = [0, 4, 8, 10];
        let windows = Rows::segmented(&data, &offsets, 2, 2);
        assert_eq!(windows.len(), 2);
        assert_eq!(windows.segment(1, 1), [10, 11]);
    }

    #[test]
    #[should_panic(expected = "beyond the data")]
    fn a_segment_beyond_the_data_is_refused() {
        let _ = Rows::segmented(&[0_i8; 4], &[0, 3], 1, 2);
    }

    #[test]
    #[should_panic(expected = "rows of sums overlap")]
    fn overlapping_sums_are_refused() {
        let _ = Sums::new(&mut [0; 8], [2, 4], 3, Accumulate::Replace);
    }
}
