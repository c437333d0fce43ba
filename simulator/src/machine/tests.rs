//! Whole programs: order, inputs and outputs, errors, threads.

use isa::Hardware;
use isa::inst::{EngineSet, Inst, Op};
use isa::instructions::*;
use isa::numerics::Requant;
use isa::numerics::param::{ParamEntry, ParamLayout};
use isa::program::{Class, Meta, NodeInfo, Note, Section, Unit};

use super::*;

const X: u64 = 0;
const Y: u64 = 64;
const WEIGHTS: u64 = 128;
const PARAMS: u64 = 136;

/// A 1x1 convolution of a `[2, 3, 3]` image to two channels on four lanes and two columns, in two tiles (image rows), each loaded, multiplied,
/// drained and stored: `y0 = x0 + x1 + x2`, `y1 = 2*x0 - x2`.
fn program() -> Program {
    let mut hardware = Hardware::preset("tiny8").unwrap();
    for (name, value) in [
        ("array_rows", "4"),
        ("array_cols", "2"),
        ("scratchpad_kib", "1"),
        ("scratchpad_banks", "4"),
    ] {
        hardware.set(name, value).unwrap();
    }
    let mut constants: Vec<u8> = [1, 1, 1, 2, 0, -1_i8].iter().map(|w| w.cast_unsigned()).collect();
    constants.resize(8, 0);
    let entry = ParamEntry { bias: 0, requant: Requant { multiplier: 1, shift: 0 } };
    for _ in 0..2 {
        ParamLayout::Narrow.pack(&entry, &mut constants).unwrap();
    }
    let mut program = Program {
        hardware,
        meta: Meta::default(),
        tensors: vec![tensor("x", 3), tensor("y", 2)],
        inputs: vec![IoBinding { tensor: 0, dram: X }],
        outputs: vec![IoBinding { tensor: 1, dram: Y }],
        nodes: vec![NodeInfo {
            name: "conv1".into(),
            op: "Conv".into(),
            macs: 36,
            unit: Unit::Array,
            weight_bits: 8,
            act_bits: 8,
            tile: String::new(),
        }],
        code: [load(), mxu(), vpu(), store()],
        constants_base: WEIGHTS,
        constants,
        dram_bytes: 1024,
        reference: None,
        float_model: None,
        host: isa::program::Host::default(),
    };
    for (section, base) in program.code.iter_mut().zip([256, 448, 576, 832]) {
        section.base = base;
    }
    program
}

fn tensor(name: &str, channels: u32) -> TensorInfo {
    TensorInfo {
        name: name.into(),
        shape: [2, 3, channels],
        bits: 8,
        scale: 1.0,
        zero_point: 0,
        onnx_shape: vec![],
        perm: vec![],
    }
}

type Word = (Op, &'static [Engine], &'static [Engine]);

/// A section from words with their wait and signal sets.
fn section(engine: Engine, words: &[Word]) -> Section {
    let inst = |&(op, wait, signal): &Word| Inst {
        engine,
        wait: wait.iter().copied().collect(),
        signal: signal.iter().copied().collect(),
        op,
    };
    let note = Note { node: 0, class: Class::None, tile: None };
    Section { base: 0, words: words.iter().map(inst).collect(), notes: vec![note; words.len()] }
}

fn load() -> Section {
    let geom = LoadGeom { page: 0, rows: 3, elems: 3, bits: 8, spad_stride: 0, dram_stride: 0 };
    let weights = LoadGeom { page: 1, rows: 2, ..geom };
    section(
        Engine::Load,
        &[
            (geom.into(), &[], &[]),
            (weights.into(), &[], &[]),
            (LoadParams { slot: 0, src: PARAMS, base: 0, count: 2 }.into(), &[], &[Engine::Vpu]),
            (Load { page: 1, dst: 20, src: WEIGHTS, count: 1 }.into(), &[], &[]),
            (Load { page: 0, dst: 0, src: X, count: 1 }.into(), &[], &[Engine::Mxu]),
            (Load { page: 0, dst: 10, src: X + 9, count: 1 }.into(), &[], &[Engine::Mxu]),
            (Halt {}.into(), &[], &[]),
        ],
    )
}

