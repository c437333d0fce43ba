//! Second moments of what the weights of a layer read.

use rayon::prelude::*;
use runtime::QTensor;

use super::taps::Taps;

/// Second moments of the taps of one group, in steps of the input above its zero point. The sums are of integers, and exact.
pub(super) struct Gram {
    taps: usize,
    /// Positions summed over.
    rows: usize,
    /// Sums of the products of two taps: `taps * taps`, symmetric.
    products: Vec<i64>,
    /// Sum of each tap.
    sums: Vec<i64>,
}

/// A symmetric matrix, row-major.
pub(super) struct Symmetric {
    /// Rows.
    pub(super) n: usize,
    /// `n * n` elements.
    pub(super) data: Vec<f64>,
}

impl Gram {
    /// Over all samples, and over at most `most` of their positions, evenly spread. `group` is one of `groups` of the input's channels.
    pub(super) fn of(
        taps: &Taps,
        samples: &[QTensor],
        (group, groups): (usize, usize),
        most: usize,
    ) -> Gram {
        let total = samples.len() * taps.positions();
        let rows = total.min(most);
        let places: Vec<(usize, usize)> = (0..rows)
            .map(|row| row * total / rows)
            .map(|row| (row / taps.positions(), row % taps.positions()))
            .collect();
        let columns = taps.columns(samples, &places, (group, groups));
        let count = taps.count() / groups;
        let column = |tap: usize| &columns[tap * rows..(tap + 1) * rows];
        let row = |i: usize| (0..=i).map(move |j| dot(column(i), column(j), taps.is_wide()));
        let lower: Vec<Vec<i64>> = (0..count).into_par_iter().map(|i| row(i).collect()).collect();
        let at = |i: usize, j: usize| lower[i.max(j)][i.min(j)];
        Gram {
            taps: count,
            rows,
            products: (0..count)
                .flat_map(|i| (0..count).map(move |j| (i, j)))
                .map(|(i, j)| at(i, j))
                .collect(),
            sums: (0..count).map(|tap| column(tap).iter().map(|&x| i64::from(x)).sum()).collect(),
        }
    }

    /// Mean of each tap.
    pub(super) fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|&sum| sum as f64 / self.rows as f64).collect()
    }

    /// Mean products of the distances of two taps from `center`.
    pub(super) fn about(&self, center: &[f64]) -> Symmetric {
        let (n, rows, means) = (self.taps, self.rows as f64, self.means());
        let element = |(at, &sum): (usize, &i64)| {
            let (i, j) = (at / n, at % n);
            sum as f64 / rows - (means[i] * center[j] + center[i] * means[j])
                + center[i] * center[j]
        };
        Symmetric { n, data: self.products.par_iter().enumerate().map(element).collect() }
    }
}

impl Symmetric {
    /// Row `i`.
    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.n..(i + 1) * self.n]
    }

    /// The matrix times a vector.
    pub(super) fn times(&self, vector: &[f64]) -> Vec<f64> {
        let mut result = vec![0.0; self.n];
        for (row, &factor) in self.data.chunks_exact(self.n).zip(vector).filter(|(_, f)| **f != 0.0)
        {
            result.iter_mut().zip(row).for_each(|(sum, element)| *sum += factor * element);
        }
        result
    }

    /// What the form makes of a vector.
    pub(super) fn of(&self, vector: &[f64]) -> f64 {
        self.times(vector).iter().zip(vector).map(|(a, b)| a * b).sum()
    }
}

/// Products that a sum in 32 bits holds: those of bytes less a byte lie within 255 * 255, those of 16-bit integers within 2^30.
const NARROW_CHUNK: usize = 1 << 15;

/// Sum of the products of two columns.
fn dot(a: &[i16], b: &[i16], wide: bool) -> i64 {
    let chunk = if wide { 1 } else { NARROW_CHUNK };
    let sum = |(a, b): (&[i16], &[i16])| -> i32 {
        a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
    };
    a.chunks(chunk).zip(b.chunks(chunk)).map(|pair| i64::from(sum(pair))).sum()
}

#[cfg(test)]
mod tests {
    use ir::graph::Window;
    use ir::qgraph::{Hwc, QType};

    use super::*;

    #[test]
    fn moments_are_those_of_the_columns() {
        let window = Window { kernel: [2, 2], stride: [1, 1], dilation: [1, 1], pad: [1, 0, 0, 0] };
        let hwc = |h, w, c| Hwc { h, w, c };
        let taps = Taps::new(window, hwc(3, 3, 4), hwc(3, 2, 1), -128);
        let sample = |seed: usize| {
            QTensor::from_fn(hwc(3, 3, 4), QType::I8, |i| ((i * 37 + seed * 11) % 256) as i32 - 128)
        };
        let samples = [sample(1), sample(2)];
        for group in 0..2 {
            let gram = Gram::of(&taps, &samples, (group, 2), 100);
            let places: Vec<_> = (0..12).map(|row| (row / 6, row % 6)).collect();
            let columns = taps.columns(&samples, &places, (group, 2));
            let center: Vec<f64> = (0..8).map(|tap| 10.0 * f64::from(tap)).collect();
            let form = gram.about(&center);
            for (i, j) in (0..8).flat_map(|i| (0..8).map(move |j| (i, j))) {
                let distance =
                    |tap: usize, row: usize| f64::from(columns[tap * 12 + row]) - center[tap];
                let mean =
                    (0..12).map(|row| distance(i, row) * distance(j, row)).sum::<f64>() / 12.0;
                assert!((form.row(i)[j] - mean).abs() < 1e-6, "{i} {j}");
            }
            // Of every sample at least one position.
            assert_eq!(Gram::of(&taps, &samples, (group, 2), 2).means()[0], {
                let [a, b] = [columns[0], columns[6]].map(f64::from);
                (a + b) / 2.0
            });
        }
    }

    #[test]
    fn large_sums_do_not_wrap() {
        let long = vec![255i16; 70_000];
        assert_eq!(dot(&long, &long, false), 70_000 * 255 * 255);
        let wide = vec![i16::MIN; 3];
        assert_eq!(dot(&wide, &wide, true), 3 << 30);
    }
}
