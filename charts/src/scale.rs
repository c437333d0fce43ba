//! From numbers to places on an axis, and the numbers that stand beside it.

use simulator::wording::{grouped, significant};

/// A way to place numbers between two ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    log: bool,
    domain: [f64; 2],
    range: [f64; 2],
}

impl Scale {
    /// Evenly from 0 to `most`.
    pub(crate) fn from_zero(most: f64, range: [f64; 2]) -> Scale {
        Scale { log: false, domain: [0.0, if most > 0.0 { most } else { 1.0 }], range }
    }

    /// Evenly between two numbers.
    pub(crate) fn between(domain: [f64; 2], range: [f64; 2]) -> Scale {
        Scale { log: false, domain, range }
    }

    /// Evenly over all `values`, with room at both ends.
    pub(crate) fn over(values: impl Iterator<Item = f64>, range: [f64; 2]) -> Scale {
        let [low, high] = ends(values);
        let room = if high > low { 0.05 * (high - low) } else { 0.5 * low.abs().max(1.0) };
        Scale { log: false, domain: [low - room, high + room], range }
    }

    /// By logarithm over all `values` that are positive, from a decade's 1, 2 or 5 to another's.
    pub(crate) fn log(values: impl Iterator<Item = f64>, range: [f64; 2]) -> Scale {
        let [low, high] = ends(values.filter(|v| *v > 0.0));
        let steps = |v: f64| [1.0, 2.0, 5.0, 10.0].map(|step| step * decade(v));
        let below = steps(low).into_iter().rev().find(|v| *v < low).unwrap_or(low / 2.0);
        let above = steps(high).into_iter().find(|v| *v > high).unwrap_or(2.0 * high);
        Scale { log: true, domain: [below, above], range }
    }

    fn part(&self, value: f64) -> f64 {
        let [low, high] = self.domain;
        match self.log {
            true => libm::log10(value / low) / libm::log10(high / low),
            false => (value - low) / (high - low),
        }
    }

    /// The place of a number; beyond the ends, that of the nearer one.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let [low, high] = self.domain;
        let [start, end] = self.range;
        start + self.part(value.clamp(low, high)) * (end - start)
    }

    pub(crate) fn domain(&self) -> [f64; 2] {
        self.domain
    }

    /// Round numbers, about `count` of them where they are even; with their places and texts.
    pub(crate) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        let [low, high] = self.domain;
        let values: Vec<f64> = if self.log {
            let decades = libm::log10(high / low);
            let steps: &[f64] = if decades < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let first = libm::floor(libm::log10(low)) as i32;
            let all = (first..=first + decades as i32 + 2)
                .flat_map(|d| steps.iter().map(move |s| s * libm::pow(10.0, f64::from(d))));
            all.filter(|v| (low * 0.999..=high * 1.001).contains(v)).collect()
        } else {
            let rough = (high - low) / count.max(1) as f64;
            let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * decade(rough));
            let step = step.into_iter().find(|s| *s >= rough).unwrap_or(rough);
            let first = libm::ceil(low / step);
            let places = (0..=2 * count).map(|i| (first + i as f64) * step);
            places.filter(|v| *v <= high + 1e-9 * step).collect()
        };
        values.into_iter().map(|v| (self.at(v), written(v))).collect()
    }
}

/// The power of ten at or below a positive number.
fn decade(value: f64) -> f64 {
    libm::pow(10.0, libm::floor(libm::log10(value)))
}

/// Smallest and largest; 1 and 1 of nothing.
fn ends(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let finite = values.filter(|v| v.is_finite());
    let found = finite.fold(None, |ends: Option<[f64; 2]>, v| {
        let [low, high] = ends.unwrap_or([v, v]);
        Some([low.min(v), high.max(v)])
    });
    found.unwrap_or([1.0, 1.0])
}

/// A number for people.
pub(crate) fn written(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => return "0".to_owned(),
        s if s >= 1e6 => format!("{}M", plain(significant(s / 1e6))),
        s if s >= 1e4 => grouped(s.round_ties_even() as u64),
        s if s >= 0.1 => plain(significant(s)),
        s => plain(format!("{s:.4}")),
    };
    if value < 0.0 { format!("-{text}") } else { text }
}

/// Without zeros at the end of a fraction.
fn plain(text: String) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale) -> Vec<String> {
        scale.ticks(5).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_numbers_in_the_range() {
        assert_eq!(
            texts(Scale::from_zero(1000.0, [0.0, 1.0])),
            ["0", "200", "400", "600", "800", "1000"]
        );
        assert_eq!(
            texts(Scale::from_zero(0.0, [0.0, 1.0])),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        let wide = Scale::log([0.3, 20_000.0].into_iter(), [0.0, 100.0]);
        assert_eq!(wide.domain(), [0.2, 50_000.0]);
        assert_eq!(texts(wide), ["1", "10", "100", "1000", "10,000"]);
        assert_eq!(texts(Scale::log([3.0].into_iter(), [0.0, 1.0])), ["2", "5"]);
        assert_eq!(texts(Scale::log(std::iter::empty(), [0.0, 1.0])), ["0.5", "1", "2"]);
    }

    #[test]
    fn numbers_find_their_places() {
        let scale = Scale::log([1.5, 50.0].into_iter(), [100.0, 0.0]);
        assert_eq!((scale.at(1.0), scale.at(10.0), scale.at(1e9)), (100.0, 50.0, 0.0));
        let scale = Scale::over([0.0, 10.0].into_iter(), [0.0, 110.0]);
        assert_eq!((scale.at(5.0), scale.at(-100.0)), (55.0, 0.0));
        assert_eq!(
            [1_234_567.0, 12_345.6, 0.5, 0.0312, -3.0].map(written),
            ["1.23M", "12,346", "0.5", "0.0312", "-3"]
        );
    }
}