fn mxu() -> Section {
    let kernel = MxuKernel {
        page: 0,
        kh: 1,
        kw: 1,
        sy: 1,
        sx: 1,
        dy: 1,
        dx: 1,
        cols: 2,
        nibbles: false,
        wide: false,
        pad: 0,
    };
    let input = MxuInput { page: 0, h: 1, w: 3, row_stride: 3, block_stride: 3, plane_stride: 0 };
    let conv = MxuConv {
        page: 0,
        act: 0,
        wgt: 20,
        acc: 0,
        bank: 0,
        th: 1,
        tw: 3,
        iy0: 0,
        ix0: 0,
        blocks: 1,
        add: false,
    };
    section(
        Engine::Mxu,
        &[
            (kernel.into(), &[], &[]),
            (input.into(), &[], &[]),
            (conv.into(), &[Engine::Load], &[Engine::Vpu]),
            (MxuConv { act: 10, bank: 1, ..conv }.into(), &[Engine::Load], &[Engine::Vpu]),
            (Halt {}.into(), &[], &[]),
        ],
    )
}

fn vpu() -> Section {
    let out = VpuOut { page: 0, row_stride: 3, block_stride: 3, plane_stride: 0, wide: false };
    let quant = VpuQuant { page: 0, zero0: 0, lo0: -128, hi0: 127, zero1: 0, lo1: 0, hi1: 0 };
    let drain = VpuDrain {
        page: 0,
        acc: 0,
        bank: 0,
        dst: 30,
        lane: 0,
        th: 1,
        tw: 3,
        cols: 2,
        slot: 0,
        base: 0,
        b: 0,
        add: false,
    };
    let mut section = section(
        Engine::Vpu,
        &[
            (out.into(), &[Engine::Load], &[]),
            (quant.into(), &[], &[]),
            (drain.into(), &[Engine::Mxu], &[Engine::Store]),
            (VpuDrain { bank: 1, dst: 33, ..drain }.into(), &[Engine::Mxu], &[Engine::Store]),
            (Halt {}.into(), &[], &[]),
        ],
    );
    for (word, row) in [(2, 0), (3, 1)] {
        section.notes[word].tile = Some(TileNote {
            tensor: 1,
            origin: [row, 0, 0],
            extent: [1, 3, 2],
            row: 30 + 3 * row,
            lane: 0,
            row_stride: 3,
            block_stride: 6,
            plane_stride: 0,
        });
    }
    section
}

fn store() -> Section {
    let geom = StoreGeom { page: 0, rows: 3, bytes: 2, spad_stride: 0, dram_stride: 0 };
    section(
        Engine::Store,
        &[
            (geom.into(), &[], &[]),
            (Store { page: 0, src: 30, dst: Y, count: 1 }.into(), &[Engine::Vpu], &[]),
            (Store { page: 0, src: 33, dst: Y + 6, count: 1 }.into(), &[Engine::Vpu], &[]),
            (Halt {}.into(), &[], &[]),
        ],
    )
}

const INPUT: [i32; 18] = [1, 2, 3, 4, 5, 6, -7, 8, 9, 0, 0, 1, 100, 100, 100, -1, -2, -3];
const OUTPUT: [i32; 12] = [6, -1, 15, 2, 10, -23, 1, -1, 127, 100, -6, 1];

fn run(prepared: &Prepared<'_>, kernels: Kernels, order: &Order) -> Vec<i32> {
    let mut machine = Machine::new(prepared, kernels);
    machine.write_input(0, &INPUT).unwrap();
    machine.run(order, None).unwrap();
    machine.read_output(0).unwrap()
}

#[test]
fn a_program_computes_its_network() {
    let program = program();
    let prepared = Prepared::new(&program).unwrap();
    let order = Order::round_robin(&program).unwrap();
    assert_eq!(order.steps().len(), 21);
    for kernels in [Kernels::Fast, Kernels::Reference] {
        assert_eq!(run(&prepared, kernels, &order), OUTPUT);
    }
}

#[test]
fn the_order_does_not_matter() {
    let program = program();
    let prepared = Prepared::new(&program).unwrap();
    let orders: Vec<Order> =
        (0..50).map(|seed| Order::adversarial(&program, seed).unwrap()).collect();
    assert!(orders.iter().any(|order| order != &orders[0]));
    assert_eq!(Order::adversarial(&program, 7).unwrap(), orders[7]);
    for order in &orders {
        assert_eq!(run(&prepared, Kernels::Fast, order), OUTPUT);
    }
}

