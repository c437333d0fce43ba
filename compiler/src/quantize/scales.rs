//! The scale of each stored value.
//!
//! Values that share stored integers share a scale. The operands of a concatenation get the scale of its result where
//! that at most halves their resolution; the others are rescaled in front of it.

use std::collections::{BTreeMap, BTreeSet};

use ir::graph::{Graph, Node, Op, ValueId, Window};
use ir::qgraph::QType;

use super::emit::{NODE_STEP, uncut};
use super::fusion::Fusion;
use super::normalization::is_square;
use super::params::{Grid, Params, SOFTMAX, Storage, ends_in_sigmoid, product_operand, sigmoid};
use super::sharing::{Sets, Wanted, stored, wanted};
use super::storages::Storages;
use super::{Arithmetic, QuantizeError, plateaus, whole};
use crate::calibrate::{Calibration, Range};

/// Padding beyond this magnitude stands for minus infinity and has no place in a range.
pub(super) const LARGEST_PADDING: f32 = 1e30;

/// How far an operand's scale may grow to match the other operands of a concatenation.
const LARGEST_WIDENING: f64 = 2.0;

/// How far a range may grow for the nodes of an interpolated table.
const LARGEST_EXTENSION: f64 = 1.1;

/// The finest step of a result relative to the step of its unrounded value: finer ones cannot carry information, and
/// their multipliers might not exist on the machine.
const FINEST_LOG2: u8 = 8;

/// What is known of a set.
#[derive(Clone, Copy, Debug)]
enum Scale {
    /// Decided by the operator.
    Fixed(Params),
    /// Must cover `range` on `grid`; the narrowest member would be content with a width of `narrowest`.
    Covers { range: Range, narrowest: f64, grid: Grid },
}

impl Scale {
    fn is_fixed(&self) -> bool {
        matches!(self, Scale::Fixed(_))
    }

    fn range(&self) -> Range {
        match self {
            Scale::Fixed(params) => params.range(),
            Scale::Covers { range, .. } => *range,
        }
    }
}

/// The scale of a stored value and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Assigned {
    /// How it is stored.
    pub(super) params: Params,
    /// Which integers store it.
    pub(super) storage: Storage,
    /// Real values it must hold.
    pub(super) range: Range,
}

/// Parameters of every stored value, indexed like `graph.values`; `None` for constants and values inside a fusion. `bits` are
/// those of weights by node name.
pub(super) fn assign(
    graph: &Graph,
    fusion: &Fusion,
    calibration: &Calibration,
    storages: &Storages,
    arithmetic: &Arithmetic,
    bits: &BTreeMap<String, u8>,
) -> Result<Vec<Option<Assigned>>, QuantizeError> {
    let mut sets = Sets::of(graph, fusion);
    let mut scales: Vec<Option<Scale>> = vec![None; graph.values.len()];
    let mut missing = Vec::new();
    for Wanted { value, name, .. } in wanted(graph) {
        match calibration.ranges.get(&name) {
            Some(&range) => {
                let grid = arithmetic.grid();
                let range = match grid {
                    Grid::PowersOfTwo { .. } => {
                        *calibration.power_of_two.get(&name).unwrap_or(&range)
                    }
                    Grid::Any => range,
                };
                let width = storages.of(value).width(range);
                // A value that is always zero is content with any scale.
                let narrowest = if width > 0.0 { width } else { f64::INFINITY };
                scales[sets.find(value)] = Some(Scale::Covers { range, narrowest, grid });
            }
            None => missing.push(name),
        }
    }
    if !missing.is_empty() {
        return Err(QuantizeError::MissingRanges { names: missing });
    }
    for (input, ends) in whole::integers(graph) {
        let scale = &mut scales[sets.find(input)];
        let exact = scale.and_then(|s| whole::exact(s.range(), ends, storages.of(input)));
        *scale = exact.map(Scale::Fixed).or(*scale);
    }
    let decided = decide(graph, fusion, &mut sets, &mut scales);
    for (node, result, _) in fusion.nodes(graph) {
        if decided.contains(&sets.find(result)) {
            continue;
        }
        match node.op {
            Op::Unary { ref function } if ends_in_sigmoid(function) => {
                let dtype = storages.of(result).dtype;
                scales[sets.find(result)] = Some(Scale::Fixed(sigmoid(dtype)));
            }
            Op::Concat { .. } => {
                meet(&mut sets, &mut scales, node, None, result, storages, arithmetic)
            }
            Op::Pad { value, .. } if value != 0.0 => {
                let value = f64::from(value);
                let border = Range { lo: value, hi: value };
                meet(&mut sets, &mut scales, node, Some(border), result, storages, arithmetic);
            }
            _ => {}
        }
    }
    for (root, function) in plateaus::readers(graph, fusion, &sets, storages) {
        if let Some(Scale::Covers { range, .. }) = &mut scales[root] {
            *range = plateaus::without(*range, function);
        }
    }
    for (node, result, _) in fusion.nodes(graph) {
        divide_exactly(graph, &sets, &mut scales, node, result);
        cover_nodes(&sets, &mut scales, node, result, storages);
        let arithmetic = bits.get(&node.name).map_or(*arithmetic, |&b| arithmetic.with_bits(b));
        coarsen(graph, &sets, &mut scales, node, result, storages, &arithmetic);
    }
    let assigned = |index: usize| {
        let id = ValueId(u32::try_from(index).expect("ids have 32 bits"));
        let scale = scales[sets.find(id)]?;
        let storage = storages.of(id);
        let params = resolved(scale, storage);
        let storage = match scale {
            Scale::Fixed(_) => Storage::whole(params.dtype),
            Scale::Covers { .. } => storage,
        };
        Some(Assigned { params, storage, range: scale.range() })
    };
    Ok((0..graph.values.len()).map(assigned).collect())
}

