"""What one word needs, known before it issues: scratchpad rows, cycles of work, DRAM bursts (docs/timing.md, T9 to T20).

Written over the register values of the word's page; values of tensors never matter.
"""

from types import SimpleNamespace

from isa import REGISTER_WORDS


def ceil(a, b):
    return -(-a // b)


def factor(wide):
    """f of section 4: accesses per row of a tensor."""
    return 2 if wide else 1


def span(base, *extents):
    """First and last of the addresses `base + sum k_i * stride_i`, `0 <= k_i < count_i`; strides may be negative."""
    ends = [(count - 1) * stride for count, stride in extents]
    return base + sum(min(e, 0) for e in ends), base + sum(max(e, 0) for e in ends)


def plane(regs, wide):
    return (2 if wide else 1, regs.plane_stride)


def tile(base, blocks, i, regs, wide, x_stride=1):
    """Rows of a tile of `th * tw` pixels."""
    return span(base, (blocks, regs.block_stride), (i.th, regs.row_stride), (i.tw, x_stride), plane(regs, wide))


def clipped(i, kernel, region):
    """First input row and column of a tile's windows, and height and width, clipped to the region."""
    y, x = max(0, i.iy0), max(0, i.ix0)
    last_y = min(region.h - 1, i.iy0 + (i.th - 1) * kernel.sy + (kernel.kh - 1) * kernel.dy)
    last_x = min(region.w - 1, i.ix0 + (i.tw - 1) * kernel.sx + (kernel.kw - 1) * kernel.dx)
    return y, x, max(0, last_y - y + 1), max(0, last_x - x + 1)


def window(base, i, kernel, region, wide):
    """Rows of the clipped window in all channel blocks; `None` if nothing of it lies in the region."""
    y, x, height, width = clipped(i, kernel, region)
    if height == 0 or width == 0:
        return None
    first = base + y * region.row_stride + x
    return span(first, (i.blocks, region.block_stride), (height, region.row_stride), (width, 1), plane(region, wide))


class Footprint:
    """`reads` and `writes` (row ranges, both ends included), `work` of a vector word, `conv` of an `mxu.conv`, `bursts` of a transfer."""

    def __init__(self, hw, inst, regs):
        self.hw, self.reads, self.writes = hw, {}, {}
        self.work, self.conv, self.bursts = None, None, []
        if inst.name not in REGISTER_WORDS and inst.name not in ("sync", "halt"):
            getattr(self, inst.name.replace(".", "_"))(inst, regs)

    def banks(self, rows):
        """Banks of a stream, from that of its lowest to that of its highest row."""
        if rows is None:
            return set()
        per_bank = self.hw.scratchpad_kib * 1024 // self.hw.array_rows // self.hw.scratchpad_banks
        return set(range(rows[0] // per_bank, rows[1] // per_bank + 1))

    def ports(self):
        return {("read", b) for rows in self.reads.values() for b in self.banks(rows)} | {
            ("write", b) for rows in self.writes.values() for b in self.banks(rows)
        }

    def share_a_bank(self, one, other):
        return bool(self.banks(self.reads.get(one)) & self.banks(self.reads.get(other)))

    # Systolic array (section 3).

    def mxu_conv(self, i, regs):
        kernel, region = regs["mxu.kernel"], regs["mxu.input"]
        folds = kernel.kh * kernel.kw * (ceil(i.blocks, 2) if kernel.nibbles else i.blocks)
        self.reads["activations"] = window(i.act, i, kernel, region, kernel.wide)
        self.reads["weights"] = span(i.wgt, (folds * kernel.cols, 1))
        stream, weights = i.th * i.tw * factor(kernel.wide), kernel.cols
        period = stream + weights if self.share_a_bank("activations", "weights") else max(stream, weights)
        self.conv = SimpleNamespace(folds=folds, stream=stream, weights=weights, period=period)

    # Vector engine (section 4).

    def lane_passes(self):
        return ceil(self.hw.array_rows, self.hw.vector_lanes)

    def vpu_drain(self, i, regs):
        out, blocks = regs["vpu.out"], (i.lane + i.cols - 1) // self.hw.array_rows + 1
        self.writes["result"] = tile(i.dst, blocks, i, out, out.wide)
        read_b = 0
        if i.add and regs["vpu.scale"].mb != 0:
            read_b = self.side(i, blocks, regs["vpu.side"]) * blocks
        self.work = i.th * i.tw * max(ceil(i.cols, self.hw.vector_lanes), blocks * factor(out.wide), read_b)

    def side(self, i, blocks, side):
        """Notes the stream of operand b; accesses per row."""
        self.reads["b"] = tile(i.b, 1 if side.lane_broadcast else blocks, i, side, side.wide, side.x_stride)
        return factor(side.wide)

    def elementwise(self, i, regs, second):
        a, out = regs["vpu.in"], regs["vpu.out"]
        self.reads["a"] = tile(i.a, i.blocks, i, a, a.wide)
        self.writes["result"] = tile(i.dst, i.blocks, i, out, out.wide)
        operands = factor(a.wide)
        if second:
            b = self.side(i, i.blocks, regs["vpu.side"])
            operands = operands + b if self.share_a_bank("a", "b") else max(operands, b)
        self.work = i.th * i.tw * i.blocks * max(self.lane_passes(), factor(out.wide), operands)

    def vpu_add(self, i, regs):
        self.elementwise(i, regs, second=regs["vpu.scale"].mb != 0)

    def vpu_mul(self, i, regs):
        self.elementwise(i, regs, second=True)

    def vpu_max(self, i, regs):
        self.elementwise(i, regs, second=True)

    def vpu_prelu(self, i, regs):
        self.elementwise(i, regs, second=False)

    def vpu_lut(self, i, regs):
        self.elementwise(i, regs, second=False)

    def windowed(self, i, regs):
        """Streams of a windowed word; cycles of one channel block."""
        a, out, kernel = regs["vpu.in"], regs["vpu.out"], regs["vpu.kernel"]
        self.reads["a"] = window(i.a, i, kernel, a, a.wide)
        self.writes["result"] = tile(i.dst, i.blocks, i, out, out.wide)
        (_, _, height, width), pixels, taps = clipped(i, kernel, a), i.th * i.tw, kernel.kh * kernel.kw
        inputs = height * width if width <= self.hw.line_cols else pixels * taps
        passes = max(inputs * factor(a.wide), pixels * ceil(taps, self.hw.depthwise_taps), pixels * factor(out.wide))
        return passes * self.lane_passes()

    def vpu_pool(self, i, regs):
        self.work = i.blocks * self.windowed(i, regs)

    def vpu_depthwise(self, i, regs):
        kernel = regs["vpu.kernel"]
        taps = kernel.kh * kernel.kw
        self.reads["weights"] = span(kernel.weights, (i.blocks * taps, 1))
        self.work = i.blocks * (taps + self.windowed(i, regs))

    def vpu_softmax(self, i, regs):
        a, out, blocks = regs["vpu.in"], regs["vpu.out"], ceil(i.channels, self.hw.array_rows)
        self.reads["a"] = tile(i.a, blocks, i, a, False)
        self.writes["result"] = tile(i.dst, blocks, i, out, False)
        self.work = i.th * i.tw * (3 * ceil(i.channels, self.hw.vector_lanes) + self.hw.softmax_divide_cycles)

    def byte_runs(self, i, row, lane, outer, inner):
        """Rows of strided runs of bytes, and how many rows each run touches, in order."""
        lanes, first = self.hw.array_rows, row * self.hw.array_rows + lane
        lowest, highest = span(first, (i.outer, outer), (i.inner, inner), (i.len, 1))
        starts = [first + o * outer + n * inner for o in range(i.outer) for n in range(i.inner)]
        touched = [(p + i.len - 1) // lanes - p // lanes + 1 for p in starts]
        return (lowest // lanes, highest // lanes), touched

    def vpu_move(self, i, regs):
        s = regs["vpu.stride"]
        self.reads["a"], source = self.byte_runs(i, i.src, i.src_lane, s.src0, s.src1)
        self.writes["result"], target = self.byte_runs(i, i.dst, i.dst_lane, s.dst0, s.dst1)
        self.work = sum(max(pair) for pair in zip(source, target))

    def vpu_fill(self, i, regs):
        s = regs["vpu.stride"]
        self.writes["result"], target = self.byte_runs(i, i.dst, i.dst_lane, s.dst0, s.dst1)
        self.work = sum(target)

    # DRAM transfers (section 5).

    def cut(self, start, size, units):
        """Bursts of a contiguous range; `units(first, last)` counts what one burst `[first, last)` of the range holds."""
        at = start
        while at < start + size:
            end = min(start + size, (at // self.hw.dram_burst_bytes + 1) * self.hw.dram_burst_bytes)
            self.bursts.append(SimpleNamespace(useful=end - at, n=units(at - start, end - start)))
            at = end

    def runs(self, start, count, stride, run_bytes, units):
        if stride == run_bytes:
            count, run_bytes = 1, count * run_bytes
        for g in range(count):
            self.cut(start + g * stride, run_bytes, units)

    def load(self, i, regs):
        g = regs["load.geom"]
        row = ceil(g.elems * g.bits, 8)
        self.writes["load"] = span(i.dst, (i.count, g.spad_stride), (g.rows, 1))
        self.runs(i.src, i.count, g.dram_stride, g.rows * row, lambda first, last: last // row - first // row)

    def load_params(self, i, _):
        entry = 16 if self.hw.acc_bits > 32 or self.hw.multiplier_bits > 26 else 8
        self.cut(i.src, i.count * entry, lambda first, last: last // entry - first // entry)

    def load_table(self, i, _):
        self.cut(i.src, i.bytes, lambda first, last: ceil(last - first, self.hw.array_rows))

    def store(self, i, regs):
        g = regs["store.geom"]
        self.reads["store"] = span(i.src, (i.count, g.spad_stride), (g.rows, 1))
        self.runs(i.dst, i.count, g.dram_stride, g.rows * g.bytes, lambda first, last: ceil(last, g.bytes) - ceil(first, g.bytes))


def footprints(hw, code):
    """Footprints of an engine's words, the registers followed through the code."""
    pages, result = ({}, {}), []
    for inst in code:
        regs = pages[inst.fields.get("page", 0)]
        if inst.name in REGISTER_WORDS:
            regs[inst.name] = inst
        result.append(Footprint(hw, inst, regs))
    return result