#[test]
fn a_race_shows_in_some_order() {
    // Both tiles through one accumulator bank, and nothing that holds the second product back.
    let mut racing = program();
    for (engine, word) in [(Engine::Mxu, 3), (Engine::Vpu, 3)] {
        match &mut racing.code[engine.index()].words[word].op {
            Op::MxuConv(op) => op.bank = 0,
            Op::VpuDrain(op) => op.bank = 0,
            _ => unreachable!(),
        }
    }
    let prepared = Prepared::new(&racing).unwrap();
    let outputs = (0..50)
        .map(|seed| run(&prepared, Kernels::Fast, &Order::adversarial(&racing, seed).unwrap()));
    let wrong = outputs.filter(|output| output[..] != OUTPUT).count();
    assert!((1..50).contains(&wrong), "{wrong}");
    let inputs = [INPUT.to_vec()];
    let orders = Interleavings::new(&prepared, Kernels::Fast, &inputs).unwrap();
    let races: Vec<Race> = (0..30).filter_map(|index| orders.race(index).unwrap()).collect();
    assert!((1..30).contains(&races.len()), "{}", races.len());
    for race in &races {
        let words = [&race.early, &race.late].map(|at| (at.engine, at.index));
        assert!(words.contains(&(Engine::Mxu, 3)), "{words:?}");
        assert!(words.contains(&(Engine::Vpu, 2)), "{words:?}");
        assert!(race.place.contains("`y`"), "{}", race.place);
    }
}

#[test]
fn hostile_orders_leave_no_byte_different() {
    let program = program();
    let prepared = Prepared::new(&program).unwrap();
    let inputs = [INPUT.to_vec()];
    let orders = Interleavings::new(&prepared, Kernels::Reference, &inputs).unwrap();
    for index in 0..60 {
        assert_eq!(orders.race(index).unwrap(), None);
    }
    let different = |index| Order::hostile(&program, index).unwrap();
    assert_ne!(different(0), different(1));
    assert_eq!(different(30), Order::adversarial(&program, 30).unwrap());
}

#[derive(Default)]
struct Collect(Vec<([u32; 3], Vec<i32>)>);

impl Observer for Collect {
    fn tile(&mut self, tile: &TileNote, values: Vec<i32>) {
        self.0.push((tile.origin, values));
    }
}

#[test]
fn observers_see_every_tile() {
    let program = program();
    let prepared = Prepared::new(&program).unwrap();
    let mut machine = Machine::new(&prepared, Kernels::Fast);
    machine.write_input(0, &INPUT).unwrap();
    let mut seen = Collect::default();
    machine.run(&Order::round_robin(&program).unwrap(), Some(&mut seen)).unwrap();
    assert_eq!(seen.0, [([0, 0, 0], OUTPUT[..6].to_vec()), ([1, 0, 0], OUTPUT[6..].to_vec())]);
}

#[test]
fn machines_share_a_program_and_reset_forgets() {
    let program = program();
    let prepared = Prepared::new(&program).unwrap();
    let order = Order::round_robin(&program).unwrap();
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..3).map(|_| scope.spawn(|| run(&prepared, Kernels::Fast, &order))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outputs, [OUTPUT; 3]);
    let mut machine = Machine::new(&prepared, Kernels::Fast);
    let fresh = machine.read_output(0).unwrap();
    assert_eq!(fresh, [-91; 12]);
    machine.write_input(0, &INPUT).unwrap();
    machine.run(&order, None).unwrap();
    machine.reset();
    assert_eq!(machine.read_output(0).unwrap(), fresh);
    // An input that nobody wrote is conspicuous: three times -91 saturates.
    machine.run(&order, None).unwrap();
    assert_eq!(machine.read_output(0).unwrap()[..2], [-128, -91]);
}

