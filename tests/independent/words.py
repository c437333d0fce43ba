"""Random programs of random words, as assembly text: every instruction, register and flag, also those that the compiler never uses.

The input fills the whole scratchpad and the output is the whole scratchpad, so every byte that any word touches is compared.
A word is only used if the manual calls it legal; an assembler that refuses it disagrees with the manual.
"""

import random

from footprint import Footprint
from isa import FORMATS, REGISTER_WORDS, Instruction

INPUT, OUTPUT, CONSTANTS = 0x0, 0x10000, 0x20000
LAYOUT = {name: [field for field, *_ in fields] for name, fields in FORMATS.values()}
ROUNDINGS = ("half-even", "half-even", "half-up", "half-away", "floor")
ELEMENTWISE = ("vpu.add", "vpu.mul", "vpu.max", "vpu.prelu", "vpu.lut")
WORDS = [name for (engine, _), (name, _) in FORMATS.items() if engine == "vpu" and name not in REGISTER_WORDS and name not in ("halt", "sync")]


class Writer:
    """Writes the program of a seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        pick, within = self.rng.choice, self.rng.randint
        lanes = pick([1, 2, 4, 8, 16])
        self.parameters = {
            "array_rows": lanes, "array_cols": pick([1, 2, 4, 8, 16]),
            "scratchpad_kib": 1 if lanes < 4 else within(2, 4), "scratchpad_banks": pick([1, 2, 4, 8]), "acc_rows": 64,
            "acc_bits": pick([32, 32, 40, 48]), "multiplier_bits": pick([1, 8, 24, 26, 31]), "vector_lanes": pick([1, 4, 8, 16]),
            "depthwise_taps": within(1, 9), "line_cols": within(1, 12), "param_entries": 64,
            "dram_bytes_per_cycle": within(16, 200), "dram_latency_cycles": within(0, 20), "dram_burst_bytes": pick([32, 64, 128]),
            "dram_outstanding": within(1, 8), "dram_turnaround_cycles": within(0, 5), "fetch_words": within(16, 40),
            "vpu_pipeline_cycles": within(0, 8), "softmax_divide_cycles": within(1, 8), "rounding": pick(ROUNDINGS),
        }  # fmt: skip
        self.hw = type("Hardware", (), self.parameters)
        self.rows = self.hw.scratchpad_kib * 1024 // lanes
        self.page = 0

    def word(self, name, **fields):
        """A word with all its fields; a page is the current one."""
        values = {field: fields.get(field, self.page if field == "page" else 0) for field in LAYOUT[name]}
        return Instruction(name, (), (), values)

    def row(self):
        return self.rng.randrange(self.rows)

    def chance(self, percent):
        return self.rng.randrange(100) < percent

    def legal(self, word, regs):
        """Whether ranges lie in the scratchpad and the result meets no operand, except exactly in place of an elementwise one."""
        need = Footprint(self.hw, word, regs)
        ranges = [r for r in [*need.reads.values(), *need.writes.values()] if r]
        if any(first < 0 or last >= self.rows for first, last in ranges):
            return False
        for first, last in need.writes.values():
            for name, stream in need.reads.items():
                if stream and stream[0] <= last and first <= stream[1] and not self.in_place(word, regs, name):
                    return False
        return True

    def in_place(self, word, regs, stream):
        """Whether operand `stream` lies exactly where the result goes."""
        if word.name not in ELEMENTWISE:
            return False
        operand, out = regs["vpu.in" if stream == "a" else "vpu.side"], regs["vpu.out"]
        same = ["row_stride", "block_stride", "wide"] + (["plane_stride"] if out.wide else [])
        step = stream == "a" or (operand.x_stride == 1 and not operand.lane_broadcast)
        return step and word.fields[stream] == word.dst and all(operand.fields[f] == out.fields[f] for f in same)

    def until_legal(self, make, wanted=lambda word, regs: True):
        """Register words and a word from `make`, tried until the word is legal; nothing if it hardly ever is."""
        for _ in range(200):
            self.page = self.rng.randrange(2)
            registers, word = make()
            regs = {r.name: r for r in registers}
            if self.legal(word, regs) and wanted(word, regs):
                return [*registers, word]
        return []

    # The systolic array.

    def conv(self, add):
        within = self.rng.randint
        wide, h, w = self.chance(30), within(1, 7), within(1, 7)
        kernel = self.word("mxu.kernel", kh=within(1, 3), kw=within(1, 3), sy=within(1, 2), sx=within(1, 2), dy=within(1, 2),
            dx=within(1, 2), cols=self.hw.array_cols, nibbles=int(self.chance(40)), wide=int(wide),
            pad=within(-32768, 32767) if wide else within(-128, 127))  # fmt: skip
        region = self.word("mxu.input", h=h, w=w, row_stride=w + within(0, 2), block_stride=h * w + within(0, 3),
            plane_stride=within(0, 40))  # fmt: skip
        word = self.word("mxu.conv", act=self.row(), wgt=self.row(), acc=0, bank=0, th=4, tw=4, iy0=within(-3, 5), ix0=within(-3, 5),
            blocks=within(1, 4), add=add)  # fmt: skip
        return [kernel, region], word

    # The vector engine.

    def vector(self, name):
        within = self.rng.randint
        th, tw, blocks = within(1, 4), within(1, 4), within(1, 3)
        a, b, out, kernel, quant, scale = self.operand(), self.side(), self.result(), self.kernel(), None, self.scale()
        if name in ("vpu.lut", "vpu.softmax") or (name == "vpu.pool" and self.chance(50)):
            a.fields["wide"] = out.fields["wide"] = 0 if name == "vpu.softmax" else a.wide
        quant = self.quant(out.wide)
        tile = dict(a=self.row(), b=self.row(), dst=self.row(), th=th, tw=tw, blocks=blocks, iy0=within(-3, 5), ix0=within(-3, 5))
        if name in ELEMENTWISE and self.chance(30):  # in place
            a.fields |= out.fields
            tile["dst"] = tile["a"]
        registers = [a, out, quant]
        if name == "vpu.drain":
            lane = self.rng.randrange(self.hw.array_rows)
            tile |= dict(th=within(1, 4), tw=4, lane=lane, cols=min(within(1, self.hw.array_cols), 3 * self.hw.array_rows - lane), add=int(self.chance(60)))
            tile |= dict(acc=0, bank=0, slot=0, base=within(0, 40))
            registers = [out, quant, scale, b]
        elif name in ("vpu.depthwise", "vpu.pool"):
            average = int(a.wide != out.wide or self.chance(50))
            tile |= dict(slot=0, base=0, average=average) if name == "vpu.pool" else dict(slot=0, base=within(0, 16))
            if not a.wide:
                kernel.fields["pad"] = within(-128, 127)
            registers += [kernel]
        elif name in ("vpu.add", "vpu.mul", "vpu.max"):
            tile["least"] = int(self.chance(50))
            scale.fields["ma"] = abs(scale.ma) >> 2 if name == "vpu.mul" else scale.ma
            registers += [scale, b]
        elif name == "vpu.prelu":
            tile |= dict(slot=0, base=within(0, 16))
            registers += [scale]
        elif name == "vpu.softmax":
            tile |= dict(slot=1, channels=within(1, 3 * self.hw.array_rows))
        elif name in ("vpu.move", "vpu.fill"):
            return self.mover(name)
        fields = {field: value for field, value in tile.items() if field in LAYOUT[name]}
        return registers, self.word(name, **fields)

    def wanted(self, word, regs):
        """What a footprint does not tell: parameter entries are there, and every pooling window has a valid tap."""
        if word.name in ("vpu.depthwise", "vpu.prelu"):
            return word.base + word.blocks * self.hw.array_rows <= self.hw.param_entries
        if word.name != "vpu.pool":
            return True
        kernel, region = regs["vpu.kernel"], regs["vpu.in"]

        def every(start, count, step, taps, distance, extent):
            return all(any(0 <= start + o * step + k * distance < extent for k in range(taps)) for o in range(count))

        return every(word.iy0, word.th, kernel.sy, kernel.kh, kernel.dy, region.h) and every(
            word.ix0, word.tw, kernel.sx, kernel.kw, kernel.dx, region.w
        )

    def operand(self):
        within = self.rng.randint
        h, w = within(1, 7), within(1, 7)
        return self.word("vpu.in", h=h, w=w, row_stride=w + within(0, 2), block_stride=h * w + within(0, 9),
            plane_stride=within(0, 60), wide=int(self.chance(30)))  # fmt: skip

    def side(self):
        within = self.rng.randint
        return self.word("vpu.side", row_stride=within(0, 6), block_stride=within(0, 30), plane_stride=within(0, 60),
            x_stride=within(0, 1), lane_broadcast=int(self.chance(30)), wide=int(self.chance(30)))  # fmt: skip

    def result(self):
        """Strides with room for a tile of 4 by 4 pixels and 3 blocks, so that no result overlaps itself."""
        row, block = 4 + self.rng.randrange(2), 20 + self.rng.randrange(5)
        return self.word("vpu.out", row_stride=row, block_stride=block, plane_stride=3 * block, wide=int(self.chance(30)))

    def kernel(self):
        within = self.rng.randint
        return self.word("vpu.kernel", kh=within(1, 4), kw=within(1, 4), sy=within(1, 2), sx=within(1, 2), dy=within(1, 2),
            dx=within(1, 2), pad=within(-32768, 32767), weights=self.row(), by_count=int(self.chance(40)))  # fmt: skip

    def quant(self, wide):
        fields = {}
        for number in (0, 1):
            limit = 32768 if wide else 128
            lo, hi = sorted(self.rng.choice([-limit, limit - 1, self.rng.randrange(-limit, limit)]) for _ in range(2))
            fields |= {f"zero{number}": self.rng.randrange(-limit, limit), f"lo{number}": lo, f"hi{number}": hi}
        return self.word("vpu.quant", **fields)

    def scale(self):
        def signed():
            return self.rng.randrange(-1, 2) and self.rng.choice([-1, 1]) * self.rng.getrandbits(self.rng.randint(1, 31))

        return self.word("vpu.scale", ma=signed(), mb=signed(), shift=self.rng.choice([0, 1, 8, 20, 30, 38, 62]),
            za=self.rng.randrange(-128, 128), zb=self.rng.randrange(-32768, 32768))  # fmt: skip

    def mover(self, name):
        within, lanes = self.rng.randint, self.hw.array_rows
        outer, inner, length = within(1, 4), within(1, 4), within(1, 2 * lanes)
        strides = {field: within(-60, 60) for field in ("src0", "src1", "dst0", "dst1")}
        # Destination runs side by side or apart: none overlaps another.
        strides["dst1"] = within(length, length + 20) * self.rng.choice([-1, 1])
        strides["dst0"] = inner * abs(strides["dst1"]) * self.rng.choice([-1, 1])
        fields = dict(src=self.row(), src_lane=within(0, lanes - 1), dst=self.row(), dst_lane=within(0, lanes - 1), outer=outer,
            inner=inner, len=length, value=within(-128, 127))  # fmt: skip
        fields = {field: value for field, value in fields.items() if field in LAYOUT[name]}
        return [self.word("vpu.stride", **strides)], self.word(name, **fields)

    # The whole program.

    def loads(self):
        """The input into the whole scratchpad, parameters, tables, and some rows of few bits."""
        lanes = self.hw.array_rows
        lines = [
            self.word("load.geom", rows=self.rows, elems=lanes, bits=8),
            self.word("load", dst=0, src=INPUT, count=1),
            self.word("load.params", slot=0, src=CONSTANTS, base=0, count=self.hw.param_entries),
            self.word("load.table", slot=0, src=CONSTANTS + 2048, bytes=2048),
            self.word("load.table", slot=1, src=CONSTANTS + 4096, bytes=1024),
        ]
        for _ in range(2):
            bits = self.rng.randint(2, 8)
            elements, rows, runs = self.rng.randint(1, 2 * lanes if bits <= 4 else lanes), self.rng.randint(1, 6), self.rng.randint(1, 3)
            run_bytes = rows * -(-elements * bits // 8)
            lines += [
                self.word("load.geom", rows=rows, elems=elements, bits=bits, spad_stride=rows + self.rng.randrange(3),
                    dram_stride=run_bytes + self.rng.choice([0, 0, 5])),
                self.word("load", dst=self.rng.randrange(self.rows - 30), src=self.rng.randrange(256), count=runs),
            ]  # fmt: skip
        return lines

    def constants(self):
        """Parameter entries, a table of random bytes, a table of random exponentials."""
        lines, most = ["params:"], min(self.hw.multiplier_bits, 31)
        wide = self.hw.acc_bits > 32 or self.hw.multiplier_bits > 26
        for _ in range(self.hw.param_entries):
            bias, multiplier = self.rng.randrange(-(1 << 20), 1 << 20), self.rng.getrandbits(self.rng.randint(1, most))
            lines.append(f"  .param bias={bias} multiplier={multiplier} shift={self.rng.choice([0, 3, 10, 20, 30, 40, 62])}")
        lines.append(f"  .zeros {2048 - self.hw.param_entries * (16 if wide else 8)}")
        lines.append("  .hex " + self.rng.randbytes(2048).hex())
        lines.append("  .i32 " + " ".join(str(self.rng.getrandbits(24)) for _ in range(256)))
        return lines

    def text(self):
        lines = [".hardware tiny8", *(f"  {name} = {value}" for name, value in self.parameters.items())]
        for name in "xy":
            lines.append(f'.tensor "{name}" shape=1x{self.rows}x{self.hw.array_rows} bits=8 scale=1 zero=0')
        lines += [f".input tensor=0 dram={INPUT:#x}", f".output tensor=1 dram={OUTPUT:#x}", f".constants base={CONSTANTS:#x}"]
        lines += self.constants()
        code = {"load": self.loads()}
        code["mxu"] = self.until_legal(lambda: self.conv(0)) + self.until_legal(lambda: self.conv(1))
        code["vpu"] = []
        for _ in range(8):
            name = self.rng.choice(WORDS if code["mxu"] else [name for name in WORDS if name != "vpu.drain"])
            code["vpu"] += self.until_legal(lambda name=name: self.vector(name), self.wanted)
        self.page = 0
        code["store"] = [
            self.word("store.geom", rows=self.rows, bytes=self.hw.array_rows),
            self.word("store", src=0, dst=OUTPUT, count=1),
        ]
        # Everything in one order: load, then the array, then the vector engine, then the store.
        order = [engine for engine in ("load", "mxu", "vpu", "store") if code[engine]]
        for producer, consumer in zip(order, order[1:]):
            code[producer][-1].signal = (consumer,)
            code[consumer][0].wait = (producer,)
        for engine in order:
            lines.append(f".code {engine}")
            lines += [f"  {word.text()}" for word in code[engine]] + ["  halt"]
        return "\n".join(lines) + "\n"
