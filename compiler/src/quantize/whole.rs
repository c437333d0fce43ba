//! Inputs that are integers of themselves, such as pixels: where 256 or, at 16 bits, 65,535 integers suffice, they are stored as they are.

use ir::graph::{Graph, ValueId};
use ir::onnx::host::{Kind, Part};
use ir::qgraph::QType;

use super::params::{Params, Storage};
use crate::calibrate::Range;

/// Inputs of the graph that are integers, and the ends of their type.
pub(super) fn integers(graph: &Graph) -> Vec<(ValueId, Range)> {
    let part = graph.head.clone().and_then(|bytes| Part::from_bytes(bytes).ok());
    let ends = part.iter().flat_map(Part::outputs).filter_map(|end| {
        let range = match end.kind {
            Kind::Integer { lo, hi } => Range { lo: lo as f64, hi: hi as f64 },
            Kind::Truth => Range { lo: 0.0, hi: 1.0 },
            Kind::Real => return None,
        };
        let named = |id: &&ValueId| graph.values[id.0 as usize].name == end.name;
        Some((*graph.inputs.iter().find(named)?, range))
    });
    ends.collect()
}

/// How integers in `seen`, of a type that holds `ends`, are stored without rounding; `None` if `storage` cannot.
pub(super) fn exact(seen: Range, ends: Range, storage: Storage) -> Option<Params> {
    let Range { lo, hi } = if ends.hi - ends.lo < 256.0 { ends } else { seen.with_zero() };
    let (lo, hi) = (lo.floor(), hi.ceil());
    if storage == Storage::INT16 {
        let fits = hi.max(-lo) <= f64::from(i16::MAX);
        return fits.then_some(Params { dtype: QType::I16, scale: 1.0, zero_point: 0 });
    }
    let fits = storage == Storage::whole(QType::I8) && hi - lo < 256.0;
    fits.then(|| Params { dtype: QType::I8, scale: 1.0, zero_point: -128 - lo as i32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_stored_as_they_are() {
        let range = |lo: f64, hi: f64| Range { lo, hi };
        let int32 = range(f64::from(i32::MIN), f64::from(i32::MAX));
        let byte = Storage::whole(QType::I8);
        let stored =
            |seen, ends, storage| exact(seen, ends, storage).map(|p| (p.scale, p.zero_point));
        assert_eq!(stored(range(3.0, 249.5), int32, byte), Some((1.0, -128)));
        assert_eq!(stored(range(-5.0, 250.0), int32, byte), Some((1.0, -123)));
        assert_eq!(stored(range(-5.0, 251.0), int32, byte), None);
        assert_eq!(stored(range(3.0, 7.0), range(-128.0, 127.0), byte), Some((1.0, 0)));
        assert_eq!(stored(range(0.0, 300.0), int32, Storage::INT16), Some((1.0, 0)));
        assert_eq!(stored(range(0.0, 40000.0), int32, Storage::INT16), None);
    }
}
