//! Known answers for every kind of word, every refusal, and hostile words.

mod vector;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::inst::{Engine, arbitrary};
use crate::instructions::*;

/// Four lanes, two columns, 256 rows in four banks.
fn machine() -> Hardware {
    let mut hardware = Hardware::preset("tiny8").unwrap();
    let settings = [
        "array_rows=4",
        "array_cols=2",
        "scratchpad_kib=1",
        "scratchpad_banks=4",
        "acc_rows=16",
        "param_entries=16",
    ];
    for setting in settings {
        let (name, value) = setting.split_once('=').unwrap();
        hardware.set(name, value).unwrap();
    }
    hardware.validate().unwrap();
    hardware
}

fn accesses(
    engine: Engine,
    registers: &[Op],
    op: impl Into<Op>,
) -> Result<Vec<Access>, AccessError> {
    let mut pages = Pages::default();
    for &regs in registers {
        pages.apply(&Inst::new(engine, regs));
    }
    access(&Inst::new(engine, op), &pages, &machine())
}

/// `stream`'s addresses, its memory and whether they are written; panics if it is not there exactly once.
fn find(found: &[Access], stream: Stream, write: bool) -> (Space, BTreeSet<i64>) {
    let mut matching =
        found.iter().filter(|access| access.stream == stream && access.write == write);
    let access = matching.next().expect("the stream is there");
    assert!(matching.next().is_none(), "the stream is there once");
    (access.space, access.rows.intervals().flatten().collect())
}

fn set(ranges: &[std::ops::Range<i64>]) -> BTreeSet<i64> {
    ranges.iter().cloned().flatten().collect()
}

fn span(range: std::ops::Range<i64>) -> BTreeSet<i64> {
    range.collect()
}

const LOAD_GEOM: LoadGeom =
    LoadGeom { page: 0, rows: 3, elems: 5, bits: 4, spad_stride: 10, dram_stride: 100 };
const LOAD: Load = Load { page: 0, dst: 7, src: 1000, count: 2 };

#[test]
fn load_touches_rows_and_packed_bytes() {
    let found = accesses(Engine::Load, &[LOAD_GEOM.into()], LOAD).unwrap();
    assert_eq!(find(&found, Stream::LoadWrite, true), (Space::Spad, set(&[7..10, 17..20])));
    // Five nibbles are three bytes, three rows are nine.
    assert_eq!(
        find(&found, Stream::LoadRead, false),
        (Space::Dram, set(&[1000..1009, 1100..1109]))
    );
    assert_eq!(check_dram(&found, 1109), Ok(()));
    assert!(matches!(
        check_dram(&found, 1108),
        Err(AccessError::Outside { space: Space::Dram, high: 1109, .. })
    ));
}

#[test]
fn load_refuses_what_no_row_holds() {
    let load = |geom: LoadGeom, op: Load| accesses(Engine::Load, &[geom.into()], op);
    let eight = LoadGeom { bits: 8, ..LOAD_GEOM };
    assert!(matches!(
        load(eight, LOAD),
        Err(AccessError::Field { field: "load.geom elems", found: 5, max: 4, .. })
    ));
    assert!(matches!(
        load(LoadGeom { elems: 9, ..LOAD_GEOM }, LOAD),
        Err(AccessError::Field { max: 8, .. })
    ));
    assert!(matches!(
        load(LoadGeom { bits: 1, ..LOAD_GEOM }, LOAD),
        Err(AccessError::Field { min: 2, .. })
    ));
    assert!(matches!(
        load(LoadGeom { rows: 0, ..LOAD_GEOM }, LOAD),
        Err(AccessError::Field { found: 0, .. })
    ));
    assert!(matches!(
        load(LOAD_GEOM, Load { count: 0, ..LOAD }),
        Err(AccessError::Field { field: "count", .. })
    ));
    assert!(matches!(
        load(LOAD_GEOM, Load { dst: 244, ..LOAD }),
        Err(AccessError::Outside { low: 244, high: 257, limit: 256, .. })
    ));
    assert!(matches!(
        load(LoadGeom { spad_stride: 2, ..LOAD_GEOM }, LOAD),
        Err(AccessError::SelfOverlap { .. })
    ));
    let unwritten = load(LOAD_GEOM, Load { page: 1, ..LOAD }).unwrap_err();
    assert_eq!(unwritten, AccessError::Unwritten { group: "load.geom", page: 1 });
    assert_eq!(
        unwritten.to_string(),
        "reads the registers of `load.geom` in page 1, which no earlier word has written"
    );
}

