//! Words to costs, ports and wait classes.

use isa::instructions::*;
use isa::program::{Class, Note, Program, Section};
use isa::{Engine, Hardware, Inst, Op};

use super::*;

/// 16 x 16, 16 banks of 1536 rows, 8 cycles of pipeline.
fn machine() -> Hardware {
    Hardware::default()
}

fn program(words: &[(Engine, Op)]) -> Program {
    let mut code: [Section; 4] = Default::default();
    let halts = Engine::ALL.map(|engine| (engine, Op::from(Halt {})));
    for &(engine, op) in words.iter().chain(&halts) {
        code[engine.index()].words.push(Inst::new(engine, op));
        code[engine.index()].notes.push(Note::default());
    }
    Program {
        hardware: machine(),
        meta: Default::default(),
        tensors: vec![],
        inputs: vec![],
        outputs: vec![],
        nodes: vec![],
        code,
        constants_base: 0,
        constants: vec![],
        dram_bytes: 0,
        reference: None,
        float_model: None,
        host: isa::program::Host::default(),
    }
}

/// The last word before `halt` of an engine's code.
fn last(engine: Engine, ops: &[Op], hw: &Hardware) -> Step {
    let words: Vec<_> = ops.iter().map(|&op| (engine, op)).collect();
    let mut decoded = Decoded::new(&program(&words), hw).unwrap();
    decoded.code[engine.index()].steps.swap_remove(ops.len() - 1)
}

/// Cycles from issue to own end of the last of `ops`, on the vector engine.
fn vector(ops: &[Op], hw: &Hardware) -> u64 {
    match last(Engine::Vpu, ops, hw).work {
        Work::Vector { cycles } => cycles,
        other => panic!("{other:?}"),
    }
}

fn operand_a(wide: bool) -> Op {
    VpuIn { page: 0, h: 10, w: 10, row_stride: 10, block_stride: 100, plane_stride: 200, wide }
        .into()
}

fn operand_b(wide: bool) -> Op {
    VpuSide {
        page: 0,
        row_stride: 10,
        block_stride: 100,
        plane_stride: 200,
        x_stride: 1,
        lane_broadcast: false,
        wide,
    }
    .into()
}

fn result(wide: bool) -> Op {
    VpuOut { page: 0, row_stride: 10, block_stride: 100, plane_stride: 200, wide }.into()
}

fn quant() -> Op {
    VpuQuant { page: 0, zero0: 0, lo0: -128, hi0: 127, zero1: 0, lo1: -128, hi1: 127 }.into()
}

fn scale(mb: i32) -> Op {
    VpuScale { page: 0, ma: 1, mb, shift: 0, za: 0, zb: 0 }.into()
}

fn window(kh: u32, kw: u32, by_count: bool) -> Op {
    VpuKernel { page: 0, kh, kw, sy: 1, sx: 1, dy: 1, dx: 1, pad: 0, weights: 3000, by_count }
        .into()
}

#[test]
fn a_convolution_takes_ports_of_whole_streams() {
    let kernel = MxuKernel {
        page: 1,
        kh: 3,
        kw: 3,
        sy: 1,
        sx: 1,
        dy: 1,
        dx: 1,
        cols: 12,
        nibbles: true,
        wide: true,
        pad: 0,
    };
    let input =
        MxuInput { page: 1, h: 8, w: 8, row_stride: 8, block_stride: 64, plane_stride: 6000 };
    let conv = MxuConv {
        page: 1,
        act: 0,
        wgt: 1500,
        acc: 0,
        bank: 1,
        th: 2,
        tw: 3,
        iy0: -1,
        ix0: 0,
        blocks: 3,
        add: true,
    };
    let step = last(Engine::Mxu, &[kernel.into(), input.into(), conv.into()], &machine());
    // 9 taps of ceil(3 / 2) pairs of blocks; 6 pixels in two passes; 18 * 12 weight rows from 1500 on reach into bank 1, the low bytes
    // from 6000 on into bank 4. So banks 0 to 4 for the activations, shared with the weights.
    let Work::Conv(cost) = step.work else { panic!("{:?}", step.work) };
    assert_eq!(cost, ConvCost::new(18, 12, 12, true));
    assert_eq!((step.reads, step.writes), (0b1_1111, 0));
    assert_eq!((step.page, step.writes_page), (Some(1), false));
    // One image row fewer is read above the region, but rows 0 to 2 * 64 + 2 * 8 + 4 are.
    let narrow = MxuKernel { wide: false, nibbles: false, ..kernel };
    let apart = MxuConv { wgt: 1536, ..conv };
    let step = last(Engine::Mxu, &[narrow.into(), input.into(), apart.into()], &machine());
    let Work::Conv(cost) = step.work else { panic!("{:?}", step.work) };
    assert_eq!((cost, step.reads), (ConvCost::new(27, 6, 12, false), 0b11));
}

