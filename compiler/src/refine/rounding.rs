//! Weights rounded so that what a layer computes changes least on what it really reads.
//!
//! Rounding changes the result of an output channel by the product of its weights' errors and the inputs. The mean square of that is a quadratic
//! form of the errors, whose matrix is the second moments of the inputs; of their distances from the mean where the bias takes up what is
//! constant. Two ways lead to small values of such a form over integers. One rounds weight after weight and lets those still to come make up for
//! the error (Frantar et al., 2023, "GPTQ: Accurate post-training quantization for generative pre-trained transformers", section 3; in the order from
//! the last weight to the first, with the factor of the matrix itself, in place of that of its inverse, it is Babai's nearest plane). The other changes
//! single weights by a step as long as that helps (coordinate descent on the quadratic form of Nagel et al., 2020, "Up or down? Adaptive rounding
//! for post-training quantization", equation 13).

use super::gram::Symmetric;

/// Times that the descent goes over all weights.
const MOST_PASSES: usize = 8;

/// Share of the mean of the diagonal that is added to it: what few samples say of the rest is not to be relied on.
pub(super) const DAMPINGS: [f64; 3] = [0.01, 0.1, 1.0];

/// Integers of a layer's weights chosen by a quadratic form.
pub(super) struct Rounder {
    form: Symmetric,
    /// Lower triangular factor, row-major.
    factor: Vec<f64>,
}

impl Rounder {
    /// For errors whose mean square is `form`, damped; `None` if it is zero, or no form of that kind.
    pub(super) fn new(form: &Symmetric, damping: f64) -> Option<Rounder> {
        let n = form.n;
        let mean = (0..n).map(|i| form.row(i)[i]).sum::<f64>() / n as f64;
        let mut damped = Symmetric { n, data: form.data.clone() };
        (0..n).for_each(|i| damped.data[i * n + i] += damping * mean);
        let factor = cholesky(&damped)?;
        Some(Rounder { form: damped, factor })
    }

    /// Integers of real weights in steps, none beyond `limit`, each rounded so that it makes up for those behind it.
    pub(super) fn nearest_plane(&self, weights: &[f64], limit: f64) -> Vec<i8> {
        let n = self.form.n;
        let mut rounded = vec![0; n];
        // What the errors behind a weight add to its component of the factor's transpose times all errors.
        let mut carried = vec![0.0; n];
        for i in (0..n).rev() {
            let row = &self.factor[i * n..=i * n + i];
            let wanted = weights[i] - carried[i] / row[i];
            let integer = wanted.round_ties_even().clamp(-limit, limit);
            rounded[i] = integer as i8;
            let error = integer - weights[i];
            carried.iter_mut().zip(&row[..i]).for_each(|(sum, l)| *sum += error * l);
        }
        rounded
    }

    /// Changes single integers by a step as long as that lowers the form.
    pub(super) fn descend(&self, weights: &[f64], rounded: &mut [i8], limit: f64) {
        let errors: Vec<f64> =
            rounded.iter().zip(weights).map(|(&q, w)| f64::from(q) - w).collect();
        let mut slope = self.form.times(&errors);
        for _ in 0..MOST_PASSES {
            let mut any = false;
            for i in 0..rounded.len() {
                let row = self.form.row(i);
                let step = -slope[i].signum();
                // 2 * step * slope + step^2 * diagonal; what is less than rounding errors is no gain.
                let fits = (f64::from(rounded[i]) + step).abs() <= limit;
                if fits && 2.0 * slope[i].abs() > row[i] * (1.0 + 1e-9) {
                    rounded[i] += step as i8;
                    slope.iter_mut().zip(row).for_each(|(slope, element)| *slope += step * element);
                    any = true;
                }
            }
            if !any {
                break;
            }
        }
    }
}

