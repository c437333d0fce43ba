//! Emission state shared by all operators: places of tensors, constants, parameter and table slots, accumulator banks.

use ir::qgraph::{QGraph, ValueId};
use isa::hardware::Hardware;
use isa::inst::Engine;
use isa::instructions::{LoadParams, LoadTable};
use isa::numerics::Requant;
use isa::numerics::param::ParamEntry;
use isa::program::{Class, TileNote};

use super::BackendError;
use super::dram::{ConstantKey, Constants, DramMap};
use super::geometry::{Rect, blocks};
use super::operand::{Piece, Slots, View, load_piece, store_piece};
use super::plan::Plan;
use super::stream::Stream;

/// Emission state.
pub(crate) struct Emitter<'a> {
    /// The network.
    pub graph: &'a QGraph,
    /// The machine.
    pub hw: &'a Hardware,
    /// The plan.
    pub plan: &'a Plan,
    /// Places in DRAM.
    pub dram: &'a DramMap,
    /// Constants so far.
    pub constants: Constants,
    /// Words so far.
    pub stream: Stream,
    /// Step being emitted.
    pub step: usize,
    params: Slots<(usize, usize)>,
    tables: Slots<usize>,
    bank: u32,
    loaded: Vec<bool>,
}

impl<'a> Emitter<'a> {
    /// State before the first step.
    pub(crate) fn new(
        graph: &'a QGraph,
        hw: &'a Hardware,
        plan: &'a Plan,
        dram: &'a DramMap,
    ) -> Emitter<'a> {
        let constants = Constants::new(dram.end, hw);
        let loaded = vec![false; graph.values.len()];
        Emitter {
            graph,
            hw,
            plan,
            dram,
            constants,
            stream: Stream::default(),
            step: 0,
            params: Slots::new(&[0, 1]),
            tables: Slots::new(&[0, 1]),
            bank: 0,
            loaded,
        }
    }

    /// Lanes of a scratchpad row.
    pub(crate) fn lanes(&self) -> usize {
        self.hw.array_rows as usize
    }

    /// The next accumulator bank: banks alternate so that one drains while the other fills.
    pub(crate) fn next_bank(&mut self) -> u32 {
        self.bank ^= 1;
        self.bank
    }

    /// Traffic class of a tensor.
    fn class(&self, value: ValueId) -> Class {
        if self.graph.inputs.contains(&value) {
            Class::Inputs
        } else if self.graph.outputs.contains(&value) {
            Class::Outputs
        } else {
            Class::Spills
        }
    }

    /// Copies a resident network input into the scratchpad when it is first needed, in pieces so that work can begin early.
    pub(crate) fn bring_in(&mut self, value: ValueId) {
        let index = value.0 as usize;
        let (Some(row), Some(base)) = (self.plan.resident[index], self.dram.tensors[index]) else {
            return;
        };
        if !self.graph.inputs.contains(&value) || std::mem::replace(&mut self.loaded[index], true) {
            return;
        }
        let shape = self.graph.values[index].shape;
        let n_blocks = blocks(shape.c, self.lanes());
        let view = View::dense(row, shape.h, shape.w, n_blocks);
        let rows_per_piece = shape.h.div_ceil(4);
        for y0 in (0..shape.h).step_by(rows_per_piece) {
            let rect = Rect { y0, y1: (y0 + rows_per_piece).min(shape.h), x0: 0, x1: shape.w };
            let piece = Piece { value, rect, b0: 0, b1: n_blocks };
            load_piece(
                &mut self.stream,
                self.graph,
                self.hw,
                &piece,
                base,
                &view.at(0, y0, 0),
                Class::Inputs,
            );
        }
    }

    /// Where a piece of an operand lies, loading it if it comes through working buffers.
    pub(crate) fn operand(
        &mut self,
        slots: &mut Slots<Piece>,
        piece: Piece,
    ) -> Result<View, BackendError> {
        if let Some(view) = self.resident_view(&piece) {
            return Ok(view);
        }
        let base = self.dram_base(piece.value)?;
        let (row, held) = slots.get(piece);
        let view = View::dense(row, piece.rect.h(), piece.rect.w(), piece.b1 - piece.b0);
        if !held {
            let class = self.class(piece.value);
            load_piece(&mut self.stream, self.graph, self.hw, &piece, base, &view, class);
        }
        Ok(view)
    }

    /// Where a piece of the result goes.
    pub(crate) fn result(&mut self, slots: &mut Slots<Piece>, piece: Piece) -> View {
        self.resident_view(&piece).unwrap_or_else(|| {
            let (row, _) = slots.get(piece);
            View::dense(row, piece.rect.h(), piece.rect.w(), piece.b1 - piece.b0)
        })
    }

    /// Stores a finished piece if its tensor has a place in DRAM.
    pub(crate) fn finish(&mut self, piece: &Piece, view: &View) {
        if let Some(base) = self.dram.tensors[piece.value.0 as usize] {
            let class = self.class(piece.value);
            store_piece(&mut self.stream, self.graph, self.hw, piece, base, view, class);
        }
    }

    fn resident_view(&self, piece: &Piece) -> Option<View> {
        let index = piece.value.0 as usize;
        let shape = self.graph.values[index].shape;
        let row = self.plan.resident[index]?;
        Some(View::dense(row, shape.h, shape.w, blocks(shape.c, self.lanes())).at(
            piece.b0,
            piece.rect.y0,
            piece.rect.x0,
        ))
    }

    fn dram_base(&self, value: ValueId) -> Result<u64, BackendError> {
        let index = value.0 as usize;
        self.dram.tensors[index].ok_or_else(|| {
            BackendError::Internal(format!(
                "`{}` is neither resident nor in DRAM",
                self.graph.values[index].name
            ))
        })
    }

    /// The note that channels `channels` of `rect` of a value are complete at `view` (which begins at the block of the first channel).
    pub(crate) fn note(
        &self,
        value: ValueId,
        rect: Rect,
        channels: std::ops::Range<usize>,
        view: &View,
    ) -> TileNote {
        TileNote {
            tensor: value.0,
            origin: [rect.y0 as u32, rect.x0 as u32, channels.start as u32],
            extent: [rect.h() as u32, rect.w() as u32, channels.len() as u32],
            row: view.row as u32,
            lane: (channels.start % self.lanes()) as u32,
            row_stride: view.row_stride as u32,
            block_stride: view.block_stride as u32,
            plane_stride: view.plane_stride as u32,
        }
    }

    /// Parameter slot that holds the `count` entries of this step from `channel` on, loading them if need be.
    pub(crate) fn params(
        &mut self,
        channel: usize,
        count: usize,
        entries: impl FnOnce() -> Vec<ParamEntry>,
    ) -> Result<u32, BackendError> {
        let (slot, held) = self.params.get((self.step, channel));
        if !held {
            let layout = self.hw.param_layout();
            let src =
                self.constants.get(ConstantKey::Params { step: self.step, channel }, || {
                    let mut bytes = Vec::new();
                    for entry in entries() {
                        layout.pack(&entry, &mut bytes)?;
                    }
                    Ok::<_, BackendError>(bytes)
                })?;
            self.stream.push(
                Engine::Load,
                LoadParams { slot: slot as u32, src, base: 0, count: count as u32 },
                Class::Params,
            );
        }
        Ok(slot as u32)
    }

    /// Table slot that holds this step's table, loading it if need be.
    pub(crate) fn table(&mut self, bytes: impl FnOnce() -> Vec<u8>) -> Result<u32, BackendError> {
        let (slot, held) = self.tables.get(self.step);
        if !held {
            let bytes = bytes();
            let n = bytes.len() as u32;
            let src = self
                .constants
                .get(ConstantKey::Table { step: self.step }, || Ok::<_, BackendError>(bytes))?;
            self.stream.push(
                Engine::Load,
                LoadTable { slot: slot as u32, src, bytes: n },
                Class::Params,
            );
        }
        Ok(slot as u32)
    }
}

/// A parameter entry.
pub(crate) fn entry(bias: i64, requant: Requant) -> ParamEntry {
    ParamEntry { bias, requant }
}
