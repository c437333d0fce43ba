//! The instruction list: every instruction of the machine, once.
//!
//! From this one list the `isa!` macro (`declare.rs`) derives the enum, encoder, decoder, assembler and disassembler text,
//! the manual (`docs/generated/isa.md`) and the test strategy. A field's range is its bit position in the 128-bit word, its type
//! says how it is written in assembly and which values are legal. Bits no field names are reserved and must be zero.
//!
//! Common to all words: bits 0..5 operation, 5..8 engine, 8..11 wait set, 11..14 signal set (one bit per *other* engine, in the
//! order load, mxu, vpu, store with the own engine left out), bit 14 the register page.
//!
//! Notation: `R` = `array_rows`, `C` = `array_cols`. `spad[row][lane]` is one byte of the scratchpad, `R` lanes a row. Channel
//! `ch` of pixel `(y, x)` of a tensor in the scratchpad is
//! `spad[base + (ch / R) * block_stride + y * row_stride + x][ch % R]`; a 16-bit ("wide") tensor keeps its signed high byte
//! there and its unsigned low byte `plane_stride` rows further. Registers of a page are written by the `*.geom`-like words, read
//! by the tile words that name the page, and undefined until written.
//!
//! A word is refused before anything runs if a range leaves its memory, an extent, step or tap distance is 0, a saturation range is empty or wider than its
//! result, or it names more columns or lanes than there are. A result may lie exactly in the place of an elementwise operand (not of one with
//! `lane_broadcast`), may overlap no operand otherwise, and no result but those of `vpu.move` and `vpu.fill` may overlap itself. Results of a maximum pool
//! or of a table have the width of their operand; an 8-bit injected `pad` fits 8 bits; the multiplier of `vpu.mul` is not negative; with `mb = 0` operand `b` of an addition is not read.

use crate::declare::isa;