#[test]
fn parameters_and_tables_have_slots() {
    let op = LoadParams { slot: 1, src: 64, base: 3, count: 4 };
    let found = accesses(Engine::Load, &[], op).unwrap();
    assert_eq!(find(&found, Stream::LoadWrite, true), (Space::Params(1), span(3..7)));
    assert_eq!(find(&found, Stream::LoadRead, false).1, span(64..96));
    let outside = accesses(Engine::Load, &[], LoadParams { base: 13, ..op });
    assert!(matches!(
        outside,
        Err(AccessError::Outside { space: Space::Params(1), high: 17, limit: 16, .. })
    ));
    let found = accesses(Engine::Load, &[], LoadTable { slot: 0, src: 9, bytes: 2048 }).unwrap();
    assert_eq!(find(&found, Stream::LoadWrite, true), (Space::Table(0), span(0..2048)));
    for bytes in [0, 2049] {
        assert!(accesses(Engine::Load, &[], LoadTable { slot: 0, src: 9, bytes }).is_err());
    }
}

#[test]
fn store_reads_rows_and_writes_narrow_bytes() {
    let geom = StoreGeom { page: 1, rows: 2, bytes: 3, spad_stride: 4, dram_stride: 6 };
    let op = Store { page: 1, src: 8, dst: 50, count: 3 };
    let found = accesses(Engine::Store, &[geom.into()], op).unwrap();
    assert_eq!(
        find(&found, Stream::StoreRead, false),
        (Space::Spad, set(&[8..10, 12..14, 16..18]))
    );
    assert_eq!(find(&found, Stream::StoreWrite, true), (Space::Dram, span(50..68)));
    let overlapping = StoreGeom { dram_stride: 5, ..geom };
    assert!(matches!(
        accesses(Engine::Store, &[overlapping.into()], op),
        Err(AccessError::SelfOverlap { .. })
    ));
}

const KERNEL: MxuKernel = MxuKernel {
    page: 0,
    kh: 3,
    kw: 2,
    sy: 2,
    sx: 1,
    dy: 1,
    dx: 2,
    cols: 2,
    nibbles: false,
    wide: false,
    pad: 0,
};
const INPUT: MxuInput =
    MxuInput { page: 0, h: 5, w: 4, row_stride: 6, block_stride: 40, plane_stride: 100 };
const CONV: MxuConv = MxuConv {
    page: 0,
    act: 10,
    wgt: 200,
    acc: 3,
    bank: 1,
    th: 2,
    tw: 3,
    iy0: -1,
    ix0: 1,
    blocks: 2,
    add: false,
};

#[test]
fn conv_reads_the_clipped_window() {
    let found = accesses(Engine::Mxu, &[KERNEL.into(), INPUT.into()], CONV).unwrap();
    // Image rows -1..=3 clip to 0..=3, columns 1..=5 clip to 1..=3; blocks 40 rows apart.
    let block = |b: i64| (0..4).map(move |y| 10 + 40 * b + 6 * y + 1..10 + 40 * b + 6 * y + 4);
    let expected: Vec<_> = block(0).chain(block(1)).collect();
    assert_eq!(find(&found, Stream::MxuAct, false), (Space::Spad, set(&expected)));
    // Six taps, two blocks, two columns.
    assert_eq!(find(&found, Stream::MxuWeights, false).1, span(200..224));
    assert_eq!(find(&found, Stream::MxuSums, true), (Space::Acc(1), span(3..9)));
    assert_eq!(found.len(), 3);
    // Rows 11..72 lie in banks 0 and 1 of 64 rows, weights in bank 3.
    let hardware = machine();
    let banks = |stream| found.iter().find(|a| a.stream == stream).unwrap().banks(&hardware);
    assert_eq!([Stream::MxuAct, Stream::MxuWeights, Stream::MxuSums].map(banks), [0b11, 0b1000, 0]);
}