#[test]
fn a_drain_reads_its_side_only_if_it_scales_it() {
    let drain = VpuDrain {
        page: 0,
        acc: 0,
        bank: 0,
        dst: 5000,
        lane: 4,
        th: 2,
        tw: 5,
        cols: 16,
        slot: 0,
        base: 0,
        b: 0,
        add: true,
    };
    let ops = |mb: i32, drain: VpuDrain| {
        [operand_b(true), result(false), quant(), scale(mb), drain.into()]
    };
    // Lanes 4..20 are two rows a pixel, four of 16 bits.
    assert_eq!(vector(&ops(1, drain), &machine()), 10 * 4 + 8);
    assert_eq!(vector(&ops(0, drain), &machine()), 10 * 2 + 8);
    assert_eq!(vector(&ops(1, VpuDrain { add: false, ..drain }), &machine()), 10 * 2 + 8);
    let step = last(Engine::Vpu, &ops(1, drain), &machine());
    assert_eq!((step.reads, step.writes), (0b1, 0b1000));
}

#[test]
fn elementwise_words_read_one_or_two_streams() {
    let add = VpuAdd { page: 0, a: 0, b: 400, dst: 5000, th: 3, tw: 3, blocks: 2 };
    let ops = |mb: i32, add: VpuAdd| {
        [operand_a(true), operand_b(false), result(false), quant(), scale(mb), add.into()]
    };
    // 18 rows: a has two planes, b one, in the same bank; or b in another; or no b.
    assert_eq!(vector(&ops(1, add), &machine()), 18 * 3 + 8);
    assert_eq!(vector(&ops(1, VpuAdd { b: 1536, ..add }), &machine()), 18 * 2 + 8);
    assert_eq!(vector(&ops(0, add), &machine()), 18 * 2 + 8);
    let mul = VpuMul { page: 0, a: 0, b: 400, dst: 5000, th: 3, tw: 3, blocks: 2 };
    let ops = [operand_a(false), operand_b(false), result(false), quant(), scale(0), mul.into()];
    assert_eq!(vector(&ops, &machine()), 18 * 2 + 8);
    let max = VpuMax { page: 0, a: 0, b: 400, dst: 5000, th: 3, tw: 3, blocks: 2, least: false };
    let ops = [operand_a(false), operand_b(false), result(false), quant(), scale(0), max.into()];
    assert_eq!(vector(&ops, &machine()), 18 * 2 + 8);
    let prelu = VpuPrelu { page: 0, a: 0, dst: 5000, th: 3, tw: 3, blocks: 2, slot: 0, base: 0 };
    let ops = [operand_a(true), result(false), quant(), scale(0), prelu.into()];
    assert_eq!(vector(&ops, &machine()), 18 * 2 + 8);
    let lut = VpuLut { page: 0, a: 0, dst: 5000, th: 3, tw: 3, blocks: 2, slot: 0 };
    let narrow_lanes = Hardware { vector_lanes: 4, ..machine() };
    assert_eq!(vector(&[operand_a(false), result(false), lut.into()], &narrow_lanes), 18 * 4 + 8);
}

#[test]
fn windows_softmax_and_moves_cost_what_the_rules_say() {
    let depthwise = VpuDepthwise {
        page: 0,
        a: 0,
        dst: 5000,
        th: 4,
        tw: 5,
        iy0: -1,
        ix0: 0,
        blocks: 2,
        slot: 0,
        base: 0,
    };
    let ops = [operand_a(false), result(false), quant(), window(3, 3, false), depthwise.into()];
    // Rows 0..=4 and columns 0..=6 of the region: 35 inputs, 9 weight rows, in two blocks.
    assert_eq!(vector(&ops, &machine()), 2 * (9 + 35) + 8);
    let pool = VpuPool {
        page: 0,
        a: 0,
        dst: 5000,
        th: 4,
        tw: 5,
        iy0: 0,
        ix0: 0,
        blocks: 2,
        slot: 0,
        base: 0,
        average: false,
    };
    let ops = [operand_a(false), result(false), quant(), window(2, 2, false), pool.into()];
    assert_eq!(vector(&ops, &machine()), 2 * 30 + 8);
    let softmax = VpuSoftmax { page: 0, a: 0, dst: 5000, th: 1, tw: 2, channels: 20, slot: 0 };
    assert_eq!(
        vector(&[operand_a(false), result(false), softmax.into()], &machine()),
        2 * (3 * 2 + 32) + 8
    );
    // Runs of 8 bytes from lane 0, 8, 0, ..: one row; to lane 12, 12, ..: two rows.
    let stride = VpuStride { page: 0, src0: 24, src1: 8, dst0: 48, dst1: 16 };
    let mover = VpuMove {
        page: 0,
        src: 0,
        src_lane: 0,
        dst: 5000,
        dst_lane: 12,
        outer: 2,
        inner: 3,
        len: 8,
    };
    assert_eq!(vector(&[stride.into(), mover.into()], &machine()), 6 * 2 + 8);
    let fill = VpuFill { page: 0, dst: 5000, dst_lane: 4, outer: 2, inner: 3, len: 12, value: 0 };
    assert_eq!(vector(&[stride.into(), fill.into()], &machine()), 6 + 8);
}