fn resolved(scale: Scale, storage: Storage) -> Params {
    match scale {
        Scale::Fixed(params) => params,
        Scale::Covers { range, grid, .. } => Params::covering(range, storage, grid),
    }
}

/// Sets the scales that the file decides, and those of softmax, whose results have only one; their sets.
fn decide(
    graph: &Graph,
    fusion: &Fusion,
    sets: &mut Sets,
    scales: &mut [Option<Scale>],
) -> BTreeSet<usize> {
    for value in stored(graph, fusion) {
        if let Some(encoding) = fusion.decided(value) {
            scales[sets.find(value)] = Some(Scale::Fixed(encoding.into()));
        }
    }
    let nodes: Vec<(&Node, ValueId)> = fusion.nodes(graph).map(|(node, y, _)| (node, y)).collect();
    for (node, result) in &nodes {
        if matches!(node.op, Op::Softmax { .. }) {
            scales[sets.find(*result)] = Some(Scale::Fixed(SOFTMAX));
        }
    }
    // From the last one, so that operands of operands follow.
    for (node, result) in nodes.iter().rev() {
        let y = sets.find(*result);
        if !matches!(node.op, Op::Concat { .. }) || scales[y].is_none_or(|s| !s.is_fixed()) {
            continue;
        }
        for &x in &node.inputs {
            let root = sets.find(x);
            if root != y && scales[root].is_none_or(|scale| !scale.is_fixed()) {
                sets.join(y, root);
            }
        }
    }
    let fixed = |&root: &usize| scales[root].is_some_and(|scale| scale.is_fixed());
    (0..scales.len()).filter(fixed).collect()
}

/// Gives the result of a concatenation (or of padding with `border`) a scale for all operands, and that scale to each
/// operand that loses little by it.
fn meet(
    sets: &mut Sets,
    scales: &mut [Option<Scale>],
    node: &Node,
    border: Option<Range>,
    result: ValueId,
    storages: &Storages,
    arithmetic: &Arithmetic,
) {
    let storage = storages.of(result);
    let roots: BTreeSet<usize> = node.inputs.iter().map(|&id| sets.find(id)).collect();
    let known: Vec<Scale> = roots.iter().filter_map(|&root| scales[root]).collect();
    let first = known.first().map(|scale| resolved(*scale, storage));
    let fixed = border.is_none()
        && known
            .iter()
            .all(|scale| matches!(scale, Scale::Fixed(params) if Some(*params) == first));
    let y = sets.find(result);
    if fixed {
        scales[y] = known.last().copied();
        roots.into_iter().for_each(|root| sets.join(y, root));
        return;
    }
    let range = known.iter().map(Scale::range).chain(border).reduce(Range::union);
    let range = range.expect("operands stand before their users");
    let mut narrowest = storage.width(range);
    for root in roots {
        if let Some(Scale::Covers { narrowest: own, .. }) = scales[root]
            && storages.at(root) == storage
            && storage.width(range) <= LARGEST_WIDENING * own
        {
            narrowest = narrowest.min(own);
            sets.join(y, root);
        }
    }
    scales[y] = Some(Scale::Covers { range, narrowest, grid: arithmetic.grid() });
}

