//! Resampling of 8-bit images: bilinear and bicubic with antialiasing, one axis after the other, each rounded to 8 bits.
//!
//! The arithmetic is that of `Image.resize` of Pillow 3.3 to 12, to the bit (`tests/python/images.py` compares): columns, then rows; weights in double precision, rounded to 22
//! fraction bits; sums in integers. Only additions, multiplications, divisions and roundings of doubles are used, so every machine
//! gives the same pixels.

use isa::program::Filter;

/// Fraction bits of a weight: 32 less 8 of a pixel less 2 for sums that overshoot.
const WEIGHT_BITS: u32 = 22;

/// An image of 8-bit samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raster {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Samples of a pixel.
    pub channels: usize,
    /// `[height, width, channels]`.
    pub samples: Vec<u8>,
}

/// Source pixels that make up one pixel of the result, with their weights.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// The image resampled to `height` x `width`: columns first, then rows; an axis that keeps its extent is left alone.
pub(crate) fn resize(image: Raster, height: usize, width: usize, filter: Filter) -> Raster {
    let image = if width == image.width { image } else { columns(&image, width, filter) };
    if height == image.height { image } else { rows(&image, height, filter) }
}

fn columns(image: &Raster, width: usize, filter: Filter) -> Raster {
    let taps = taps(image.width, width, filter);
    let channels = image.channels;
    let mut samples = Vec::with_capacity(image.height * width * channels);
    for row in image.samples.chunks_exact(image.width * channels) {
        for tap in &taps {
            for c in 0..channels {
                let start = tap.first * channels + c;
                samples.push(weighted(&tap.weights, row[start..].iter().step_by(channels)));
            }
        }
    }
    Raster { height: image.height, width, channels, samples }
}

fn rows(image: &Raster, height: usize, filter: Filter) -> Raster {
    let stride = image.width * image.channels;
    let mut samples = Vec::with_capacity(height * stride);
    for tap in taps(image.height, height, filter) {
        for x in 0..stride {
            let column = image.samples[tap.first * stride + x..].iter().step_by(stride);
            samples.push(weighted(&tap.weights, column));
        }
    }
    Raster { height, width: image.width, channels: image.channels, samples }
}

/// Sum of weights times samples, rounded half up to 8 bits and clamped.
fn weighted<'a>(weights: &[i32], samples: impl Iterator<Item = &'a u8>) -> u8 {
    let half = 1i64 << (WEIGHT_BITS - 1);
    let sum: i64 = weights.iter().zip(samples).map(|(w, s)| i64::from(*w) * i64::from(*s)).sum();
    ((sum + half) >> WEIGHT_BITS).clamp(0, 255) as u8
}

/// Taps of each of `to` pixels over `from` source pixels.
fn taps(from: usize, to: usize, filter: Filter) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    // A shrinking filter is stretched over as many source pixels as fall on one of the result.
    let stretch = scale.max(1.0);
    let radius = match filter {
        Filter::Bilinear => 1.0,
        Filter::Bicubic => 2.0,
    } * stretch;
    let narrowing = 1.0 / stretch;
    let tap = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        // The casts saturate at 0 and truncate.
        let first = (center - radius + 0.5) as usize;
        let end = ((center + radius + 0.5) as usize).min(from);
        let weight = |x: usize| {
            let distance = ((x as f64) - center + 0.5) * narrowing;
            match filter {
                Filter::Bilinear => triangle(distance),
                Filter::Bicubic => cubic(distance),
            }
        };
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let total: f64 = weights.iter().sum();
        Taps { first, weights: weights.iter().map(|w| fixed(w / total)).collect() }
    };
    (0..to).map(tap).collect()
}

/// A weight in fixed point, rounded half away from zero.
fn fixed(weight: f64) -> i32 {
    let half = if weight < 0.0 { -0.5 } else { 0.5 };
    (half + weight * f64::from(1 << WEIGHT_BITS)) as i32
}

fn triangle(distance: f64) -> f64 {
    (1.0 - distance.abs()).max(0.0)
}

/// Cubic convolution with a = -1/2.
fn cubic(distance: f64) -> f64 {
    const A: f64 = -0.5;
    let x = distance.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(samples: &[u8], width: usize, filter: Filter) -> Vec<u8> {
        let image =
            Raster { height: 1, width: samples.len(), channels: 1, samples: samples.to_vec() };
        resize(image, 1, width, filter).samples
    }

    #[test]
    fn known_answers_of_pillow() {
        // PIL.Image.fromarray(row).resize((n, 1), filter), Pillow 12.
        let row = [0, 10, 200, 255, 3, 90, 91, 250];
        assert_eq!(line(&row, 3, Filter::Bilinear), [71, 131, 130]);
        assert_eq!(line(&row, 3, Filter::Bicubic), [70, 133, 130]);
        assert_eq!(
            line(&row, 11, Filter::Bilinear),
            [0, 6, 70, 202, 242, 129, 23, 86, 91, 156, 250]
        );
        assert_eq!(line(&row, 11, Filter::Bicubic), [0, 0, 62, 206, 255, 127, 1, 87, 82, 157, 255]);
    }

    #[test]
    fn a_flat_image_stays_flat_and_axes_are_alike() {
        let flat = Raster { height: 7, width: 5, channels: 3, samples: vec![77; 105] };
        for filter in Filter::ALL {
            for (h, w) in [(1, 1), (3, 9), (7, 5), (20, 2)] {
                let made = resize(flat.clone(), h, w, *filter);
                assert_eq!((made.height, made.width, made.samples.len()), (h, w, h * w * 3));
                assert!(made.samples.iter().all(|&s| s == 77));
            }
            let row: Vec<u8> = (0..40).map(|i| (i * i % 251) as u8).collect();
            let column = Raster { height: 40, width: 1, channels: 1, samples: row.clone() };
            assert_eq!(resize(column, 13, 1, *filter).samples, line(&row, 13, *filter));
        }
    }

    #[test]
    fn weights_sum_to_one_within_their_rounding() {
        for filter in Filter::ALL {
            for (from, to) in [(1, 1), (1, 9), (640, 224), (300, 256), (8192, 3), (2, 8192)] {
                for tap in taps(from, to, *filter) {
                    let sum: i64 = tap.weights.iter().map(|&w| i64::from(w)).sum();
                    let slack = tap.weights.len() as i64;
                    assert!((sum - (1 << WEIGHT_BITS)).abs() <= slack, "{from} to {to}");
                    assert!(tap.first + tap.weights.len() <= from);
                }
            }
        }
    }
}