isa! {
    /// Stop this engine. Its queue must be empty behind this word.
    0 "halt" Halt on Any {}

    /// Do nothing but wait and signal.
    1 "sync" Sync on Any {}

    /// Write the page's transfer registers of the load engine.
    2 "load.geom" LoadGeom on Load {
        /// Register page written.
        page: Page = 14..15,
        /// Scratchpad rows filled per run.
        rows: Count = 16..32,
        /// Elements per row: at most `R`, or `2R` if `bits <= 4`.
        elems: Count = 32..42,
        /// Bits per element in DRAM, 2..=8. A row takes `ceil(elems * bits / 8)` bytes, least significant bits first.
        bits: Count = 42..46,
        /// Scratchpad rows from one run to the next.
        spad_stride: Rows = 46..66,
        /// DRAM bytes from one run to the next.
        dram_stride: Bytes = 66..98,
    }

    /// Copy `count` runs of `rows` rows from DRAM to the scratchpad. Each element is sign-extended to 8 bits, or to 4 bits if
    /// `bits <= 4` (two to a byte, first one low); the rest of the row becomes 0.
    /// `spad[dst + g*spad_stride + r] <= dram[src + g*dram_stride + r*row_bytes ..]` for `g < count`, `r < rows`.
    3 "load" Load on Load {
        /// Register page read.
        page: Page = 14..15,
        /// First scratchpad row written.
        dst: Row = 16..36,
        /// First DRAM byte read.
        src: Dram = 36..72,
        /// Runs.
        count: Count = 72..88,
    }

    /// Copy parameter entries (bias, multiplier, shift; layout in `docs/numerics.md`) from DRAM into a parameter slot of the vector engine.
    4 "load.params" LoadParams on Load {
        /// Parameter slot.
        slot: Slot = 16..17,
        /// First DRAM byte read.
        src: Dram = 17..53,
        /// First entry written.
        base: Count = 53..64,
        /// Entries copied.
        count: Count = 64..76,
    }

    /// Copy a table from DRAM into a table slot of the vector engine (2048 bytes a slot).
    5 "load.table" LoadTable on Load {
        /// Table slot.
        slot: Slot = 16..17,
        /// First DRAM byte read.
        src: Dram = 17..53,
        /// Bytes copied, 1..=2048.
        bytes: Count = 53..65,
    }

    /// Write the page's window registers of the systolic array.
    2 "mxu.kernel" MxuKernel on Mxu {
        /// Register page written.
        page: Page = 14..15,
        /// Kernel height.
        kh: Count = 16..24,
        /// Kernel width.
        kw: Count = 24..32,
        /// Step in y.
        sy: Count = 32..38,
        /// Step in x.
        sx: Count = 38..44,
        /// Tap distance in y.
        dy: Count = 44..50,
        /// Tap distance in x.
        dx: Count = 50..56,
        /// Array columns used, 1..=C: weight rows per fold.
        cols: Count = 56..65,
        /// Weights are 4 bits, two input channels to a byte: a fold covers two channel blocks.
        nibbles: Flag = 65..66,
        /// Activations are 16 bits: every fold streams its rows twice, high bytes and low bytes.
        wide: Flag = 66..67,
        /// Stored integer injected for taps outside the input region (the zero point).
        pad: Signed = 67..83,
    }

    /// Write the page's input-region registers of the systolic array.
    3 "mxu.input" MxuInput on Mxu {
        /// Register page written.
        page: Page = 14..15,
        /// Height of the region held in the scratchpad; taps outside `0..h` are padding.
        h: Count = 16..32,
        /// Width of the region.
        w: Count = 32..48,
        /// Scratchpad rows from one image row to the next.
        row_stride: Rows = 48..68,
        /// Scratchpad rows from one channel block to the next.
        block_stride: Rows = 68..88,
        /// Scratchpad rows from the high bytes to the low bytes (wide only).
        plane_stride: Rows = 88..108,
    }

    /// Multiply a `th x tw` pixel tile with the weights of `cols` output channels, over all taps and `blocks` channel blocks:
    /// `ACC[bank][acc + y*tw + x][j] (+)= sum over b, ky, kx, k of X[b*R + k](iy0 + y*sy + ky*dy, ix0 + x*sx + kx*dx) * W[fold][j][k]`.
    /// Folds run over b (outer), ky, kx (inner); the weights of fold `f`, column `j` are the bytes of
    /// `spad[wgt + f*cols + j]`, lane `k`. With `nibbles` a fold covers blocks `2f'` and `2f'+1` at one tap: the byte of lane `i` holds
    /// input channels `2i` (low nibble) and `2i+1` (high nibble) counted from the first block's first channel; an odd last block's partner is absent
    /// and its nibbles must be 0.
    4 "mxu.conv" MxuConv on Mxu {
        /// Register page read.
        page: Page = 14..15,
        /// Scratchpad row of pixel (0, 0), block 0 of the input region.
        act: Row = 16..36,
        /// Scratchpad row of the first weight row.
        wgt: Row = 36..56,
        /// First accumulator row.
        acc: Count = 56..67,
        /// Accumulator bank.
        bank: Slot = 67..68,
        /// Tile height, at least 1.
        th: Count = 68..79,
        /// Tile width, at least 1; `th * tw` accumulator rows are used.
        tw: Count = 79..90,
        /// Input row of output row 0, tap 0; negative inside the top padding.
        iy0: Signed = 90..102,
        /// Input column of output column 0, tap 0.
        ix0: Signed = 102..114,
        /// Channel blocks, at least 1.
        blocks: Count = 114..126,
        /// Add to the accumulators instead of overwriting them.
        add: Flag = 126..127,
    }

    /// Write the page's registers of operand `a` of the vector engine.
    2 "vpu.in" VpuIn on Vpu {
        /// Register page written.
        page: Page = 14..15,
        /// Height of the region held in the scratchpad (windows only).
        h: Count = 16..32,
        /// Width of the region (windows only).
        w: Count = 32..48,
        /// Scratchpad rows from one image row to the next.
        row_stride: Rows = 48..68,
        /// Scratchpad rows from one channel block to the next.
        block_stride: Rows = 68..88,
        /// Scratchpad rows from high to low bytes (wide only).
        plane_stride: Rows = 88..108,
        /// Operand `a` is 16 bits.
        wide: Flag = 108..109,
    }

    /// Write the page's registers of operand `b` of the vector engine.
    3 "vpu.side" VpuSide on Vpu {
        /// Register page written.
        page: Page = 14..15,
        /// Scratchpad rows from one image row to the next; 0 repeats one row.
        row_stride: Rows = 16..36,
        /// Scratchpad rows from one channel block to the next; 0 repeats.
        block_stride: Rows = 36..56,
        /// Scratchpad rows from high to low bytes (wide only).
        plane_stride: Rows = 56..76,
        /// Scratchpad rows from one pixel to the next: 1, or 0 to repeat one pixel along a row.
        x_stride: Count = 76..77,
        /// Lane 0 of block 0 serves all channels.
        lane_broadcast: Flag = 77..78,
        /// Operand `b` is 16 bits.
        wide: Flag = 78..79,
    }

    /// Write the page's registers of the result of the vector engine.
    4 "vpu.out" VpuOut on Vpu {
        /// Register page written.
        page: Page = 14..15,
        /// Scratchpad rows from one image row to the next.
        row_stride: Rows = 16..36,
        /// Scratchpad rows from one channel block to the next.
        block_stride: Rows = 36..56,
        /// Scratchpad rows from high to low bytes (wide only).
        plane_stride: Rows = 56..76,
        /// The result is 16 bits.
        wide: Flag = 76..77,
    }

    /// Write the page's window registers of the vector engine.
    5 "vpu.kernel" VpuKernel on Vpu {
        /// Register page written.
        page: Page = 14..15,
        /// Kernel height.
        kh: Count = 16..28,
        /// Kernel width.
        kw: Count = 28..40,
        /// Step in y.
        sy: Count = 40..46,
        /// Step in x.
        sx: Count = 46..52,
        /// Tap distance in y.
        dy: Count = 52..58,
        /// Tap distance in x.
        dx: Count = 58..64,
        /// Stored integer injected for taps outside the region (depthwise), and the input zero point (average pool).
        pad: Signed = 64..80,
        /// Scratchpad row of the depthwise weights: `kh*kw` rows a channel block, lane = channel.
        weights: Row = 80..100,
        /// Average pool: take the parameter entry `base + valid taps - 1` instead of `base`.
        by_count: Flag = 100..101,
    }

    /// Write the page's saturation registers of the vector engine. Set 0 serves accumulator requantization (and is the inner step of
    /// `vpu.drain` with `add`, where it may use 16 bits whatever the width of the result); set 1 serves the elementwise step.
    6 "vpu.quant" VpuQuant on Vpu {
        /// Register page written.
        page: Page = 14..15,
        /// Zero point of set 0.
        zero0: Signed = 16..32,
        /// Smallest result of set 0.
        lo0: Signed = 32..48,
        /// Largest result of set 0.
        hi0: Signed = 48..64,
        /// Zero point of set 1.
        zero1: Signed = 64..80,
        /// Smallest result of set 1.
        lo1: Signed = 80..96,
        /// Largest result of set 1.
        hi1: Signed = 96..112,
    }

    /// Write the page's elementwise multiplier registers of the vector engine.
    7 "vpu.scale" VpuScale on Vpu {
        /// Register page written.
        page: Page = 14..15,
        /// Multiplier of operand `a`; of the product in `vpu.mul`.
        ma: Signed = 16..48,
        /// Multiplier of operand `b`; 0 means `b` is not read.
        mb: Signed = 48..80,
        /// Common shift, 0..=62.
        shift: Count = 80..86,
        /// Zero point of `a`.
        za: Signed = 86..102,
        /// Zero point of `b`.
        zb: Signed = 102..118,
    }

    /// Requantize `cols` accumulator columns of a pixel tile into the scratchpad:
    /// `v = clamp0(RQ(ACC[bank][acc + y*tw + x][j] + bias, M, S) + zero0)` with parameter entry `base + j`; with `add`,
    /// `v = clamp1(round((v - za)*ma + (B - zb)*mb, shift) + zero1)` where `B` is channel `lane + j` of operand `b` at `(y, x)`.
    /// Result channel `lane + j` of pixel `(y, x)` relative to `dst`; other lanes keep their bytes.
    8 "vpu.drain" VpuDrain on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// First accumulator row.
        acc: Count = 16..27,
        /// Accumulator bank.
        bank: Slot = 27..28,
        /// Scratchpad row of result pixel (0, 0), first block.
        dst: Row = 28..48,
        /// Lane of the first result channel, below `R`.
        lane: Count = 48..56,
        /// Tile height.
        th: Count = 56..67,
        /// Tile width.
        tw: Count = 67..78,
        /// Accumulator columns, 1..=C.
        cols: Count = 78..87,
        /// Parameter slot.
        slot: Slot = 87..88,
        /// First parameter entry.
        base: Count = 88..99,
        /// Scratchpad row of operand `b` pixel (0, 0), first block (with `add`).
        b: Row = 99..119,
        /// Add operand `b` after requantization (residual).
        add: Flag = 119..120,
    }

    /// Depthwise convolution of `blocks` channel blocks:
    /// `clamp0(RQ(bias + sum over ky, kx of X(iy0 + y*sy + ky*dy, ix0 + x*sx + kx*dx) * W[ky*kw + kx], M, S) + zero0)`, lane by lane,
    /// with parameter entry `base + block*R + lane` and weight row `weights + block*kh*kw + ky*kw + kx`. Every lane of every block is computed and
    /// takes an entry, which must lie in the slot; what lanes without a channel hold means nothing.
    9 "vpu.depthwise" VpuDepthwise on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Scratchpad row of pixel (0, 0), block 0 of the input region.
        a: Row = 16..36,
        /// Scratchpad row of result pixel (0, 0), block 0.
        dst: Row = 36..56,
        /// Tile height.
        th: Count = 56..67,
        /// Tile width.
        tw: Count = 67..78,
        /// Input row of output row 0, tap 0.
        iy0: Signed = 78..90,
        /// Input column of output column 0, tap 0.
        ix0: Signed = 90..102,
        /// Channel blocks.
        blocks: Count = 102..112,
        /// Parameter slot.
        slot: Slot = 112..113,
        /// First parameter entry.
        base: Count = 113..124,
    }

    /// Pool `blocks` channel blocks over a window; taps outside the region do not take part. Every window has at least one valid tap.
    /// Maximum: `max X`. Average: `clamp0(RQ(sum of (X - pad), M, S) + zero0)`, parameter entry `base`, or `base + valid taps - 1` with `by_count`; its bias is not used.
    10 "vpu.pool" VpuPool on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Scratchpad row of pixel (0, 0), block 0 of the input region.
        a: Row = 16..36,
        /// Scratchpad row of result pixel (0, 0), block 0.
        dst: Row = 36..56,
        /// Tile height.
        th: Count = 56..67,
        /// Tile width.
        tw: Count = 67..78,
        /// Input row of output row 0, tap 0.
        iy0: Signed = 78..90,
        /// Input column of output column 0, tap 0.
        ix0: Signed = 90..102,
        /// Channel blocks.
        blocks: Count = 102..112,
        /// Parameter slot (average).
        slot: Slot = 112..113,
        /// First parameter entry (average).
        base: Count = 113..124,
        /// Average instead of maximum.
        average: Flag = 124..125,
    }

    /// Elementwise `clamp1(round((a - za)*ma + (b - zb)*mb, shift) + zero1)` on every lane of `blocks` channel blocks.
    11 "vpu.add" VpuAdd on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Scratchpad row of operand `a` pixel (0, 0), block 0.
        a: Row = 16..36,
        /// Scratchpad row of operand `b` pixel (0, 0), block 0.
        b: Row = 36..56,
        /// Scratchpad row of result pixel (0, 0), block 0.
        dst: Row = 56..76,
        /// Tile height.
        th: Count = 76..87,
        /// Tile width.
        tw: Count = 87..98,
        /// Channel blocks.
        blocks: Count = 98..108,
    }

    /// Elementwise `clamp1(RQ((a - za)*(b - zb), ma, shift) + zero1)` on every lane of `blocks` channel blocks.
    12 "vpu.mul" VpuMul on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Scratchpad row of operand `a` pixel (0, 0), block 0.
        a: Row = 16..36,
        /// Scratchpad row of operand `b` pixel (0, 0), block 0.
        b: Row = 36..56,
        /// Scratchpad row of result pixel (0, 0), block 0.
        dst: Row = 56..76,
        /// Tile height.
        th: Count = 76..87,
        /// Tile width.
        tw: Count = 87..98,
        /// Channel blocks.
        blocks: Count = 98..108,
    }

    /// Elementwise table: 8-bit operand `a` gives byte `table[a + 128]` (256 signed bytes in the slot); a 16-bit operand interpolates between 513 nodes of
    /// 16 bits (little-endian in the slot): `i = (a >> 7) + 256`, `t[i] + (((t[i+1] - t[i])*(a & 127) + 64) >> 7)`.
    13 "vpu.lut" VpuLut on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Scratchpad row of operand `a` pixel (0, 0), block 0.
        a: Row = 16..36,
        /// Scratchpad row of result pixel (0, 0), block 0.
        dst: Row = 36..56,
        /// Tile height.
        th: Count = 56..67,
        /// Tile width.
        tw: Count = 67..78,
        /// Channel blocks.
        blocks: Count = 78..88,
        /// Table slot.
        slot: Slot = 88..89,
    }

    /// Softmax over the first `channels` channels of each pixel, 8 bits in and out, with the 256-entry table of 32-bit exponentials in the slot:
    /// `d = max - x`, `T = sum exp[d]`, `y = min((512*exp[d] + T) / (2*T) - 128, 127)`, quotient rounded down, -128 if `T` is 0. Exponentials are unsigned and
    /// little-endian; the program chooses them such that `T` stays below 2^32. Lanes beyond `channels` keep their bytes.
    14 "vpu.softmax" VpuSoftmax on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Scratchpad row of operand `a` pixel (0, 0), block 0.
        a: Row = 16..36,
        /// Scratchpad row of result pixel (0, 0), block 0.
        dst: Row = 36..56,
        /// Tile height.
        th: Count = 56..67,
        /// Tile width.
        tw: Count = 67..78,
        /// Channels, at least 1.
        channels: Count = 78..94,
        /// Table slot.
        slot: Slot = 94..95,
    }

    /// Write the page's byte strides of the data mover. A byte address is `row * R + lane`.
    15 "vpu.stride" VpuStride on Vpu {
        /// Register page written.
        page: Page = 14..15,
        /// Source bytes from one outer step to the next.
        src0: Signed = 16..40,
        /// Source bytes from one inner step to the next.
        src1: Signed = 40..64,
        /// Destination bytes from one outer step to the next.
        dst0: Signed = 64..88,
        /// Destination bytes from one inner step to the next.
        dst1: Signed = 88..112,
    }

    /// Copy `outer x inner` runs of `len` bytes inside the scratchpad:
    /// `byte[dst + i*dst0 + j*dst1 + k] <= byte[src + i*src0 + j*src1 + k]`, `i` outer, `j` inner, `k` innermost; source and destination must not overlap.
    16 "vpu.move" VpuMove on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Row of the first source byte.
        src: Row = 16..36,
        /// Lane of the first source byte.
        src_lane: Count = 36..44,
        /// Row of the first destination byte.
        dst: Row = 44..64,
        /// Lane of the first destination byte.
        dst_lane: Count = 64..72,
        /// Outer steps.
        outer: Count = 72..84,
        /// Inner steps.
        inner: Count = 84..96,
        /// Bytes per run.
        len: Count = 96..112,
    }

    /// Set `outer x inner` runs of `len` bytes to one value, addressed as the destination of `vpu.move`.
    17 "vpu.fill" VpuFill on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Row of the first byte.
        dst: Row = 16..36,
        /// Lane of the first byte.
        dst_lane: Count = 36..44,
        /// Outer steps.
        outer: Count = 44..56,
        /// Inner steps.
        inner: Count = 56..68,
        /// Bytes per run.
        len: Count = 68..84,
        /// The byte written.
        value: Signed = 84..92,
    }

    /// Elementwise `clamp1(round(max((a - za)*ma, (b - zb)*mb), shift) + zero1)` on every lane of `blocks` channel blocks, or the minimum.
    18 "vpu.max" VpuMax on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Scratchpad row of operand `a` pixel (0, 0), block 0.
        a: Row = 16..36,
        /// Scratchpad row of operand `b` pixel (0, 0), block 0.
        b: Row = 36..56,
        /// Scratchpad row of result pixel (0, 0), block 0.
        dst: Row = 56..76,
        /// Tile height.
        th: Count = 76..87,
        /// Tile width.
        tw: Count = 87..98,
        /// Channel blocks.
        blocks: Count = 98..108,
        /// Minimum instead of maximum.
        least: Flag = 108..109,
    }

    /// Leaky ReLU of `blocks` channel blocks with a slope per channel:
    /// `clamp1(round((a - za) * (a >= za ? M : bias), S) + zero1)`, lane by lane, with parameter entry `base + block*R + lane`, whose bias is the
    /// multiplier below the zero point.
    19 "vpu.prelu" VpuPrelu on Vpu {
        /// Register page read.
        page: Page = 14..15,
        /// Scratchpad row of operand `a` pixel (0, 0), block 0.
        a: Row = 16..36,
        /// Scratchpad row of result pixel (0, 0), block 0.
        dst: Row = 36..56,
        /// Tile height.
        th: Count = 56..67,
        /// Tile width.
        tw: Count = 67..78,
        /// Channel blocks.
        blocks: Count = 78..88,
        /// Parameter slot.
        slot: Slot = 88..89,
        /// First parameter entry.
        base: Count = 89..100,
    }

    /// Write the page's transfer registers of the store engine.
    2 "store.geom" StoreGeom on Store {
        /// Register page written.
        page: Page = 14..15,
        /// Scratchpad rows read per run.
        rows: Count = 16..32,
        /// Bytes per row, 1..=R, from lane 0.
        bytes: Count = 32..41,
        /// Scratchpad rows from one run to the next.
        spad_stride: Rows = 41..61,
        /// DRAM bytes from one run to the next.
        dram_stride: Bytes = 61..93,
    }

    /// Copy `count` runs of `rows` rows from the scratchpad to DRAM:
    /// `dram[dst + g*dram_stride + r*bytes ..] <= spad[src + g*spad_stride + r][..bytes]`.
    3 "store" Store on Store {
        /// Register page read.
        page: Page = 14..15,
        /// First scratchpad row read.
        src: Row = 16..36,
        /// First DRAM byte written.
        dst: Dram = 36..72,
        /// Runs.
        count: Count = 72..88,
    }
}