#[test]
fn transfers_know_their_rows() {
    let transfer = |engine, ops: &[Op]| match last(engine, ops, &machine()).work {
        Work::Transfer(transfer) => transfer,
        other => panic!("{other:?}"),
    };
    // Rows of 11 elements of 5 bits: 7 bytes. Three runs of 4 rows, adjacent in DRAM or not.
    let geom = LoadGeom { page: 0, rows: 4, elems: 11, bits: 5, spad_stride: 9, dram_stride: 28 };
    let load = Load { page: 0, dst: 3000, src: 100, count: 3 };
    let joined = transfer(Engine::Load, &[geom.into(), load.into()]);
    assert_eq!(
        (joined.run_bytes, joined.runs, joined.unit_bytes, joined.count),
        (84, 1, 7, Count::Ends)
    );
    let geom = LoadGeom { dram_stride: 32, ..geom };
    let apart = transfer(Engine::Load, &[geom.into(), load.into()]);
    assert_eq!((apart.run_bytes, apart.runs, apart.stride), (28, 3, 32));
    let params =
        transfer(Engine::Load, &[LoadParams { slot: 0, src: 100, base: 0, count: 5 }.into()]);
    assert_eq!((params.run_bytes, params.unit_bytes, params.count), (40, 8, Count::Ends));
    let table = transfer(Engine::Load, &[LoadTable { slot: 0, src: 100, bytes: 256 }.into()]);
    assert_eq!((table.run_bytes, table.unit_bytes, table.count), (256, 16, Count::Pieces));
    let geom = StoreGeom { page: 0, rows: 4, bytes: 5, spad_stride: 4, dram_stride: 20 };
    let stored =
        transfer(Engine::Store, &[geom.into(), Store { page: 0, src: 0, dst: 7, count: 2 }.into()]);
    assert_eq!(
        (stored.address, stored.run_bytes, stored.runs, stored.count),
        (7, 40, 1, Count::Starts)
    );
}

/// The class of a wait of `consumer` for `producer`'s first signal, given by its last word, a transfer of class `class`.
fn wait_bucket(consumer: (Engine, Op), producer: (Engine, &[Op]), class: Class) -> Bucket {
    let mut words: Vec<_> = producer.1.iter().map(|&op| (producer.0, op)).collect();
    words.push(consumer);
    let mut program = program(&words);
    let signal = producer.1.len() - 1;
    let section = &mut program.code[producer.0.index()];
    section.words[signal].signal.insert(consumer.0);
    section.notes[signal].class = class;
    program.code[consumer.0.index()].words[0].wait.insert(producer.0);
    let decoded = Decoded::new(&program, &program.hardware).unwrap();
    let wait = decoded.code[consumer.0.index()].steps[0].waits[producer.0.index()];
    assert_eq!(wait.producer, Some(signal as u32));
    wait.bucket
}

