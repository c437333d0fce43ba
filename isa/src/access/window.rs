//! One axis of a sliding window over a region with borders.

/// Where the taps of a tile fall along one axis: `origin + i*step + k*dilation` for output `i < tile`, tap `k < kernel`, valid
/// inside `0..extent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowAxis {
    /// Position of output 0, tap 0; negative in the padding.
    pub origin: i32,
    /// Outputs, at least 1.
    pub tile: u32,
    /// Distance between outputs.
    pub step: u32,
    /// Taps, at least 1.
    pub kernel: u32,
    /// Distance between taps.
    pub dilation: u32,
    /// Positions of the region.
    pub extent: u32,
}

impl WindowAxis {
    /// First position and number of positions between the first and the last tap that lie in the region; `None` if there are none.
    pub fn clipped(&self) -> Option<(u32, u32)> {
        let last = i64::from(self.origin)
            + i64::from(self.tile - 1) * i64::from(self.step)
            + i64::from(self.kernel - 1) * i64::from(self.dilation);
        let first = self.origin.max(0).unsigned_abs();
        let last = u32::try_from(last.min(i64::from(self.extent) - 1)).ok()?;
        (first <= last).then(|| (first, last - first + 1))
    }

    /// Taps of output `i` that lie in the region: the first and how many; `(0, 0)` if there are none.
    pub fn valid_taps(&self, i: u32) -> (u32, u32) {
        let at = i64::from(self.origin) + i64::from(i) * i64::from(self.step);
        let dilation = i64::from(self.dilation.max(1));
        // at + k*dilation >= 0 and at + k*dilation <= extent - 1
        let first = (-at).max(0).div_euclid(dilation) + i64::from((-at).max(0) % dilation != 0);
        let end = (i64::from(self.extent) - 1 - at).div_euclid(dilation) + 1;
        let end = end.min(i64::from(self.kernel));
        match (u32::try_from(first), u32::try_from(end - first)) {
            (Ok(first), Ok(count @ 1..)) => (first, count),
            _ => (0, 0),
        }
    }

    /// Smallest and largest number of valid taps over all outputs.
    pub fn tap_range(&self) -> (u32, u32) {
        (0..self.tile)
            .map(|i| self.valid_taps(i).1)
            .fold((u32::MAX, 0), |(least, most), taps| (least.min(taps), most.max(taps)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn closed_forms_equal_enumeration(
            origin in -9i32..9, tile in 1u32..5, step in 1u32..4, kernel in 1u32..6, dilation in 1u32..4, extent in 1u32..9,
        ) {
            let axis = WindowAxis { origin, tile, step, kernel, dilation, extent };
            let position = |i: u32, k: u32| origin + (i * step + k * dilation) as i32;
            let inside = |p: i32| (0..extent as i32).contains(&p);
            let (first, last) = (position(0, 0), position(tile - 1, kernel - 1));
            let covered: Vec<i32> = (first..=last).filter(|&p| inside(p)).collect();
            prop_assert_eq!(
                axis.clipped(),
                covered.first().map(|&p| (p as u32, covered.len() as u32))
            );
            let mut counts = Vec::new();
            for i in 0..tile {
                let taps: Vec<u32> = (0..kernel).filter(|&k| inside(position(i, k))).collect();
                counts.push(taps.len() as u32);
                prop_assert_eq!(axis.valid_taps(i), (taps.first().copied().unwrap_or(0), taps.len() as u32));
            }
            let range = (*counts.iter().min().unwrap(), *counts.iter().max().unwrap());
            prop_assert_eq!(axis.tap_range(), range);
        }
    }
}
