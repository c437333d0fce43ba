//! Average pools.

use super::*;

fn mean(
    kernel: [usize; 2],
    stride: [usize; 2],
    image: [usize; 2],
    act_bits: u8,
) -> (Graph, QGraph) {
    let mut b = Build::new(5);
    let x = b.input(&[1, 3, image[0], image[1]]);
    let window = Window { kernel, stride, dilation: [1, 1], pad: [0; 4] };
    let average = |window| Op::AveragePool { window, count_include_pad: false };
    let y = b.pool(x, average, window);
    let graph = b.finish(&[y]);
    let options = Options { act_bits, observer: Observer::MinMax, ..Options::default() };
    let q = quantized(&graph, &options, &Hardware::default()).unwrap();
    (graph, q)
}

#[test]
fn large_means_sum_their_columns_first_and_round_once() {
    for (kernel, stride, image) in
        [([40, 30], [1, 1], [40, 30]), ([128, 9], [2, 3], [132, 18]), ([33, 32], [33, 1], [66, 40])]
    {
        let (graph, q) = mean(kernel, stride, image, 8);
        assert_eq!(q.nodes.len(), 2);
        let (from, to) = (&q.values[q.inputs[0].0 as usize], &q.values[q.outputs[0].0 as usize]);
        let input = runtime::quantize(&random_inputs(&graph, 3)[0], from).unwrap();
        let found = runtime::run(&q, std::slice::from_ref(&input), Path::Plain).unwrap();
        let taps = (kernel[0] * kernel[1]) as f64;
        for y in 0..to.shape.h {
            for x in 0..to.shape.w {
                let taps_at = (0..kernel[0]).flat_map(|ky| (0..kernel[1]).map(move |kx| (ky, kx)));
                let sum: i32 = taps_at
                    .map(|(ky, kx)| input.at(y * stride[0] + ky, x * stride[1] + kx, 1))
                    .map(|stored| stored - from.zero_point)
                    .sum();
                let exact = from.scale * f64::from(sum) / (taps * to.scale);
                let expected = (exact.round_ties_even() as i32 + to.zero_point).clamp(-128, 127);
                assert_eq!(found[0].at(y, x, 1), expected, "{kernel:?}");
            }
        }
    }
}

#[test]
fn sums_too_large_for_16_bits_are_shifted() {
    let (graph, q) = mean([300, 5], [1, 1], [300, 5], 8);
    let QOp::AveragePool { requant, .. } = &q.nodes[0].op else { panic!() };
    let factor = f64::from(requant[0].multiplier) / f64::from(requant[0].shift).exp2();
    assert_eq!(factor, 0.5, "300 operands of magnitude 128 need 16 bits and a sign");
    assert!(sqnr(&graph, &q)[0] > 25.0);
    let (graph, q) = mean([40, 40], [1, 1], [40, 40], 16);
    assert!(sqnr(&graph, &q)[0] > 60.0);
    assert_eq!(mean([32, 32], [1, 1], [32, 32], 8).1.nodes.len(), 1);
}

#[test]
fn counted_padding_behind_the_last_window_of_ceil_mode_is_no_place_for_another() {
    let mut cases = 0;
    let extents = [[4, 2], [5, 3], [2, 6]];
    for (case, extents) in (0..243).flat_map(|case| extents.map(|extents| (case, extents))) {
        let digit = |place: u32| case / 3usize.pow(place) % 3;
        let window = Window {
            kernel: [digit(0) + 1, digit(1) + 1],
            stride: [digit(2) + 1, 2],
            dilation: [1, 1],
            pad: [digit(3).min(digit(0)), 0, digit(4).min(digit(0)), digit(4).min(digit(1))],
        };
        for ceil in [false, true] {
            let Some(shape) = [0, 1]
                .map(|axis| window.outputs(axis, extents[axis], ceil))
                .into_iter()
                .collect::<Option<Vec<usize>>>()
            else {
                continue;
            };
            let mut b = Build::new(case as u64);
            let x = b.input(&[1, 2, extents[0], extents[1]]);
            let op = Op::AveragePool { window, count_include_pad: true };
            let y = b.op(op, &[x], &[1, 2, shape[0], shape[1]]);
            let graph = b.finish(&[y]);
            let q = quantized(&graph, &Options::default(), &Hardware::default()).unwrap();
            let found = sqnr(&graph, &q)[0];
            assert!(found > 20.0, "{window:?} over {extents:?}, ceil {ceil}: {found} dB");
            cases += 1;
        }
    }
    assert!(cases > 500, "{cases}");
}
