//! The graph as the program's nodes see it, and the checks that all operators share.

use std::collections::BTreeMap;

use ir::qgraph::{Bounds, Hwc, QGraph, QNode, QOp, QValue, ValueId};
use isa::instructions::{VpuIn, VpuOut, VpuQuant, VpuSide};
use isa::numerics::Requant;
use isa::numerics::param::ParamEntry;
use isa::program::{Note, Program, TensorInfo, TileNote};

use super::finding::{Problem, expect};
use super::memory::{Memory, Region};
use super::tags::Tensors;

/// What a program node computes: a graph node, perhaps with the convolution fused into it.
#[derive(Clone, Copy)]
pub(super) struct Computed<'a> {
    /// The node whose result exists.
    pub last: &'a QNode,
    /// The node that the array computes: the node itself, or the convolution whose result only the accumulators see.
    pub conv: Option<&'a QNode>,
}

/// Program, graph and memories.
pub(super) struct Context<'a> {
    pub program: &'a Program,
    pub graph: &'a QGraph,
    pub tensors: &'a Tensors<'a>,
    pub memory: Memory<'a>,
    nodes: Vec<Computed<'a>>,
}

/// The piece of a result that a word computes, as its note names it.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub value: ValueId,
    /// First row, column, channel.
    pub origin: [usize; 3],
    /// Rows, columns, channels.
    pub extent: [usize; 3],
}