#[test]
fn conv_variants_change_the_streams() {
    let conv =
        |kernel: MxuKernel, op: MxuConv| accesses(Engine::Mxu, &[kernel.into(), INPUT.into()], op);
    let adding = conv(KERNEL, MxuConv { add: true, ..CONV }).unwrap();
    assert_eq!(find(&adding, Stream::MxuSums, false), (Space::Acc(1), span(3..9)));
    let wide = conv(MxuKernel { wide: true, pad: -3000, ..KERNEL }, CONV).unwrap();
    assert_eq!(find(&wide, Stream::MxuAct, false).1.len(), 2 * 2 * 4 * 3);
    // Three blocks of nibbles are two folds a tap.
    let nibbles =
        conv(MxuKernel { nibbles: true, ..KERNEL }, MxuConv { blocks: 3, ..CONV }).unwrap();
    assert_eq!(find(&nibbles, Stream::MxuWeights, false).1, span(200..224));
    let padding = conv(KERNEL, MxuConv { iy0: -9, ..CONV }).unwrap();
    assert!(padding.iter().all(|access| access.stream != Stream::MxuAct));
    assert!(matches!(
        conv(MxuKernel { cols: 3, ..KERNEL }, CONV),
        Err(AccessError::Field { max: 2, .. })
    ));
    assert!(matches!(
        conv(MxuKernel { pad: 128, ..KERNEL }, CONV),
        Err(AccessError::Field { max: 127, .. })
    ));
    assert!(matches!(conv(MxuKernel { sx: 0, ..KERNEL }, CONV), Err(AccessError::Field { .. })));
    let overfull = conv(KERNEL, MxuConv { acc: 11, ..CONV });
    assert!(matches!(
        overfull,
        Err(AccessError::Outside { space: Space::Acc(1), high: 17, limit: 16, .. })
    ));
}

#[test]
fn register_words_touch_nothing_and_impossible_fields_are_refused() {
    assert_eq!(accesses(Engine::Mxu, &[], KERNEL), Ok(vec![]));
    assert_eq!(accesses(Engine::Store, &[], Halt {}), Ok(vec![]));
    assert!(matches!(
        accesses(Engine::Mxu, &[], MxuConv { page: 2, ..CONV }),
        Err(AccessError::Encode(_))
    ));
    assert!(matches!(accesses(Engine::Load, &[], CONV), Err(AccessError::Encode(_))));
}

#[test]
fn only_writes_conflict() {
    let found = accesses(Engine::Mxu, &[KERNEL.into(), INPUT.into()], CONV).unwrap();
    let load = accesses(Engine::Load, &[LOAD_GEOM.into()], LOAD).unwrap();
    let conflicts =
        |a: &[Access], b: &[Access]| a.iter().any(|a| b.iter().any(|b| a.conflicts_with(b)));
    assert!(conflicts(&found, &load));
    assert!(!conflicts(&found[..2], &found[..2]));
}

proptest! {
    /// Whatever the words say, nothing panics or overflows, and what is legal stays inside the memories.
    #[test]
    fn hostile_words_are_refused_or_stay_inside(numbers in proptest::collection::vec(any::<u64>(), 400)) {
        let mut numbers = numbers.into_iter().cycle();
        let hardware = machine();
        let mut pages = Pages::default();
        for _ in 0..40 {
            let inst = arbitrary(|| numbers.next().unwrap());
            pages.apply(&inst);
            for found in access(&inst, &pages, &hardware).into_iter().flatten() {
                let bounds = found.rows.bounds();
                prop_assert!(0 <= bounds.start && bounds.start < bounds.end);
                if found.space == Space::Spad {
                    prop_assert!(bounds.end <= 256);
                }
            }
        }
    }
}