/// Widens the range of an interpolated table's result to the nodes just outside the operand's range: a node that saturated
/// would bend the line to it. Where the function is far larger there, it stays.
fn cover_nodes(
    sets: &Sets,
    scales: &mut [Option<Scale>],
    node: &Node,
    result: ValueId,
    storages: &Storages,
) {
    let storage = storages.of(result);
    let (Op::Unary { function }, QType::I16) = (&node.op, storage.dtype) else {
        return;
    };
    let Some(operand) = scales[sets.find(node.inputs[0])] else {
        return;
    };
    let params = resolved(operand, storages.of(node.inputs[0]));
    if params.dtype == QType::I8 {
        // Each of its integers lies on a node.
        return;
    }
    let step = f64::from(NODE_STEP) * params.scale;
    let Range { lo, hi } = operand.range();
    if let Some(Scale::Covers { range, .. }) = &mut scales[sets.find(result)] {
        let ends = [lo - step, hi + step].map(|x| function.evaluate(x));
        let wider = ends.iter().filter(|y| y.is_finite());
        let wider = wider.fold(*range, |range, &y| range.union(Range { lo: y, hi: y }));
        if storage.width(wider) <= LARGEST_EXTENSION * storage.width(*range) {
            *range = wider;
        }
    }
}

/// Lets a machine that only shifts divide by the taps of an average pool exactly: the result's scale takes the quotient.
/// (Windows cut by the border have other divisors, which stay approximate.)
fn divide_exactly(
    graph: &Graph,
    sets: &Sets,
    scales: &mut [Option<Scale>],
    node: &Node,
    result: ValueId,
) {
    if !matches!(node.op, Op::AveragePool { .. }) {
        return;
    }
    let taps = divisor(graph, node);
    let (x, y) = (sets.find(node.inputs[0]), sets.find(result));
    let unit = match scales[x] {
        Some(Scale::Covers { grid: Grid::PowersOfTwo { unit }, .. }) => unit,
        Some(Scale::Fixed(_)) => 1.0,
        Some(Scale::Covers { grid: Grid::Any, .. }) | None => return,
    };
    if x != y
        && let Some(Scale::Covers { grid: grid @ Grid::PowersOfTwo { .. }, .. }) = &mut scales[y]
    {
        *grid = Grid::PowersOfTwo { unit: unit / taps };
    }
}

/// Smallest divisor of an average pool's sums; 1 for other operators.
pub(super) fn divisor(graph: &Graph, node: &Node) -> f64 {
    let Op::AveragePool { window, count_include_pad } = &node.op else {
        return 1.0;
    };
    let shape = |id: ValueId| &graph.values[id.0 as usize].shape;
    let (x, y) = (shape(node.inputs[0]), shape(node.output));
    let [top, left, bottom, right] = window.pad;
    let (window, input) = if *count_include_pad {
        (Window { pad: [0; 4], ..*window }, [top + x[2] + bottom, left + x[3] + right])
    } else {
        (*window, [x[2], x[3]])
    };
    let [kh, kw] = window.kernel;
    if uncut(&window, input, [y[2], y[3]]) { (kh * kw) as f64 } else { 1.0 }
}