impl<'a> Context<'a> {
    /// Compares the program's tables with the graph.
    pub(super) fn new(
        program: &'a Program,
        graph: &'a QGraph,
        tensors: &'a Tensors<'a>,
    ) -> Result<Context<'a>, Problem> {
        tables(program, graph)?;
        let by_name: BTreeMap<&str, &QNode> =
            graph.nodes.iter().map(|n| (n.name.as_str(), n)).collect();
        let mut noted = vec![false; graph.values.len()];
        for tile in program.code.iter().flat_map(|s| &s.notes).filter_map(|n| n.tile) {
            if let Some(place) = noted.get_mut(tile.tensor as usize) {
                *place = true;
            }
        }
        let producer: BTreeMap<ValueId, &QNode> =
            graph.nodes.iter().map(|n| (n.output, n)).collect();
        let computed = |name: &str| -> Result<Computed<'a>, Problem> {
            let last = *by_name.get(name).ok_or_else(|| Problem::Tables {
                what: "nodes",
                found: format!("`{name}`"),
                expected: "a node of the graph".into(),
            })?;
            let unseen = |v: &&ValueId| !noted[v.0 as usize];
            let mut fused = last.inputs.iter().filter(unseen).filter_map(|v| producer.get(v));
            let conv = match &last.op {
                QOp::Conv { .. } | QOp::MatMul { .. } => Some(last),
                _ => fused.find(|n| matches!(n.op, QOp::Conv { .. })).copied(),
            };
            Ok(Computed { last, conv })
        };
        let nodes =
            program.nodes.iter().map(|n| computed(&n.name)).collect::<Result<Vec<_>, _>>()?;
        Ok(Context { program, graph, tensors, memory: Memory::new(program), nodes })
    }

    pub(super) fn value(&self, id: ValueId) -> &'a QValue {
        &self.graph.values[id.0 as usize]
    }

    /// What a noted word computes, and which piece: a box inside its node's result whose channels begin a block.
    pub(super) fn named(&self, note: &Note) -> Result<(Computed<'a>, Tile), Problem> {
        let unnamed = |what: &str| Problem::Unnamed(what.into());
        let node = self.nodes.get(note.node as usize).ok_or_else(|| unnamed("for no node"))?;
        let tile = note.tile.ok_or_else(|| unnamed("something that no note names"))?;
        let tile = self.tile(&tile)?;
        if tile.value != node.last.output {
            return Err(unnamed("a tensor that is not its node's result"));
        }
        Ok((*node, tile))
    }

    /// A note's piece, if it lies inside its tensor.
    fn tile(&self, note: &TileNote) -> Result<Tile, Problem> {
        let outside = || Problem::Unnamed("a piece outside its tensor".into());
        let value = ValueId(note.tensor);
        let Hwc { h, w, c } = self.graph.value(value).ok_or_else(outside)?.shape;
        let [origin, extent] = [note.origin, note.extent].map(|list| list.map(|n| n as usize));
        let inside = (0..3).all(|a| extent[a] > 0 && origin[a] + extent[a] <= [h, w, c][a]);
        if inside { Ok(Tile { value, origin, extent }) } else { Err(outside()) }
    }

    /// Demands that lanes `0..n` of a row hold channels `at..` of a tensor.
    pub(super) fn operand(
        &self,
        name: &'static str,
        row: usize,
        plane: usize,
        (value, at, n): (ValueId, [usize; 3], usize),
        result: impl FnOnce() -> String,
    ) -> Result<(), Problem> {
        let found = self.memory.row(row).get(..n).unwrap_or(&[]);
        if found.len() == n && self.tensors.matches(value, plane, at, found) {
            return Ok(());
        }
        let wanted = |lane: usize| self.tensors.tag(value, plane, [at[0], at[1], at[2] + lane]);
        let lane = (0..n).find(|&lane| found.get(lane) != Some(&wanted(lane))).unwrap_or(0);
        Err(Problem::Operand {
            operand: name,
            result: result(),
            found: self.tensors.describe(found.get(lane).copied().unwrap_or(0)),
            expected: self.tensors.describe(wanted(lane)),
        })
    }

    /// Tags a result: `lane` is that of the tile's first channel in the first block of `region`.
    pub(super) fn write(
        &mut self,
        tile: &Tile,
        region: &Region,
        lane: usize,
    ) -> Result<(), Problem> {
        self.width(tile.value, region)?;
        let lanes = self.memory.lanes();
        for plane in 0..self.tensors.planes(tile.value) {
            for y in 0..tile.extent[0] {
                for x in 0..tile.extent[1] {
                    for c in 0..tile.extent[2] {
                        let at = [tile.origin[0] + y, tile.origin[1] + x, tile.origin[2] + c];
                        let row = region.row(plane, (lane + c) / lanes, y, x);
                        let tag = self.tensors.tag(tile.value, plane, at);
                        self.memory.set(row, (lane + c) % lanes, tag);
                    }
                }
            }
        }
        Ok(())
    }

    /// Demands that a region has elements of as many bytes as the tensor in it.
    pub(super) fn width(&self, value: ValueId, region: &Region) -> Result<(), Problem> {
        expect("wide", region.wide, self.tensors.planes(value) == 2)
    }

    /// Demands that a noted piece is where its note says.
    pub(super) fn check_note(&self, note: &TileNote) -> Result<(), Problem> {
        let tile = self.tile(note)?;
        let lanes = self.memory.lanes();
        let region = Region {
            first: note.row,
            row_stride: note.row_stride,
            block_stride: note.block_stride,
            x_stride: 1,
            plane_stride: note.plane_stride,
            wide: self.tensors.planes(tile.value) == 2,
        };
        for plane in 0..self.tensors.planes(tile.value) {
            for y in 0..tile.extent[0] {
                for x in 0..tile.extent[1] {
                    for c in 0..tile.extent[2] {
                        let at = [tile.origin[0] + y, tile.origin[1] + x, tile.origin[2] + c];
                        let channel = note.lane as usize + c;
                        let (row, lane) =
                            (region.row(plane, channel / lanes, y, x), channel % lanes);
                        let found = self.memory.get(row, lane);
                        let wanted = self.tensors.tag(tile.value, plane, at);
                        if found != wanted {
                            return Err(Problem::Note {
                                expected: self.tensors.describe(wanted),
                                row,
                                lane,
                                found: self.tensors.describe(found),
                            });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// An element of a tile in words.
    pub(super) fn element(&self, tile: &Tile, y: usize, x: usize, c: usize) -> String {
        let [y0, x0, c0] = tile.origin;
        format!("`{}` [{}, {}, {}]", self.value(tile.value).name, y0 + y, x0 + x, c0 + c)
    }

    /// Demands that a parameter entry holds a channel's constants.
    pub(super) fn param(
        &self,
        slot: u32,
        entry: usize,
        bias: Option<i64>,
        requant: Requant,
    ) -> Result<(), Problem> {
        let found = self.memory.param(slot, entry);
        let same = found.is_some_and(|f| f.requant == requant && bias.is_none_or(|b| b == f.bias));
        if same {
            return Ok(());
        }
        let words = |p: ParamEntry| {
            let Requant { multiplier, shift } = p.requant;
            format!("bias {}, multiplier {multiplier}, shift {shift}", p.bias)
        };
        Err(Problem::Param {
            entry,
            found: found.map_or_else(|| "not loaded".into(), words),
            expected: words(ParamEntry { bias: bias.unwrap_or(0), requant }),
        })
    }
}

/// Register set 0 of the saturation registers.
pub(super) fn check_quant0(
    quant: &VpuQuant,
    zero_point: i32,
    bounds: &Bounds,
) -> Result<(), Problem> {
    expect("zero0", quant.zero0, zero_point)?;
    expect("lo0", quant.lo0, bounds.lo)?;
    expect("hi0", quant.hi0, bounds.hi)
}

/// Register set 1 of the saturation registers.
pub(super) fn check_quant1(
    quant: &VpuQuant,
    zero_point: i32,
    bounds: &Bounds,
) -> Result<(), Problem> {
    expect("zero1", quant.zero1, zero_point)?;
    expect("lo1", quant.lo1, bounds.lo)?;
    expect("hi1", quant.hi1, bounds.hi)
}

pub(super) fn operand_a(first: u32, regs: &VpuIn) -> Region {
    Region {
        first,
        row_stride: regs.row_stride,
        block_stride: regs.block_stride,
        x_stride: 1,
        plane_stride: regs.plane_stride,
        wide: regs.wide,
    }
}

pub(super) fn operand_b(first: u32, regs: &VpuSide) -> Region {
    Region {
        first,
        row_stride: regs.row_stride,
        block_stride: regs.block_stride,
        x_stride: regs.x_stride,
        plane_stride: regs.plane_stride,
        wide: regs.wide,
    }
}

pub(super) fn result(first: u32, regs: &VpuOut) -> Region {
    Region {
        first,
        row_stride: regs.row_stride,
        block_stride: regs.block_stride,
        x_stride: 1,
        plane_stride: regs.plane_stride,
        wide: regs.wide,
    }
}

/// The tables by which host and notes refer to tensors.
fn tables(program: &Program, graph: &QGraph) -> Result<(), Problem> {
    let wrong = |what, found: String, expected: String| Problem::Tables { what, found, expected };
    let expected: Vec<String> = graph.values.iter().map(tensor_of_graph).collect();
    let found: Vec<String> = program.tensors.iter().map(tensor_of_program).collect();
    if let Some(i) = (0..found.len().max(expected.len())).find(|&i| found.get(i) != expected.get(i))
    {
        let text = |list: &[String]| list.get(i).cloned().unwrap_or_else(|| "no more".into());
        return Err(wrong("tensors", text(&found), text(&expected)));
    }
    for (what, bindings, values) in
        [("inputs", &program.inputs, &graph.inputs), ("outputs", &program.outputs, &graph.outputs)]
    {
        let found: Vec<u32> = bindings.iter().map(|b| b.tensor).collect();
        let expected: Vec<u32> = values.iter().map(|v| v.0).collect();
        if found != expected {
            return Err(wrong(what, format!("{found:?}"), format!("{expected:?}")));
        }
    }
    let (found, expected) = (program.hardware.rounding, graph.rounding);
    if found != expected {
        return Err(wrong("rounding", found.name().into(), expected.name().into()));
    }
    Ok(())
}

fn tensor_of_graph(v: &QValue) -> String {
    let Hwc { h, w, c } = v.shape;
    let bits = match v.dtype {
        ir::qgraph::QType::I8 => 8,
        ir::qgraph::QType::I16 => 16,
    };
    let view = (&v.view.onnx_shape, &v.view.perm);
    format!("`{}` {bits} bits {:?} {:?} {} {view:?}", v.name, [h, w, c], v.scale, v.zero_point)
}

fn tensor_of_program(t: &TensorInfo) -> String {
    let view = (&t.onnx_shape, &t.perm);
    format!("`{}` {} bits {:?} {:?} {} {view:?}", t.name, t.bits, t.shape, t.scale, t.zero_point)
}
