//! Every instruction, against numbers worked by hand and against its other implementation.

mod array;
mod random;
mod transfer;
mod vector;

use std::sync::Arc;

use isa::Hardware;
use isa::access::{Pages, access, check_dram};
use isa::inst::{Engine, Inst, Op};
use isa::numerics::Requant;
use isa::numerics::param::ParamEntry;
use isa::program::{Meta, Program, Section};

use super::*;
use crate::memory::{Guard, Image};

/// DRAM of the test machines.
const DRAM_BYTES: u64 = 4096;

/// A machine from `tiny8` with other parameters.
pub(super) fn machine(settings: &[(&str, u32)]) -> Hardware {
    let mut hardware = Hardware::preset("tiny8").unwrap();
    for (name, value) in settings {
        hardware.set(name, &value.to_string()).unwrap();
    }
    hardware.validate().unwrap();
    hardware
}

/// A program without code.
fn empty_program(hardware: &Hardware) -> Program {
    Program {
        hardware: hardware.clone(),
        meta: Meta::default(),
        tensors: vec![],
        inputs: vec![],
        outputs: vec![],
        nodes: vec![],
        code: std::array::from_fn(|_| Section::default()),
        constants_base: 0,
        constants: vec![],
        dram_bytes: DRAM_BYTES,
        reference: None,
        float_model: None,
        host: isa::program::Host::default(),
    }
}

/// Memories, and pages of registers.
#[derive(Clone)]
struct Bench {
    memory: Memory,
    pages: Pages,
}

impl Bench {
    /// Four lanes, two columns, 256 rows.
    fn new() -> Bench {
        Bench::on(&machine(&[
            ("array_rows", 4),
            ("array_cols", 2),
            ("scratchpad_kib", 1),
            ("scratchpad_banks", 4),
            ("acc_rows", 16),
            ("param_entries", 16),
        ]))
    }

    fn on(hardware: &Hardware) -> Bench {
        let image = Arc::new(Image::new(&empty_program(hardware)));
        let mut memory = Memory::new(hardware, image);
        memory.guard = Some(Guard::new(hardware));
        Bench { memory, pages: Pages::default() }
    }

    /// Writes registers.
    fn set(&mut self, registers: impl Into<Op>) -> &mut Bench {
        let op = registers.into();
        self.pages.apply(&Inst::new(op.engine().unwrap(), op));
        self
    }

    /// Puts bytes into a scratchpad row from lane 0.
    fn put(&mut self, row: u32, bytes: &[i8]) -> &mut Bench {
        let start = self.memory.row_start(row);
        self.memory.spad[start..start + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Puts a parameter entry into slot 0.
    fn param(&mut self, entry: usize, bias: i64, multiplier: u32, shift: u8) -> &mut Bench {
        self.memory.params[0][entry] = ParamEntry { bias, requant: Requant { multiplier, shift } };
        self
    }

    fn row(&self, row: u32) -> &[i8] {
        let start = self.memory.row_start(row);
        &self.memory.spad[start..start + self.memory.lanes() as usize]
    }

    fn sums(&self, bank: usize, row: usize) -> &[i64] {
        &self.memory.sums[bank][row * self.memory.columns()..][..self.memory.columns()]
    }

    /// Executes by both implementations, which must agree on every memory; traps are the reference's.
    fn run(&mut self, op: impl Into<Op>) -> Result<(), Trap> {
        let op = op.into();
        let inst = Inst::new(op.engine().unwrap_or(Engine::Load), op);
        let declared = access(&inst, &self.pages, &self.memory.hardware)?;
        check_dram(&declared, DRAM_BYTES)?;
        let mut fast = self.memory.clone();
        fast.guard = None;
        let outcome = execute_fast(&inst, &self.pages, &mut fast, &mut Scratch::default());
        execute_reference(&inst, &self.pages, &mut self.memory)?;
        assert_eq!(outcome, Ok(()), "{inst:?}");
        assert_same(&self.memory, &fast, &inst);
        self.assert_all_declared_is_touched(&inst);
        Ok(())
    }

    /// Declared addresses that are not touched are allowed only where the declaration is a bounding box.
    fn assert_all_declared_is_touched(&self, inst: &Inst) {
        let guard = self.memory.guard.as_ref().unwrap();
        let [boxed_rows, boxed_params] = match &inst.op {
            Op::MxuConv(_) | Op::VpuDepthwise(_) => [true, false],
            Op::VpuPool(_) => [true, true],
            _ => [false, false],
        };
        for space in [Space::Spad, Space::Acc(0), Space::Acc(1), Space::Params(0), Space::Params(1)]
        {
            let boxed = match space {
                Space::Spad => boxed_rows,
                Space::Params(_) => boxed_params,
                _ => false,
            };
            assert!(
                guard.touched_all(space, true),
                "writes less of {space} than declared: {inst:?}"
            );
            assert!(
                boxed || guard.touched_all(space, false),
                "reads less of {space} than declared: {inst:?}"
            );
        }
    }
}

fn assert_same(reference: &Memory, fast: &Memory, inst: &Inst) {
    let lanes = reference.lanes() as usize;
    let rows = reference.spad.len() - lanes;
    for (row, (a, b)) in
        reference.spad[..rows].chunks(lanes).zip(fast.spad[..rows].chunks(lanes)).enumerate()
    {
        assert_eq!(a, b, "scratchpad row {row} (reference, fast): {inst:?}");
    }
    assert_eq!(reference.sums, fast.sums, "accumulators: {inst:?}");
    assert_eq!(reference.params, fast.params, "parameters: {inst:?}");
    assert_eq!(reference.tables, fast.tables, "tables: {inst:?}");
    assert_eq!(reference.dram.contents(), fast.dram.contents(), "DRAM: {inst:?}");
}
