//! Int8 matrix product: rows of activations times columns of weights, sums in `i32`.

use crate::matrix::{Accumulate, Activation, Rows, Sums};
use crate::panel_requant::PanelRequant;
use crate::{InstructionSet, dot, plain};

/// Columns that share one packed panel: one 512-bit vector of sums, or two of 256 bits.
pub(crate) const PANEL: usize = 16;

/// Rows below which packing the weights for a single use costs more than it saves.
const PACKING_PAYS_ROWS: usize = 4;

/// Weights of a matrix product in the order in which the kernel reads them.
///
/// Packing costs about as much as one row of the product; it pays where the weights are used for more rows.
#[derive(Clone, Debug)]
pub struct PackedWeights {
    set: InstructionSet,
    columns: usize,
    segments: usize,
    segment_len: usize,
    storage: Storage,
}

/// One layout for each instruction set. In the packed ones, panels of [`PANEL`] columns stand one behind the other
/// (the last filled up with zeros), within a panel the segments, within a segment groups of 2 or 4 successive elements
/// (the last filled up with zeros), within a group the columns, within a column the group's elements.
#[derive(Clone, Debug)]
enum Storage {
    /// `[column][segment][element]`.
    Plain(Vec<i8>),
    /// Groups of 2, widened: operands of `vpmaddwd`.
    #[cfg(target_arch = "x86_64")]
    Pairs(Vec<i16>),
    /// Groups of 4: signed operands of `vpdpbusd`.
    #[cfg(target_arch = "x86_64")]
    Quads(Quads),
}

/// Weights in groups of 4.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Debug)]
pub(crate) struct Quads {
    pub(crate) weights: Vec<i8>,
    /// `-128 * sum w` by column, filled up with zeros to whole panels: what takes back that the activations are 128 too large.
    pub(crate) starts: Vec<i32>,
}

impl PackedWeights {
    /// Packs `w`, `columns` rows of `depth` weights each, for dense left operands.
    ///
    /// # Panics
    /// If `depth` is 0 or `w` does not have `columns * depth` elements.
    pub fn new(w: &[i8], columns: usize, depth: usize) -> Self {
        Self::segmented(w, columns, 1, depth)
    }

    /// Packs `w`, row-major `[columns][segments][segment_len]`, for left operands of that many segments.
    ///
    /// # Panics
    /// If a row would be empty or `w` does not have `columns * segments * segment_len` elements.
    pub fn segmented(w: &[i8], columns: usize, segments: usize, segment_len: usize) -> Self {
        Self::for_set(InstructionSet::best(), w, [columns, segments, segment_len])
    }

    /// Packs as [`PackedWeights::segmented`] for a chosen instruction set: `[columns, segments, segment_len]`.
    ///
    /// # Panics
    /// If a row would be empty, the length of `w` is wrong, or this processor does not have `set`.
    pub fn for_set(set: InstructionSet, w: &[i8], shape: [usize; 3]) -> Self {
        let [columns, segments, segment_len] = shape;
        let expected = columns.checked_mul(segments).and_then(|n| n.checked_mul(segment_len));
        assert_eq!(Some(w.len()), expected, "the weights do not fill their shape");
        assert!(segments > 0 && segment_len > 0, "rows must have elements");
        assert!(set.is_available(), "this processor does not have {set}");
        let storage = match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Storage::Pairs(pack::<2, i16>(w, shape, i16::from)),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512Vnni => {
                let sum = |w: &[i8]| w.iter().map(|&w| i32::from(w)).fold(0, i32::wrapping_add);
                let columns = w.chunks_exact(segments * segment_len);
                let mut starts: Vec<i32> = columns.map(|w| sum(w).wrapping_mul(-128)).collect();
                starts.resize(starts.len().next_multiple_of(PANEL), 0);
                Storage::Quads(Quads { weights: pack::<4, i8>(w, shape, |w| w), starts })
            }
            _ => Storage::Plain(w.to_vec()),
        };
        Self { set, columns, segments, segment_len, storage }
    }

    /// Panics unless `a` has the weights' segments and the result is `shape`.
    fn demand_shape<T>(&self, a: &Rows<'_, T>, shape: [usize; 2]) {
        let expected = [a.len(), self.columns];
        assert_eq!(shape, expected, "the result needs a row per row and a column per column");
        let found = [a.segments(), a.segment_len()];
        let expected = [self.segments, self.segment_len];
        assert_eq!(found, expected, "rows and weights have different segments");
    }

    /// Number of columns of the product.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Instruction set the weights are packed for.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }
}