/// Factor `l` with `l * l^T` the matrix; `None` if it is not positive definite.
fn cholesky(matrix: &Symmetric) -> Option<Vec<f64>> {
    let n = matrix.n;
    let mut factor = vec![0.0; n * n];
    for i in 0..n {
        let (above, rest) = factor.split_at_mut(i * n);
        let row = &mut rest[..=i];
        for j in 0..i {
            let other = &above[j * n..=j * n + j];
            row[j] = (matrix.row(i)[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let square = matrix.row(i)[i] - dot(&row[..i], &row[..i]);
        if square.is_nan() || square <= 0.0 {
            return None;
        }
        row[i] = square.sqrt();
    }
    Some(factor)
}

/// Sum of products in eight strands, which a processor adds side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut strands = [0.0; 8];
    let (pairs, rest) = (a.chunks_exact(8).zip(b.chunks_exact(8)), a.len() / 8 * 8);
    for (a, b) in pairs {
        strands.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    let tail: f64 = a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b).sum();
    strands.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(columns: &[Vec<f64>]) -> Symmetric {
        let n = columns.len();
        let product = |at: usize| {
            columns[at / n].iter().zip(&columns[at % n]).map(|(a, b)| a * b).sum::<f64>()
        };
        Symmetric { n, data: (0..n * n).map(product).collect() }
    }

    #[test]
    fn equal_inputs_share_one_rounding() {
        let x = vec![1.0, -2.0, 0.5];
        let rounder = Rounder::new(&form(&[x.clone(), x.clone(), x]), 0.01).unwrap();
        // Nearest is 0, 0, 0, of which the sum is off by 1.2.
        let sum = |integers: &[i8]| integers.iter().sum::<i8>();
        assert_eq!(sum(&rounder.nearest_plane(&[0.4; 3], 7.0)), 1);
        let mut integers = [0; 3];
        rounder.descend(&[0.4; 3], &mut integers, 7.0);
        assert_eq!(sum(&integers), 1);
    }

    #[test]
    fn what_is_zero_is_no_form() {
        assert!(Rounder::new(&form(&[vec![0.0], vec![0.0]]), 1.0).is_none());
        let nan = Symmetric { n: 1, data: vec![f64::NAN] };
        assert!(Rounder::new(&nan, 1.0).is_none());
    }

    #[test]
    fn a_factor_times_its_transpose_is_the_matrix() {
        let element = |i: i32, k: i32| f64::from((i * 7 + k * k * 3 + i * k) % 11) - 5.0;
        let columns: Vec<Vec<f64>> =
            (0..20).map(|i| (0..40).map(|k| element(i, k)).collect()).collect();
        let mut matrix = form(&columns);
        (0..20).for_each(|i| matrix.data[i * 20 + i] += 10.0);
        let factor = cholesky(&matrix).unwrap();
        let row = |i: usize| &factor[i * 20..(i + 1) * 20];
        for (i, j) in (0..20).flat_map(|i| (0..20).map(move |j| (i, j))) {
            assert!((dot(row(i), row(j)) - matrix.row(i)[j]).abs() < 1e-6);
        }
    }

    proptest! {
        #[test]
        fn neither_way_leaves_the_limit_and_descent_never_climbs(
            columns in prop::collection::vec(prop::collection::vec(-1f64..1.0, 6), 9),
            weights in prop::collection::vec(-9f64..9.0, 9),
            damping in prop::sample::select(vec![0.01, 1.0]),
        ) {
            let form = form(&columns);
            let rounder = Rounder::new(&form, damping).unwrap();
            let nearest = |w: &f64| w.round_ties_even().clamp(-7.0, 7.0) as i8;
            let error = |integers: &[i8]| {
                let errors = integers.iter().zip(&weights).map(|(&q, w)| f64::from(q) - w);
                rounder.form.of(&errors.collect::<Vec<f64>>())
            };
            let plane = rounder.nearest_plane(&weights, 7.0);
            for start in [weights.iter().map(nearest).collect(), plane] {
                let mut integers = start.clone();
                rounder.descend(&weights, &mut integers, 7.0);
                prop_assert!(start.iter().chain(&integers).all(|q| q.abs() <= 7));
                prop_assert!(error(&integers) <= error(&start) * (1.0 + 1e-9));
            }
        }
    }
}
