//! Loads, stores and the data mover.

use isa::instructions::*;
use isa::numerics::param::ParamLayout;

use super::*;

/// A byte that nothing wrote.
const POISON: i8 = -91;

fn load(bits: u32, elems: u32, dram: &[u8]) -> Bench {
    let mut bench = Bench::new();
    bench.memory.dram.write(100, dram);
    bench.set(LoadGeom { page: 0, rows: 1, elems, bits, spad_stride: 1, dram_stride: 0 });
    bench.run(Load { page: 0, dst: 3, src: 100, count: 1 }).unwrap();
    bench
}

#[test]
fn bytes_fill_a_row_and_zeros_the_rest() {
    assert_eq!(load(8, 3, &[1, 0xff, 0x80]).row(3), [1, -1, -128, 0]);
}

#[test]
fn nibbles_go_two_to_a_byte() {
    // 1, -2, 7, -8, 3; the high nibble of the last byte belongs to nobody.
    assert_eq!(load(4, 5, &[0xe1, 0x87, 0xf3]).row(3), [0xe1_u8 as i8, 0x87_u8 as i8, 3, 0]);
}

#[test]
fn other_widths_are_sign_extended() {
    // Five bits each, least significant first: 1, -16, 15.
    assert_eq!(load(5, 3, &[0x01, 0x3e]).row(3), [1, -16, 15, 0]);
    // Three bits each: 3, -4, -1, as nibbles in the row.
    assert_eq!(load(3, 3, &[0xe3, 0x01]).row(3), [0xc3_u8 as i8, 0x0f, 0, 0]);
}

#[test]
fn runs_have_strides_of_their_own() {
    let mut bench = Bench::new();
    bench.memory.dram.write(0, &(0..40).collect::<Vec<u8>>());
    bench.set(LoadGeom { page: 1, rows: 2, elems: 3, bits: 8, spad_stride: 5, dram_stride: 10 });
    bench.run(Load { page: 1, dst: 20, src: 4, count: 2 }).unwrap();
    assert_eq!([20, 21, 25, 26].map(|row| bench.row(row)[0]), [4, 7, 14, 17]);
    assert_eq!(bench.row(22), [POISON; 4]);
}

#[test]
fn store_is_the_way_back() {
    let mut bench = Bench::new();
    bench
        .put(7, &[1, 2, 3, 4])
        .put(8, &[5, -6, 7, 8])
        .put(10, &[9, 10, 11, 12])
        .put(11, &[13, 14, 15, 16]);
    bench.set(StoreGeom { page: 0, rows: 2, bytes: 2, spad_stride: 3, dram_stride: 5 });
    bench.run(Store { page: 0, src: 7, dst: 50, count: 2 }).unwrap();
    assert_eq!(*bench.memory.dram.read(49, 11), [165, 1, 2, 5, 250, 165, 9, 10, 13, 14, 165]);
}

#[test]
fn parameters_are_unpacked_and_checked() {
    let mut bench = Bench::new();
    let entry = ParamEntry { bias: -7, requant: Requant { multiplier: 0x2ff_ffff, shift: 62 } };
    let mut packed = Vec::new();
    ParamLayout::Narrow.pack(&entry, &mut packed).unwrap();
    bench.memory.dram.write(64, &packed);
    bench.run(LoadParams { slot: 1, src: 64, base: 3, count: 1 }).unwrap();
    assert_eq!(bench.memory.params[1][3], entry);
    // A shift of 63.
    bench.memory.dram.write(64, &[0xff; 16]);
    let trap = bench.run(LoadParams { slot: 1, src: 64, base: 3, count: 2 });
    assert!(matches!(trap, Err(Trap::Param { entry: 3, .. })), "{trap:?}");
}

#[test]
fn tables_are_copied() {
    let mut bench = Bench::new();
    bench.memory.dram.write(1, &[9, 8, 7]);
    bench.run(LoadTable { slot: 1, src: 1, bytes: 3 }).unwrap();
    assert_eq!(bench.memory.tables[1][..4], [9, 8, 7, 165]);
}

#[test]
fn moves_interleave_lanes() {
    let mut bench = Bench::new();
    bench.put(0, &[1, 2, 3, 4]).put(1, &[5, 6, 7, 8]);
    // Two pixels; channels 0, 1, 2, 3 become 0, 2, 1, 3.
    bench.set(VpuStride { page: 0, src0: 4, src1: 2, dst0: 4, dst1: 1 });
    let op =
        VpuMove { page: 0, src: 0, src_lane: 0, dst: 10, dst_lane: 0, outer: 2, inner: 2, len: 1 };
    bench.run(op).unwrap();
    bench.run(VpuMove { src_lane: 1, dst_lane: 2, ..op }).unwrap();
    assert_eq!([bench.row(10), bench.row(11)], [[1, 3, 2, 4], [5, 7, 6, 8]]);
}

#[test]
fn runs_cross_rows_and_go_backwards() {
    let mut bench = Bench::new();
    bench.put(2, &[1, 2, 3, 4]).put(3, &[5, 6, 7, 8]);
    bench.set(VpuStride { page: 0, src0: 0, src1: -2, dst0: 0, dst1: 3 });
    bench
        .run(VpuMove {
            page: 0,
            src: 2,
            src_lane: 3,
            dst: 20,
            dst_lane: 2,
            outer: 1,
            inner: 2,
            len: 3,
        })
        .unwrap();
    // Bytes 4, 5, 6 and then 2, 3, 4.
    assert_eq!([bench.row(20), bench.row(21)], [[POISON, POISON, 4, 5], [6, 2, 3, 4]]);
}

#[test]
fn fill_sets_runs() {
    let mut bench = Bench::new();
    bench.set(VpuStride { page: 0, src0: 0, src1: 0, dst0: 8, dst1: 4 });
    bench
        .run(VpuFill { page: 0, dst: 5, dst_lane: 3, outer: 2, inner: 1, len: 2, value: -9 })
        .unwrap();
    assert_eq!(bench.row(5), [POISON, POISON, POISON, -9]);
    assert_eq!(bench.row(6), [-9, POISON, POISON, POISON]);
    assert_eq!(bench.row(8), [-9, POISON, POISON, POISON]);
}