/// Keeps a result's scale coarse enough for the machine's multipliers.
fn coarsen(
    graph: &Graph,
    sets: &Sets,
    scales: &mut [Option<Scale>],
    node: &Node,
    result: ValueId,
    storages: &Storages,
    arithmetic: &Arithmetic,
) {
    let step = |id: ValueId| {
        scales[sets.find(id)].map_or(0.0, |scale| resolved(scale, storages.of(id)).scale)
    };
    let x = step(node.inputs[0]);
    let finest = |bits: u8| f64::from(1u32 << FINEST_LOG2.min(bits - 1));
    // A machine that only shifts adds with multipliers of up to 2^15.
    let add_bits = if arithmetic.add_multiplier_bits == 1 {
        FINEST_LOG2 + 1
    } else {
        arithmetic.add_multiplier_bits
    };
    // Largest magnitude of a constant.
    let largest = |id: ValueId| {
        let constant = graph.values[id.0 as usize].constant.as_ref();
        let floats = constant.and_then(|tensor| tensor.f32_iter());
        f64::from(floats.map_or(0.0, |w| w.fold(0f32, |m, v| m.max(v.abs()))))
    };
    let least = match node.op {
        Op::Conv { .. } | Op::Dense => {
            x * largest(node.inputs[1])
                / f64::from(arithmetic.weight_limit)
                / finest(arithmetic.multiplier_bits)
        }
        Op::AveragePool { .. } => x / divisor(graph, node) / finest(arithmetic.multiplier_bits),
        Op::MatMul { scale } => {
            let entering = |operand: usize, wide| {
                let id = node.inputs[operand];
                scales[sets.find(id)].map_or(0.0, |known| {
                    let from = resolved(known, storages.of(id));
                    product_operand(from, known.range(), wide, arithmetic.grid()).scale
                })
            };
            entering(0, true) * entering(1, false) * f64::from(scale)
                / finest(arithmetic.multiplier_bits)
        }
        Op::Mul => x * step(node.inputs[1]) / finest(arithmetic.multiplier_bits),
        Op::Unary { ref function }
            if is_square(function) && storages.of(node.inputs[0]).dtype == QType::I16 =>
        {
            x * x / finest(arithmetic.multiplier_bits)
        }
        Op::Add | Op::Sub | Op::Max | Op::Min => x.max(step(node.inputs[1])) / finest(add_bits),
        Op::PRelu => x * largest(node.inputs[1]).max(1.0) / finest(arithmetic.multiplier_bits),
        Op::Clip { .. } => x / finest(add_bits),
        _ => 0.0,
    };
    let own = step(result);
    let root = sets.find(result);
    if let Some(Scale::Covers { range, .. }) = &mut scales[root]
        && least.is_finite()
        && own < least
    {
        let storage = storages.of(result);
        let needed = least * storage.steps();
        let now = storage.width(*range);
        *range = if now > 0.0 {
            Range { lo: range.lo * needed / now, hi: range.hi * needed / now }
        } else {
            Range { lo: 0.0, hi: needed }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::quantize::Clipping;
    use crate::testing::Build;

    const EXACT: Arithmetic = Arithmetic {
        acc_bits: 32,
        multiplier_bits: 24,
        add_multiplier_bits: 24,
        weight_limit: 127,
    };

    const BITS: BTreeMap<String, u8> = BTreeMap::new();

    fn calibration(ranges: &[(&str, f64, f64)]) -> Calibration {
        let ranges = ranges.iter().map(|&(name, lo, hi)| (name.to_owned(), Range { lo, hi }));
        Calibration { ranges: ranges.collect(), ..Calibration::default() }
    }

    fn params(graph: &Graph, ranges: &[(&str, f64, f64)]) -> Vec<Option<Params>> {
        let assigned = assigned(graph, &calibration(ranges), &Options::default(), &EXACT).unwrap();
        assigned.into_iter().map(|a| Some(a?.params)).collect()
    }

    fn assigned(
        graph: &Graph,
        calibration: &Calibration,
        options: &Options,
        arithmetic: &Arithmetic,
    ) -> Result<Vec<Option<Assigned>>, QuantizeError> {
        let storages = Storages::new(graph, options).unwrap();
        assign(graph, &Fusion::of(graph), calibration, &storages, arithmetic, &BITS)
    }

    #[test]
    fn moved_elements_share_and_clipped_insides_have_none() {
        let mut b = Build::new(1);
        let x = b.input(&[1, 2, 4, 4]);
        let inner = b.conv(x, 2, [1, 1], 1);
        let relu = b.relu(inner);
        let window = Window { kernel: [2, 2], stride: [2, 2], dilation: [1, 1], pad: [0; 4] };
        let pool = b.pool(relu, |window| Op::MaxPool { window }, window);
        let flat = b.op(Op::Reshape, &[pool], &[1, 8]);
        let graph = b.finish(&[flat]);
        let names: Vec<_> = wanted(&graph).into_iter().map(|w| (w.value, w.clipping)).collect();
        assert_eq!(names, [(x, Clipping::Allowed), (relu, Clipping::Forbidden)]);
        let p = params(&graph, &[("v0", -1.0, 1.0), ("v4", 0.0, 3.0)]);
        assert_eq!(p[inner.0 as usize], None);
        assert!(p[relu.0 as usize].is_some() && p[relu.0 as usize] == p[flat.0 as usize]);
        let known = calibration(&[("v0", 0.0, 1.0)]);
        let error = assigned(&graph, &known, &Options::default(), &EXACT);
        assert_eq!(error, Err(QuantizeError::MissingRanges { names: vec!["v4".into()] }));
    }

    #[test]
    fn concatenated_operands_share_where_it_costs_little() {
        let mut b = Build::new(2);
        let ids: Vec<_> = (0..4).map(|_| b.input(&[1, 2, 3, 3])).collect();
        let joined = b.op(Op::Concat { axis: 1 }, &ids, &[1, 8, 3, 3]);
        let graph = b.finish(&[joined]);
        let ranges = [("v0", 0.0, 4.0), ("v1", -1.0, 2.0), ("v2", 0.0, 1.0), ("v3", 0.0, 0.0)];
        let p = params(&graph, &ranges);
        assert_eq!(p[0], p[4]);
        assert_eq!(p[1], p[4], "5/3 of its own width");
        assert_ne!(p[2], p[4], "5 times its own width");
        assert_eq!(p[3], p[4], "all zeros are content with any scale");
    }

    #[test]
    fn a_chain_of_concatenations_does_not_widen_without_end() {
        let mut b = Build::new(3);
        let ids: Vec<_> = (0..3).map(|_| b.input(&[1, 2])).collect();
        let first = b.op(Op::Concat { axis: 1 }, &ids[..2], &[1, 4]);
        let second = b.op(Op::Concat { axis: 1 }, &[first, ids[2]], &[1, 6]);
        let graph = b.finish(&[second]);
        let p = params(&graph, &[("v0", 0.0, 1.0), ("v1", 0.0, 1.9), ("v2", 0.0, 3.6)]);
        assert_eq!(p[0], p[3]);
        assert_ne!(p[3], p[4], "v0 would be widened 3.6 times");
    }

    #[test]
    fn shifting_machines_have_ranges_of_their_own() {
        let mut b = Build::new(2);
        let x = b.input(&[1, 2, 3, 3]);
        let y = b.conv(x, 2, [1, 1], 1);
        let graph = b.finish(&[y]);
        let mut known = calibration(&[("v0", 0.0, 0.3), ("v3", -1.0, 1.0)]);
        known.power_of_two.insert("v0".into(), Range { lo: 0.0, hi: 0.249 });
        let shifts = Arithmetic { multiplier_bits: 1, add_multiplier_bits: 1, ..EXACT };
        let step = |arithmetic| {
            assigned(&graph, &known, &Options::default(), arithmetic).unwrap()[0]
                .unwrap()
                .params
                .scale
        };
        assert_eq!(step(&shifts), 1.0 / 1024.0);
        assert!((step(&EXACT) - 0.3 / 255.0).abs() < 1e-9);
    }

    #[test]
    fn padding_widens_the_range_to_its_value() {
        let mut b = Build::new(4);
        let x = b.input(&[1, 4]);
        let op = Op::Pad { before: vec![0, 1], after: vec![0, 0], value: -1.5 };
        let y = b.op(op, &[x], &[1, 5]);
        let p = params(&b.finish(&[y]), &[("v0", -1.0, 1.0)]);
        assert_eq!((p[0], p[1].unwrap().scale as f32), (p[1], 2.5 / 255.0));
    }

    #[test]
    fn results_are_never_finer_than_the_machine_can_express() {
        let mut b = Build::new(5);
        let x = b.input(&[1, 2, 3, 3]);
        let y = b.conv(x, 2, [1, 1], 1);
        let z = b.op(Op::Add, &[y, x], &[1, 2, 3, 3]);
        let graph = b.finish(&[z]);
        let ranges = calibration(&[("v0", -1.0, 1.0), ("v3", 0.0, 1e-9), ("v4", 0.0, 1e-9)]);
        for bits in [1, 2, 24] {
            let arithmetic =
                Arithmetic { multiplier_bits: bits, add_multiplier_bits: bits, ..EXACT };
            let p = assigned(&graph, &ranges, &Options::default(), &arithmetic).unwrap();
            let steps: Vec<_> =
                [x, y, z].iter().map(|id| p[id.0 as usize].unwrap().params.scale).collect();
            let w = graph.values[1]
                .constant
                .as_ref()
                .unwrap()
                .f32_iter()
                .unwrap()
                .fold(0f32, |m, v| m.max(v.abs()));
            let ratio = steps[0] * f64::from(w) / 127.0 / steps[1];
            assert!(ratio < 1.001 * f64::from(1u32 << (bits - 1).min(8)), "{ratio}");
            let most = if bits == 1 { 256.0 } else { f64::from(1u32 << (bits - 1).min(8)) };
            assert!(steps[0] / steps[2] < 1.001 * most);
        }
    }
}