#[test]
fn waits_are_classed_by_consumer_and_producer() {
    let word = |engine| match engine {
        Engine::Load => (engine, LoadTable { slot: 0, src: 0, bytes: 9 }.into()),
        Engine::Mxu => (
            engine,
            MxuInput { page: 0, h: 1, w: 1, row_stride: 1, block_stride: 1, plane_stride: 0 }
                .into(),
        ),
        Engine::Vpu => (engine, quant()),
        Engine::Store => (
            engine,
            StoreGeom { page: 0, rows: 1, bytes: 1, spad_stride: 1, dram_stride: 1 }.into(),
        ),
    };
    let geom = LoadGeom { page: 0, rows: 4, elems: 16, bits: 8, spad_stride: 4, dram_stride: 64 };
    let load: &[Op] = &[geom.into(), Load { page: 0, dst: 0, src: 0, count: 1 }.into()];
    let loads = |consumer, class| wait_bucket(word(consumer), (Engine::Load, load), class);
    for consumer in [Engine::Mxu, Engine::Vpu] {
        assert_eq!(loads(consumer, Class::Weights), Bucket::WaitWeights);
        assert_eq!(loads(consumer, Class::Inputs), Bucket::WaitActivations);
        assert_eq!(loads(consumer, Class::Spills), Bucket::WaitActivations);
        assert_eq!(loads(consumer, Class::Params), Bucket::WaitParams);
        assert_eq!(loads(consumer, Class::None), Bucket::WaitToken);
        let table: &[Op] = &[word(Engine::Load).1];
        assert_eq!(
            wait_bucket(word(consumer), (Engine::Load, table), Class::Weights),
            Bucket::WaitParams
        );
        assert_eq!(
            wait_bucket(word(consumer), (Engine::Load, &[geom.into()]), Class::Weights),
            Bucket::WaitToken
        );
    }
    assert_eq!(loads(Engine::Store, Class::Weights), Bucket::WaitToken);

    let drain = VpuDrain {
        page: 0,
        acc: 0,
        bank: 0,
        dst: 0,
        lane: 0,
        th: 1,
        tw: 1,
        cols: 1,
        slot: 0,
        base: 0,
        b: 0,
        add: false,
    };
    let drain = [result(false), quant(), drain.into()];
    let lut = VpuLut { page: 0, a: 0, dst: 50, th: 1, tw: 1, blocks: 1, slot: 0 };
    let lut = [operand_a(false), result(false), lut.into()];
    let by_vector =
        |consumer, ops: &[Op]| wait_bucket(word(consumer), (Engine::Vpu, ops), Class::None);
    assert_eq!(by_vector(Engine::Mxu, &drain), Bucket::WaitAccumulator);
    assert_eq!(by_vector(Engine::Mxu, &lut), Bucket::WaitActivations);
    assert_eq!(by_vector(Engine::Mxu, &[quant()]), Bucket::WaitToken);
    assert_eq!(by_vector(Engine::Store, &drain), Bucket::WaitActivations);
    assert_eq!(by_vector(Engine::Store, &[quant()]), Bucket::WaitToken);
    assert_eq!(by_vector(Engine::Load, &drain), Bucket::WaitToken);

    let kernel = MxuKernel {
        page: 0,
        kh: 1,
        kw: 1,
        sy: 1,
        sx: 1,
        dy: 1,
        dx: 1,
        cols: 1,
        nibbles: false,
        wide: false,
        pad: 0,
    };
    let conv = MxuConv {
        page: 0,
        act: 0,
        wgt: 0,
        acc: 0,
        bank: 0,
        th: 1,
        tw: 1,
        iy0: 0,
        ix0: 0,
        blocks: 1,
        add: false,
    };
    let conv: &[Op] = &[kernel.into(), word(Engine::Mxu).1, conv.into()];
    assert_eq!(
        wait_bucket(word(Engine::Vpu), (Engine::Mxu, conv), Class::None),
        Bucket::WaitAccumulator
    );
    assert_eq!(
        wait_bucket(word(Engine::Load), (Engine::Mxu, conv), Class::None),
        Bucket::WaitToken
    );
    assert_eq!(
        wait_bucket(word(Engine::Vpu), (Engine::Mxu, &[kernel.into()]), Class::None),
        Bucket::WaitToken
    );
    let sync = (Engine::Vpu, Sync {}.into());
    assert_eq!(wait_bucket(sync, (Engine::Mxu, conv), Class::None), Bucket::Idle);
}

#[test]
fn each_wait_is_paired_with_its_own_signal() {
    let mut program = program(&[
        (Engine::Load, Sync {}.into()),
        (Engine::Load, Sync {}.into()),
        (Engine::Load, Sync {}.into()),
        (Engine::Store, Sync {}.into()),
        (Engine::Store, Sync {}.into()),
        (Engine::Store, Sync {}.into()),
    ]);
    for signal in [0, 2] {
        program.code[0].words[signal].signal.insert(Engine::Store);
    }
    for wait in 0..3 {
        program.code[3].words[wait].wait.insert(Engine::Load);
    }
    let decoded = Decoded::new(&program, &program.hardware).unwrap();
    let steps = &decoded.code[3].steps;
    let producers: Vec<_> =
        steps[..3].iter().map(|step| step.waits[Engine::Load.index()].producer).collect();
    assert_eq!(producers, [Some(0), Some(2), None]);
}
