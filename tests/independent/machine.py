"""Values: what every instruction computes, from docs/generated/isa.md and docs/numerics.md. Knows nothing of time.

A program without races gives the same values in every order that its semaphores allow; here the engines take turns, one
word each, as long as the counters of their waits allow.
"""

import collections

import numpy as np

from isa import ENGINES, REGISTER_WORDS

SLOTS = 2
TABLE_BYTES = 2048


def round_shift(p, shift, mode):
    """p / 2^shift rounded by `mode` (N12), from the quotient and the remainder; `p` and `shift` arrays that broadcast."""
    p, shift = np.broadcast_arrays(np.asarray(p, np.int64), np.asarray(shift, np.int64))
    quotient = p >> shift
    twice, whole = (p - (quotient << shift)) * 2, np.int64(1) << shift
    if mode == "half-even":
        up = (twice > whole) | ((twice == whole) & (quotient & 1 == 1))
    elif mode == "half-up":
        up = twice >= whole
    elif mode == "half-away":
        up = (twice > whole) | ((twice == whole) & (p > 0))
    else:
        assert mode == "floor", mode
        up = np.zeros(p.shape, bool)
    return quotient + up


def product(a, b):
    """a * b, which must have room for the rounding in 64 bits (N11)."""
    a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    assert int(np.abs(a).max(initial=0)) * int(np.abs(b).max(initial=0)) < 1 << 63, "a product breaks (N11)"
    return a * b