/// Brings `w`, row-major `[columns, segments, segment_len]`, into panels of groups of `GROUP`; see [`Storage`].
#[cfg(target_arch = "x86_64")]
fn pack<const GROUP: usize, T: Copy + Default>(
    w: &[i8],
    [columns, segments, segment_len]: [usize; 3],
    convert: impl Fn(i8) -> T,
) -> Vec<T> {
    let groups = segment_len.div_ceil(GROUP);
    let panel_len = segments * groups * GROUP * PANEL;
    let mut packed = vec![T::default(); columns.div_ceil(PANEL) * panel_len];
    for (column, weights) in w.chunks_exact(segments * segment_len).enumerate() {
        let panel = &mut packed[column / PANEL * panel_len..][..panel_len];
        for (s, segment) in weights.chunks_exact(segment_len).enumerate() {
            for (g, group) in segment.chunks(GROUP).enumerate() {
                let at = ((s * groups + g) * PANEL + column % PANEL) * GROUP;
                for (slot, &weight) in panel[at..at + GROUP].iter_mut().zip(group) {
                    *slot = convert(weight);
                }
            }
        }
    }
    packed
}

/// `c[r][j] (+)= sum over k of a[r][k] * w[j][k]` for all rows of `a` and columns of `w`, in wrapping `i32` (exact as
/// long as the sum itself fits).
///
/// # Panics
/// If the shapes of the three do not fit together.
pub fn qs8_gemm<T: Activation>(a: &Rows<'_, T>, w: &PackedWeights, c: &mut Sums<'_>) {
    w.demand_shape(a, c.shape());
    match &w.storage {
        Storage::Plain(w) => plain::qs8_gemm(a, w, c),
        #[cfg(target_arch = "x86_64")]
        Storage::Pairs(w) => crate::x86::qs8_gemm_pairs(a, w, c),
        #[cfg(target_arch = "x86_64")]
        Storage::Quads(w) => crate::x86::qs8_gemm_quads(a, w, c),
    }
}

/// [`qs8_gemm`] with its sums requantized: `out[r][j]` as [`PanelRequant`] defines it. What was in `out` is overwritten.
///
/// # Panics
/// If the shapes of the four do not fit together.
pub fn qs8_gemm_requantize<T: Activation>(
    a: &Rows<'_, T>,
    w: &PackedWeights,
    requant: &PanelRequant,
    out: &mut Sums<'_, i8>,
) {
    w.demand_shape(a, out.shape());
    assert_eq!(requant.columns(), w.columns, "every column needs its constants");
    match &w.storage {
        Storage::Plain(w) => plain::qs8_gemm_requantize(a, w, requant, out),
        #[cfg(target_arch = "x86_64")]
        Storage::Pairs(w) => crate::x86::qs8_gemm_requantize_pairs(a, w, requant, out),
        #[cfg(target_arch = "x86_64")]
        Storage::Quads(w) => crate::x86::qs8_gemm_requantize_quads(a, w, requant, out),
    }
}