#[test]
fn a_missing_signal_is_a_deadlock() {
    let mut stuck = program();
    stuck.code[1].words[3].signal = EngineSet::EMPTY;
    let error = Order::round_robin(&stuck).unwrap_err();
    let SimError::Deadlock { at, unmet, full } = &error else { panic!("{error}") };
    assert_eq!(
        (at.engine, at.index, *unmet, *full),
        (Engine::Vpu, 3, Engine::Mxu.into(), EngineSet::EMPTY)
    );
    assert_eq!(
        error.to_string(),
        "deadlock at vpu word 3 `vpu.drain page=0 acc=0 bank=1 dst=33 lane=0 th=1 tw=3 cols=2 slot=0 base=0 b=0 \
         wait=mxu signal=store` of node `conv1`: waits for a signal of mxu that never comes"
    );
    assert_eq!(Order::adversarial(&stuck, 3).unwrap_err(), error);
}

#[test]
fn a_full_semaphore_waits_and_may_deadlock() {
    let mut full = program();
    let sync: Word = (Sync {}.into(), &[], &[Engine::Store]);
    let mut words = vec![sync; 300];
    words.push((Halt {}.into(), &[], &[]));
    full.code[0] = section(Engine::Load, &words);
    let drained: Word = (Sync {}.into(), &[Engine::Load], &[]);
    let mut words = vec![drained; 300];
    words.push((Halt {}.into(), &[], &[]));
    full.code[3] = section(Engine::Store, &words);
    let halt: Word = (Halt {}.into(), &[], &[]);
    full.code[1] = section(Engine::Mxu, &[halt]);
    full.code[2] = section(Engine::Vpu, &[halt]);
    // More than 255 ahead only stalls the producer.
    assert!(Order::round_robin(&full).is_ok());
    assert!(Order::adversarial(&full, 1).is_ok());
    full.code[3] = section(Engine::Store, &[halt]);
    let Err(SimError::Deadlock { at, unmet, full }) = Order::round_robin(&full) else { panic!() };
    assert_eq!(
        (at.engine, at.index, unmet, full),
        (Engine::Load, 255, EngineSet::EMPTY, Engine::Store.into())
    );
}

#[test]
fn unsound_programs_are_refused() {
    let mut early = program();
    early.code[0].words.pop();
    assert!(matches!(Prepared::new(&early), Err(SimError::Program(errors)) if errors.len() == 2));
    let mut overwriting = program();
    if let Op::Store(op) = &mut overwriting.code[3].words[1].op {
        op.dst = WEIGHTS - 1;
    }
    let error = Prepared::new(&overwriting).unwrap_err();
    assert!(
        matches!(&error, SimError::ReadOnly { at, first: 127, end: 133 } if at.index == 1),
        "{error}"
    );
    let mut folded = program();
    folded.tensors[1].shape = [2, 3, 2000];
    folded.outputs.clear();
    folded.code[2].notes[2].tile.as_mut().unwrap().extent = [2, 3, 2000];
    if let Some(tile) = &mut folded.code[2].notes[2].tile {
        (tile.row_stride, tile.block_stride) = (0, 0);
    }
    assert!(matches!(
        Prepared::new(&folded),
        Err(SimError::Tile { found: 12000, limit: 1024, .. })
    ));
}

#[test]
fn bad_parameters_name_the_word() {
    let mut bad = program();
    // A shift of 63 in the second entry.
    bad.constants[(PARAMS - WEIGHTS) as usize + 15] = 0xff;
    let prepared = Prepared::new(&bad).unwrap();
    let mut machine = Machine::new(&prepared, Kernels::Fast);
    machine.write_input(0, &INPUT).unwrap();
    let error = machine.run(&Order::round_robin(&bad).unwrap(), None).unwrap_err();
    let SimError::Trap { at, trap } = &error else { panic!("{error}") };
    assert_eq!((at.engine, at.index), (Engine::Load, 2));
    assert!(matches!(**trap, Trap::Param { entry: 1, .. }));
    assert!(error.to_string().contains("load.params slot=0 src=0x88"), "{error}");
}

#[test]
fn inputs_and_outputs_are_checked() {
    let program = program();
    let prepared = Prepared::new(&program).unwrap();
    let mut machine = Machine::new(&prepared, Kernels::Fast);
    assert!(matches!(
        machine.write_input(1, &INPUT),
        Err(SimError::NoBinding { kind: "input", index: 1, count: 1 })
    ));
    assert!(matches!(machine.read_output(1), Err(SimError::NoBinding { kind: "output", .. })));
    assert_eq!(
        machine.write_input(0, &INPUT[1..]).unwrap_err().to_string(),
        "tensor `x`: 17 values: expected 18 for shape [2, 3, 3]"
    );
}