class Machine:
    """Memories and register pages of a machine, all 0 at first, and the execution of single words."""

    def __init__(self, hw, dram):
        self.hw, self.dram, self.lanes = hw, dram, hw.array_rows
        self.spad = np.zeros((hw.scratchpad_kib * 1024 // hw.array_rows, hw.array_rows), np.int8)
        self.acc = np.zeros((2, hw.acc_rows, hw.array_cols), np.int64)
        self.bias, self.multiplier, self.shift = (np.zeros((SLOTS, hw.param_entries), np.int64) for _ in range(3))
        self.tables = np.zeros((SLOTS, TABLE_BYTES), np.uint8)
        self.pages = {(engine, page): {} for engine in ENGINES for page in range(2)}

    def run(self, program):
        """Executes all words; the engines take turns."""
        done = dict.fromkeys(ENGINES, 0)
        counters = collections.Counter()
        while any(done[e] < len(program.code[e]) for e in ENGINES):
            progress = False
            for engine in ENGINES:
                while done[engine] < len(program.code[engine]):
                    inst = program.code[engine][done[engine]]
                    if any(counters[producer, engine] == 0 for producer in inst.wait):
                        break
                    counters.subtract((producer, engine) for producer in inst.wait)
                    self.execute(engine, inst)
                    counters.update((engine, consumer) for consumer in inst.signal)
                    done[engine] += 1
                    progress = True
            assert progress, "deadlock"

    def execute(self, engine, inst):
        if inst.name in ("halt", "sync"):
            return
        registers = self.pages[engine, inst.fields.get("page", 0)]
        if inst.name in REGISTER_WORDS:
            registers[inst.name] = inst
        else:
            getattr(self, inst.name.replace(".", "_"))(inst, registers)

    # DRAM transfers.

    def load(self, i, regs):
        g = regs["load.geom"]
        row_bytes = -(-g.elems * g.bits // 8)
        for run in range(i.count):
            for row in range(g.rows):
                at = i.src + run * g.dram_stride + row * row_bytes
                packed = int.from_bytes(self.dram[at : at + row_bytes].tobytes(), "little")
                elements = [(packed >> (e * g.bits)) & ((1 << g.bits) - 1) for e in range(g.elems)]
                elements = [e - (1 << g.bits) if e >> (g.bits - 1) else e for e in elements]
                if g.bits <= 4:
                    elements += [0] * (len(elements) % 2)
                    elements = [(low & 15) | (high << 4) for low, high in zip(elements[::2], elements[1::2])]
                target = self.spad[i.dst + run * g.spad_stride + row]
                target[:] = 0
                target[: len(elements)] = elements

    def load_params(self, i, _):
        wide = self.hw.acc_bits > 32 or self.hw.multiplier_bits > 26
        size = 16 if wide else 8
        for entry in range(i.count):
            at = i.src + entry * size
            word = int.from_bytes(self.dram[at : at + size].tobytes(), "little")
            bias_bits, multiplier_bits = (64, 32) if wide else (32, 26)
            bias, rest = word & ((1 << bias_bits) - 1), word >> bias_bits
            to = i.slot, i.base + entry
            self.bias[to] = bias - (1 << bias_bits) if bias >> (bias_bits - 1) else bias
            self.multiplier[to], self.shift[to] = rest & ((1 << multiplier_bits) - 1), rest >> multiplier_bits

    def load_table(self, i, _):
        self.tables[i.slot, : i.bytes] = self.dram[i.src : i.src + i.bytes]

    def store(self, i, regs):
        g = regs["store.geom"]
        for run in range(i.count):
            at, row = i.dst + run * g.dram_stride, i.src + run * g.spad_stride
            self.dram[at : at + g.rows * g.bytes] = self.spad[row : row + g.rows, : g.bytes].reshape(-1).view(np.uint8)

    # Tensors in the scratchpad.

    def fetch(self, rows, wide, plane_stride):
        """Channels of the pixels at scratchpad rows `rows` (any shape), one more axis."""
        values = self.spad[rows].astype(np.int64)
        if wide:
            values = values * 256 + self.spad[rows + plane_stride].view(np.uint8)
        return values

    def put(self, rows, lanes, values, out):
        """Writes elements where `rows` and `lanes` say, as wide as the result registers say."""
        if out.wide:
            self.spad[rows, lanes] = (values >> 8).astype(np.int8)
            self.spad[rows + out.plane_stride, lanes] = (values & 0xFF).astype(np.uint8).view(np.int8)
        else:
            self.spad[rows, lanes] = values.astype(np.int8)

    def rows(self, base, blocks, th, tw, regs, x_stride=1):
        """Scratchpad rows `[block, y, x]` of a tile."""
        b, y, x = np.ogrid[:blocks, :th, :tw]
        return base + b * regs.block_stride + y * regs.row_stride + x * x_stride

    def window(self, i, base, block, kernel, region, wide):
        """For each tap: values `[y, x, lane]` of a channel block, `pad` outside, and which of the pixels `[y, x, 1]` are valid."""
        for ky in range(kernel.kh):
            for kx in range(kernel.kw):
                iy = i.iy0 + np.arange(i.th)[:, None] * kernel.sy + ky * kernel.dy
                ix = i.ix0 + np.arange(i.tw)[None, :] * kernel.sx + kx * kernel.dx
                valid = (iy >= 0) & (iy < region.h) & (ix >= 0) & (ix < region.w)
                rows = base + block * region.block_stride + iy * region.row_stride + ix
                values = np.full((i.th, i.tw, self.lanes), kernel.pad, np.int64)
                values[valid] = self.fetch(rows[valid], wide, region.plane_stride)
                yield values, valid[:, :, None]

    # Systolic array.

    def mxu_conv(self, i, regs):
        kernel, region = regs["mxu.kernel"], regs["mxu.input"]
        lanes, total, weights = self.lanes, 0, i.wgt
        for first in range(0, i.blocks, 2 if kernel.nibbles else 1):
            blocks = range(first, min(first + 2, i.blocks)) if kernel.nibbles else [first]
            for taps in zip(*(self.window(i, i.act, b, kernel, region, kernel.wide) for b in blocks)):
                x = np.concatenate([values for values, _ in taps], axis=2).reshape(i.th * i.tw, -1)
                w = self.spad[weights : weights + kernel.cols].astype(np.int64)
                weights += kernel.cols
                if kernel.nibbles:
                    low = ((w & 15) ^ 8) - 8
                    w = np.stack([low, w >> 4], axis=2).reshape(kernel.cols, 2 * lanes)[:, : x.shape[1]]
                total = total + x @ w.T
        tile = self.acc[i.bank, i.acc : i.acc + i.th * i.tw, : kernel.cols]
        half = 1 << (self.hw.acc_bits - 1)
        tile[:] = ((tile if i.add else 0) + total + half) % (2 * half) - half

    # Vector engine.

    def requantize(self, values, slot, entries, quant):
        """clamp0(RQ(values + bias) + zero0) with one parameter entry a channel (the last axis)."""
        p = product(values, self.multiplier[slot, entries])
        rounded = round_shift(p, self.shift[slot, entries], self.hw.rounding)
        return np.clip(rounded + quant.zero0, quant.lo0, quant.hi0)

    def add_step(self, a, b, scale, quant):
        total = product(a - scale.za, scale.ma)
        if scale.mb != 0:
            total = total + product(b - scale.zb, scale.mb)
        return np.clip(round_shift(total, scale.shift, self.hw.rounding) + quant.zero1, quant.lo1, quant.hi1)

    def side(self, base, blocks, th, tw, side):
        """Operand b `[block, y, x, lane]`, repeated as its registers say."""
        rows = self.rows(base, 1 if side.lane_broadcast else blocks, th, tw, side, side.x_stride)
        values = self.fetch(rows, side.wide, side.plane_stride)
        return values[:, :, :, :1] if side.lane_broadcast else values

    def vpu_drain(self, i, regs):
        out, quant = regs["vpu.out"], regs["vpu.quant"]
        channels = i.lane + np.arange(i.cols)
        block, lane = channels // self.lanes, channels % self.lanes
        acc = self.acc[i.bank, i.acc : i.acc + i.th * i.tw, : i.cols]
        entries = i.base + np.arange(i.cols)
        values = self.requantize(acc + self.bias[i.slot, entries], i.slot, entries, quant).reshape(i.th, i.tw, i.cols)
        if i.add:
            scale, b = regs["vpu.scale"], 0
            if scale.mb != 0:
                b = self.side(i.b, block[-1] + 1, i.th, i.tw, regs["vpu.side"])
                b = b[0] if regs["vpu.side"].lane_broadcast else b.transpose(1, 2, 0, 3).reshape(i.th, i.tw, -1)[:, :, channels]
            values = self.add_step(values, b, scale, quant)
        rows = self.rows(i.dst, block[-1] + 1, i.th, i.tw, out).transpose(1, 2, 0)[:, :, block]
        self.put(rows, lane, values, out)

    def vpu_depthwise(self, i, regs):
        a, out, kernel, quant = (regs[name] for name in ("vpu.in", "vpu.out", "vpu.kernel", "vpu.quant"))
        taps = kernel.kh * kernel.kw
        for block in range(i.blocks):
            weights = self.spad[kernel.weights + block * taps :][:taps].astype(np.int64)
            windows = self.window(i, i.a, block, kernel, a, a.wide)
            entries = i.base + block * self.lanes + np.arange(self.lanes)
            total = sum(values * weight for (values, _), weight in zip(windows, weights))
            values = self.requantize(total + self.bias[i.slot, entries], i.slot, entries, quant)
            self.put_block(i, block, values, out)

    def put_block(self, i, block, values, out):
        """Writes one channel block `[y, x, lane]` of a result."""
        rows = self.rows(i.dst + block * out.block_stride, 1, i.th, i.tw, out)[0]
        self.put(rows[:, :, None], np.arange(self.lanes), values, out)

    def vpu_pool(self, i, regs):
        a, out, kernel = (regs[name] for name in ("vpu.in", "vpu.out", "vpu.kernel"))
        for block in range(i.blocks):
            taps = list(self.window(i, i.a, block, kernel, a, a.wide))
            if not i.average:
                values = np.max([np.where(valid, x, -(1 << 15)) for x, valid in taps], axis=0)
            else:
                total = sum(np.where(valid, x - kernel.pad, 0) for x, valid in taps)
                entry = i.base + (sum(valid.astype(int) for _, valid in taps) - 1 if kernel.by_count else 0)
                values = self.requantize(total, i.slot, entry, regs["vpu.quant"])
            self.put_block(i, block, values, out)

    def elementwise(self, i, regs, function):
        """Reads operand a, writes `function` of it: `[block, y, x, lane]`."""
        a, out = regs["vpu.in"], regs["vpu.out"]
        values = function(self.fetch(self.rows(i.a, i.blocks, i.th, i.tw, a), a.wide, a.plane_stride))
        rows = self.rows(i.dst, i.blocks, i.th, i.tw, out)
        self.put(rows[:, :, :, None], np.arange(self.lanes), values, out)

    def vpu_add(self, i, regs):
        scale, b = regs["vpu.scale"], 0
        if scale.mb != 0:
            b = self.side(i.b, i.blocks, i.th, i.tw, regs["vpu.side"])
        self.elementwise(i, regs, lambda a: self.add_step(a, b, scale, regs["vpu.quant"]))

    def vpu_mul(self, i, regs):
        scale, quant = regs["vpu.scale"], regs["vpu.quant"]
        b = self.side(i.b, i.blocks, i.th, i.tw, regs["vpu.side"])

        def multiply(a):
            p = product(product(a - scale.za, b - scale.zb), scale.ma)
            return np.clip(round_shift(p, scale.shift, self.hw.rounding) + quant.zero1, quant.lo1, quant.hi1)

        self.elementwise(i, regs, multiply)

    def vpu_max(self, i, regs):
        scale, quant = regs["vpu.scale"], regs["vpu.quant"]
        b = product(self.side(i.b, i.blocks, i.th, i.tw, regs["vpu.side"]) - scale.zb, scale.mb)
        choose = np.minimum if i.least else np.maximum

        def larger(a):
            p = choose(product(a - scale.za, scale.ma), b)
            return np.clip(round_shift(p, scale.shift, self.hw.rounding) + quant.zero1, quant.lo1, quant.hi1)

        self.elementwise(i, regs, larger)

    def vpu_prelu(self, i, regs):
        scale, quant = regs["vpu.scale"], regs["vpu.quant"]
        entries = (i.base + np.arange(i.blocks * self.lanes)).reshape(i.blocks, 1, 1, self.lanes)
        above, below, shift = (of[i.slot, entries] for of in (self.multiplier, self.bias, self.shift))

        def leaky(a):
            p = product(a - scale.za, np.where(a >= scale.za, above, below))
            return np.clip(round_shift(p, shift, self.hw.rounding) + quant.zero1, quant.lo1, quant.hi1)

        self.elementwise(i, regs, leaky)

    def vpu_lut(self, i, regs):
        if regs["vpu.in"].wide:
            t = self.tables[i.slot, : 2 * 513].view("<i2").astype(np.int64)
            self.elementwise(i, regs, lambda a: interpolate(t, a))
        else:
            table = self.tables[i.slot, :256].view(np.int8).astype(np.int64)
            self.elementwise(i, regs, lambda a: table[a + 128])

    def vpu_softmax(self, i, regs):
        a, out = regs["vpu.in"], regs["vpu.out"]
        channels = np.arange(i.channels)
        block, lane = channels // self.lanes, channels % self.lanes
        exp = self.tables[i.slot, :1024].view("<u4").astype(np.int64)
        source, target = (self.rows(at, block[-1] + 1, i.th, i.tw, r).transpose(1, 2, 0)[:, :, block] for at, r in ((i.a, a), (i.dst, out)))
        x = self.spad[source, lane].astype(np.int64)
        e = exp[x.max(axis=2, keepdims=True) - x]
        total = e.sum(axis=2, keepdims=True)
        y = np.where(total == 0, -128, np.minimum((512 * e + total) // np.maximum(2 * total, 1) - 128, 127))
        self.put(target, lane, y, out)

    def runs(self, i, row, lane, outer, inner):
        """Byte addresses `[i, j, k]` of a strided set of runs."""
        o, n, k = np.ogrid[: i.outer, : i.inner, : i.len]
        return row * self.lanes + lane + o * outer + n * inner + k

    def vpu_move(self, i, regs):
        s, data = regs["vpu.stride"], self.spad.reshape(-1)
        data[self.runs(i, i.dst, i.dst_lane, s.dst0, s.dst1)] = data[self.runs(i, i.src, i.src_lane, s.src0, s.src1)]

    def vpu_fill(self, i, regs):
        s = regs["vpu.stride"]
        self.spad.reshape(-1)[self.runs(i, i.dst, i.dst_lane, s.dst0, s.dst1)] = i.value


def interpolate(t, x):
    """(N20)"""
    at = (x >> 7) + 256
    return t[at] + (((t[at + 1] - t[at]) * (x & 127) + 64) >> 7)


def run(program, inputs):
    """Outputs of a program, `[h, w, c]` each, for stored integers of each input."""
    dram = program.dram()
    for binding, values in zip(program.inputs, inputs, strict=True):
        program.write(dram, binding, values)
    Machine(program.hw, dram).run(program)
    return [program.read(dram, binding) for binding in program.outputs]
