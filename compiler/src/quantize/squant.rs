//! Rounding of few-bit weights so that errors cancel where inputs are alike.
//!
//! Neighbouring elements of an activation are alike, and so, less, are channels behind a ReLU: what a kernel adds up to
//! matters more than each of its weights. Flips of weights that lie almost between two integers bring the sums of errors
//! of every kernel, and then of the output channel, below half a step (Guo et al., 2022, "SQuant: On-the-fly data-free
//! quantization via diagonal Hessian approximation", section 3.3).

/// Flips some of `data`, weights of one output channel rounded to steps of `scale` and clipped at `limit` steps, to the other
/// neighbouring integer. `kernel` weights in a row share an input channel.
pub(super) fn flip(data: &mut [i8], weights: &[f32], scale: f64, limit: f64, kernel: usize) {
    let error = |q: i8, w: f32| f64::from(q) - f64::from(w) / scale;
    let mut errors: Vec<f64> = data.iter().zip(weights).map(|(&q, &w)| error(q, w)).collect();
    let all: Vec<usize> = (0..data.len()).collect();
    // One position is no kernel: its sum is below half a step already.
    for indices in all.chunks_exact(kernel).filter(|_| kernel > 1) {
        let sum = indices.iter().map(|&i| errors[i]).sum();
        cancel(data, &mut errors, indices.to_vec(), sum, limit);
    }
    // One weight a kernel, so that each kernel's sum moves by one step at most.
    let sum: f64 = errors.iter().sum();
    let largest = |indices: &[usize]| {
        let by_error = |&&i: &&usize, &&j: &&usize| {
            (sum * errors[i]).total_cmp(&(sum * errors[j])).then(j.cmp(&i))
        };
        indices.iter().max_by(by_error).copied()
    };
    let candidates = all.chunks_exact(kernel).filter_map(largest).collect();
    cancel(data, &mut errors, candidates, sum, limit);
}

/// Brings the `sum` of errors to at most half a step by flipping among `candidates` those that lose least.
fn cancel(data: &mut [i8], errors: &mut [f64], mut candidates: Vec<usize>, sum: f64, limit: f64) {
    let sign = sum.signum();
    let within = |i: usize| (f64::from(data[i]) - sign).abs() <= limit;
    candidates.retain(|&i| errors[i] * sign > 0.0 && errors[i].abs() < 1.0 && within(i));
    // The largest errors grow least; ties in order.
    candidates.sort_by(|&i, &j| errors[j].abs().total_cmp(&errors[i].abs()).then(i.cmp(&j)));
    for &i in candidates.iter().take(sum.abs().round_ties_even() as usize) {
        data[i] -= sign as i8;
        errors[i] -= sign;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_of_kernels_come_below_half_a_step() {
        // All rounded down by 0.4: a kernel of four loses 1.6 steps, two flips leave 0.4; nine loses 3.6.
        let weights = [1.4f32; 12];
        let mut data = [1i8; 12];
        flip(&mut data, &weights, 1.0, 7.0, 4);
        assert_eq!(data.map(i32::from).iter().sum::<i32>(), 17, "{data:?}");
        assert!(data.chunks(4).all(|kernel| (5..=6).contains(&kernel.iter().sum::<i8>())));
        let mut clipped = [7i8, 7, 1, 1];
        flip(&mut clipped, &[9.0, 7.4, 1.4, 1.3], 1.0, 7.0, 4);
        assert_eq!(clipped, [7, 7, 2, 2], "what is clipped stays and is made up for");
    }

    proptest! {
        #[test]
        fn flips_keep_the_clamp_and_the_neighbours(
            weights in prop_oneof![prop::collection::vec(-9f32..9.0, 18), prop::collection::vec(-7f32..7.0, 18)],
            kernel in prop::sample::select(vec![1usize, 2, 3, 9]),
        ) {
            let nearest = |w: &f32| w.round_ties_even().clamp(-7.0, 7.0) as i8;
            let before: Vec<i8> = weights.iter().map(nearest).collect();
            let mut after = before.clone();
            flip(&mut after, &weights, 1.0, 7.0, kernel);
            let sum = |data: &[i8]| -> f64 {
                data.iter().zip(&weights).map(|(&q, &w)| f64::from(q) - f64::from(w)).sum()
            };
            // What is clipped may lie where no flip makes up for it.
            if weights.iter().all(|w| w.abs() <= 7.0) {
                prop_assert!(sum(&after).abs() <= 0.5 + 1e-9, "{} -> {}", sum(&before), sum(&after));
            }
            for ((b, a), w) in before.iter().zip(&after).zip(&weights) {
                prop_assert!(a.abs() <= 7 && (a - b).abs() <= 1);
                prop_assert!(a == b || (f64::from(*a) - f64::from(*w)).abs() < 1.0);
            }
        }
    }
}