/// [`qs8_gemm`] on weights as they lie, `columns` rows of the left operand's depth each, for weights used once.
///
/// # Panics
/// If the shapes of the three do not fit together.
pub fn qs8_gemm_unpacked(a: &Rows<'_>, w: &[i8], c: &mut Sums<'_>) {
    let [rows, columns] = c.shape();
    let (segments, len) = (a.segments(), a.segment_len());
    if a.len() >= PACKING_PAYS_ROWS {
        return qs8_gemm(a, &PackedWeights::segmented(w, columns, segments, len), c);
    }
    assert_eq!(rows, a.len(), "the sums need a row per row");
    assert_eq!(w.len(), columns * segments * len, "the weights do not fill their shape");
    let set = InstructionSet::best();
    let accumulate = c.accumulate();
    for r in 0..rows {
        for (j, sum) in c.row(r).iter_mut().enumerate() {
            let weights = &w[j * segments * len..][..segments * len];
            let mut acc = 0_i32;
            for s in 0..segments {
                let product = dot::dot_with(set, a.segment(r, s), &weights[s * len..][..len]);
                acc = acc.wrapping_add(product);
            }
            *sum = match accumulate {
                Accumulate::Replace => acc,
                Accumulate::Add => sum.wrapping_add(acc),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ColumnRequant;
    use crate::tests::{Product, product};
    use proptest::prelude::*;

    #[test]
    fn small_numbers() {
        // [1 2 3; 4 5 6] times the columns (1, 0, -1) and (2, 2, 2)
        let weights = PackedWeights::new(&[1, 0, -1, 2, 2, 2], 2, 3);
        let a = [1_i8, 2, 3, 4, 5, 6];
        let mut c = [100; 4];
        let mut sums = Sums::new(&mut c, [2, 2], 2, Accumulate::Add);
        qs8_gemm(&Rows::dense(&a, 2, 3, 3), &weights, &mut sums);
        assert_eq!(c, [98, 112, 98, 130]);
    }

    #[test]
    fn the_largest_products_do_not_saturate() {
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            for (x, w) in [(-128_i8, -128_i8), (127, -128), (-128, 127), (127, 127)] {
                let weights = PackedWeights::for_set(set, &[w; 40], [1, 1, 40]);
                let mut c = [0];
                let mut sums = Sums::new(&mut c, [1, 1], 1, Accumulate::Replace);
                qs8_gemm(&Rows::dense(&[x; 40], 1, 40, 40), &weights, &mut sums);
                assert_eq!(c, [40 * i32::from(x) * i32::from(w)], "{set}");
            }
        }
    }

    fn run(set: InstructionSet, p: &Product) -> Vec<i32> {
        let weights = PackedWeights::for_set(set, &p.w, [p.columns, p.segments, p.segment_len]);
        let mut c = p.c.clone();
        let shape = [p.rows, p.columns];
        qs8_gemm(&p.left(), &weights, &mut Sums::new(&mut c, shape, p.stride, p.accumulate));
        c
    }

    #[test]
    fn several_blocks_of_rows_and_depth_equal_plain() {
        // Over 48 rows, 1024 elements of depth, 32 columns, and 256 KiB of rows; no dimension a multiple of a tile.
        let (rows, columns, segments, segment_len) = (101, 37, 3, 901);
        let bytes = |n: usize| (0..n).map(|i| (i * 37 + i / 7) as u8 as i8).collect::<Vec<_>>();
        let p = Product {
            rows,
            columns,
            segments,
            segment_len,
            data: bytes(5000),
            offsets: (0..rows * segments).map(|i| (i * 97 % 4000) as u32).collect(),
            w: bytes(columns * segments * segment_len),
            c: vec![5; rows * columns],
            stride: columns,
            accumulate: Accumulate::Add,
        };
        let expected = run(InstructionSet::Plain, &p);
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            assert!(run(set, &p) == expected, "{set}");
        }
    }

    /// The same activations, each 128 more.
    fn excess(data: &[i8]) -> Vec<u8> {
        data.iter().map(|&x| x.cast_unsigned() ^ 0x80).collect()
    }

    proptest! {
        #[test]
        fn every_set_equals_plain(p in product(40)) {
            let expected = run(InstructionSet::Plain, &p);
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                prop_assert_eq!(&run(set, &p), &expected, "{}", set);
            }
        }

        #[test]
        fn requantized_sums_equal_the_definition(
            p in product(40),
            columns in prop::collection::vec((-500..500_i32, 1..1_u32 << 24, 26..40_u8), 40),
            zero in -128..=127_i32,
            bounds in (-128..=127_i32, -128..=127_i32),
        ) {
            let p = Product { accumulate: Accumulate::Replace, ..p };
            let depth = p.segments * p.segment_len;
            let largest = |w: &[i8]| w.iter().map(|w| 128 * u32::from(w.unsigned_abs())).sum();
            let columns: Vec<ColumnRequant> = columns
                .into_iter()
                .zip(p.w.chunks_exact(depth))
                .map(|((bias, m, shift), w)| ColumnRequant { bias, multiplier: m | 1, shift, largest: largest(w) })
                .collect();
            let output = [zero, bounds.0.min(bounds.1), bounds.0.max(bounds.1)];
            let requant = PanelRequant::new(&columns, output).expect("odd multipliers, small sums");
            let sums = run(InstructionSet::Plain, &p);
            let old = 77;
            let mut expected = vec![old; p.c.len()];
            for (sums, out) in sums.chunks(p.stride).zip(expected.chunks_mut(p.stride)) {
                for (j, &ColumnRequant { bias, multiplier, shift, .. }) in columns.iter().enumerate() {
                    let offset = i64::from(bias) * i64::from(multiplier) + (1 << shift >> 1);
                    out[j] = plain::qs8_requantize_one(sums[j], multiplier, offset, shift, output);
                }
            }
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                let weights = PackedWeights::for_set(set, &p.w, [p.columns, p.segments, p.segment_len]);
                for form in ["as they are", "128 more"] {
                    let mut out = vec![old; p.c.len()];
                    let shape = [p.rows, p.columns];
                    let mut results = Sums::new(&mut out, shape, p.stride, Accumulate::Replace);
                    if form == "128 more" {
                        let data = excess(&p.data);
                        let rows = Rows::segmented(&data, &p.offsets, p.segments, p.segment_len);
                        qs8_gemm_requantize(&rows, &weights, &requant, &mut results);
                    } else {
                        qs8_gemm_requantize(&p.left(), &weights, &requant, &mut results);
                    }
                    prop_assert_eq!(&out, &expected, "{}, {}", set, form);
                }
            }
        }

        #[test]
        fn unpacked_equals_packed(p in product(40)) {
            let mut c = p.c.clone();
            let mut sums = Sums::new(&mut c, [p.rows, p.columns], p.stride, p.accumulate);
            qs8_gemm_unpacked(&p.left(), &p.w, &mut sums);
            prop_assert_eq!(c, run(InstructionSet::Plain, &p));
        }
    }
}
