//! The instruction stream under construction: words in one sequential order that is a correct execution by itself.
//!
//! Engines later run side by side; `semaphores` adds what keeps every overlap equal to this order. The stream also
//! keeps track of the register pages, so that lowering says which registers a tile word needs and only changes are written.

use std::mem::discriminant;

use isa::inst::{Engine, Inst, Op};
use isa::program::{Class, Note, TileNote};

/// One word and what it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    /// The word, without semaphores.
    pub inst: Inst,
    /// Its note.
    pub note: Note,
}

/// Registers of one engine as the words so far leave them.
#[derive(Clone, Debug, Default)]
struct Pages {
    /// Register words by page, with page field 0.
    held: [Vec<Op>; 2],
    last_used: usize,
}

/// Words in sequential order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// Words so far.
    pub tasks: Vec<Task>,
    pages: [Pages; 4],
    node: u32,
}

impl Stream {
    /// Names the node that the next words belong to.
    pub(crate) fn set_node(&mut self, node: u32) {
        self.node = node;
    }

    /// Appends a word.
    pub(crate) fn push(&mut self, engine: Engine, op: impl Into<Op>, class: Class) {
        self.push_noted(engine, op, class, None);
    }

    /// Appends a word that completes a piece of a tensor in the scratchpad.
    pub(crate) fn push_noted(
        &mut self,
        engine: Engine,
        op: impl Into<Op>,
        class: Class,
        tile: Option<TileNote>,
    ) {
        let note = Note { node: self.node, class, tile };
        self.tasks.push(Task { inst: Inst::new(engine, op), note });
    }

    /// Makes some page of `engine` hold the given register words (their page field is ignored) and returns the page.
    pub(crate) fn registers(&mut self, engine: Engine, wanted: &[Op]) -> u32 {
        let pages = &self.pages[engine.index()];
        let missing = |page: usize| {
            wanted.iter().filter(|op| !pages.held[page].contains(&on_page(**op, 0))).count()
        };
        // Of two pages that both need writing take the one not in use by the latest tile words: writing it does not wait for them.
        let page =
            (0..2).min_by_key(|&p| (missing(p) > 0, p == pages.last_used, missing(p))).unwrap_or(0);
        for op in wanted {
            let op = on_page(*op, 0);
            let held = &mut self.pages[engine.index()].held[page];
            if held.contains(&op) {
                continue;
            }
            held.retain(|old| discriminant(old) != discriminant(&op));
            held.push(op);
            self.push(engine, on_page(op, page as u32), Class::None);
        }
        self.pages[engine.index()].last_used = page;
        page as u32
    }
}

/// A register word aimed at `page`.
fn on_page(mut op: Op, page: u32) -> Op {
    match &mut op {
        Op::LoadGeom(r) => r.page = page,
        Op::MxuKernel(r) => r.page = page,
        Op::MxuInput(r) => r.page = page,
        Op::VpuIn(r) => r.page = page,
        Op::VpuSide(r) => r.page = page,
        Op::VpuOut(r) => r.page = page,
        Op::VpuKernel(r) => r.page = page,
        Op::VpuQuant(r) => r.page = page,
        Op::VpuScale(r) => r.page = page,
        Op::VpuStride(r) => r.page = page,
        Op::StoreGeom(r) => r.page = page,
        Op::Halt(_)
        | Op::Sync(_)
        | Op::Load(_)
        | Op::LoadParams(_)
        | Op::LoadTable(_)
        | Op::MxuConv(_)
        | Op::VpuDrain(_)
        | Op::VpuDepthwise(_)
        | Op::VpuPool(_)
        | Op::VpuAdd(_)
        | Op::VpuMul(_)
        | Op::VpuMax(_)
        | Op::VpuPrelu(_)
        | Op::VpuLut(_)
        | Op::VpuSoftmax(_)
        | Op::VpuMove(_)
        | Op::VpuFill(_)
        | Op::Store(_) => {}
    }
    op
}

#[cfg(test)]
mod tests {
    use isa::instructions::StoreGeom;

    use super::*;

    fn geom(rows: u32) -> Op {
        StoreGeom { page: 0, rows, bytes: 1, spad_stride: 0, dram_stride: 0 }.into()
    }

    #[test]
    fn unchanged_registers_are_not_written_again() {
        let mut stream = Stream::default();
        let a = stream.registers(Engine::Store, &[geom(1)]);
        let b = stream.registers(Engine::Store, &[geom(2)]);
        assert_ne!(a, b);
        assert_eq!(stream.registers(Engine::Store, &[geom(1)]), a);
        assert_eq!(stream.registers(Engine::Store, &[geom(2)]), b);
        assert_eq!(stream.tasks.len(), 2);
        assert_eq!(stream.registers(Engine::Store, &[geom(3)]), a);
        assert_eq!(stream.tasks.len(), 3);
    }
}
