"""The program file, as docs/program-file.md lays it out."""

import math
import struct
import tomllib
import zlib
from types import SimpleNamespace

import numpy as np

from isa import ENGINES, WORD_BYTES, decode

SIGNATURE = b"\x89QCC\r\n\x1a\n"
HARDWARE, TENSORS, INPUTS, OUTPUTS, NODES, CODE, NOTES, CONSTANTS = 1, 3, 4, 5, 6, 7, 11, 15
CLASSES = ("none", "weights", "inputs", "outputs", "spills", "params")
HAS_TILE = 8


class Reader:
    """Takes encoded values from the front of a section."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self):
        return self.take(1)[0]

    def f64(self):
        return struct.unpack("<d", self.take(8))[0]

    def number(self):
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self):
        value = self.number()
        return value >> 1 if value % 2 == 0 else -(value >> 1) - 1

    def text(self):
        return self.take(self.number()).decode()

    def numbers(self, count):
        return [self.number() for _ in range(count)]

    def list(self, entry):
        return [entry(self) for _ in range(self.number())]


def tensor(r):
    return SimpleNamespace(
        name=r.text(), shape=tuple(r.numbers(3)), bits=r.byte(), scale=r.f64(), zero=r.signed(),
        onnx=r.list(Reader.number), perm=r.list(Reader.number),
    )  # fmt: skip


def binding(r):
    return SimpleNamespace(tensor=r.number(), dram=r.number())


def node(r):
    return SimpleNamespace(
        name=r.text(), op=r.text(), macs=r.number(), unit=r.byte(), weight_bits=r.byte(), act_bits=r.byte(), tile=r.text()
    )


def note(r):
    """Traffic class and node (`None` for no node); the tile serves checks alone and is passed over."""
    flags, number = r.byte(), r.number()
    if flags & HAS_TILE:
        r.numbers(12)
    return SimpleNamespace(traffic=CLASSES[flags & 7], node=number - 1 if number else None)


def sections(data):
    """Contents of each section by number."""
    version, count, size, checksum = struct.unpack_from("<IIQI", data, 8)
    table = data[28 : 28 + 24 * count]
    assert data[:8] == SIGNATURE and version == 2 and size == len(data), "not a program file of version 2"
    assert checksum == zlib.crc32(data[8:24] + table), "the header is damaged"
    found = {}
    for number, checksum, offset, size in struct.iter_unpack("<IIQQ", table):
        found[number] = data[offset : offset + size]
        assert zlib.crc32(found[number]) == checksum, f"section {number} is damaged"
    return found


class Program:
    """`hw` (parameters by name), `tensors`, `inputs`, `outputs`, `nodes`, and for each engine `code`, `base` and `notes`."""

    def __init__(self, data):
        parts = sections(data)
        self.hw = SimpleNamespace(**tomllib.loads(parts[HARDWARE][8:].decode()))
        self.tensors = Reader(parts[TENSORS]).list(tensor)
        self.inputs = Reader(parts[INPUTS]).list(binding)
        self.outputs = Reader(parts[OUTPUTS]).list(binding)
        self.nodes = Reader(parts[NODES]).list(node)
        self.code, self.base, self.notes, self.words = {}, {}, {}, {}
        for i, engine in enumerate(ENGINES):
            self.base[engine], words = int.from_bytes(parts[CODE + i][:8], "little"), parts[CODE + i][8:]
            decoded = [decode(int.from_bytes(words[at : at + WORD_BYTES], "little")) for at in range(0, len(words), WORD_BYTES)]
            assert all(of == engine for of, _ in decoded), f"a word in the code of {engine} is for another engine"
            self.code[engine], self.words[engine] = [inst for _, inst in decoded], words
            self.notes[engine] = Reader(parts[NOTES + i]).list(note)
        self.dram_bytes, self.constants_base = struct.unpack_from("<QQ", parts[CONSTANTS])
        self.constants = parts[CONSTANTS][16:]

    def dram(self):
        """DRAM before the run: constants and code, 0 elsewhere."""
        memory = np.zeros(self.dram_bytes, np.uint8)
        memory[self.constants_base :][: len(self.constants)] = np.frombuffer(self.constants, np.uint8)
        for engine in ENGINES:
            memory[self.base[engine] :][: len(self.words[engine])] = np.frombuffer(self.words[engine], np.uint8)
        return memory

    def planes(self, binding):
        """For each channel block of a bound tensor: its channels and the DRAM range of its (high) bytes."""
        h, w, c = self.tensors[binding.tensor].shape
        for first in range(0, c, self.hw.array_rows):
            last = min(first + self.hw.array_rows, c)
            yield slice(first, last), slice(binding.dram + first * h * w, binding.dram + last * h * w)

    def write(self, memory, binding, values):
        """Puts stored integers `[h, w, c]` where an input is bound."""
        of = self.tensors[binding.tensor]
        values = np.asarray(values, np.int64).reshape(of.shape)
        low_plane = math.prod(of.shape)
        for channels, at in self.planes(binding):
            block = values[:, :, channels].reshape(-1)
            if of.bits == 16:
                memory[at] = (block >> 8) & 0xFF
                memory[at.start + low_plane : at.stop + low_plane] = block & 0xFF
            else:
                memory[at] = block & 0xFF

    def read(self, memory, binding):
        """The stored integers `[h, w, c]` of an output."""
        of = self.tensors[binding.tensor]
        (h, w, _), low_plane = of.shape, math.prod(of.shape)
        values = np.zeros(of.shape, np.int64)
        for channels, at in self.planes(binding):
            block = memory[at].astype(np.int8).astype(np.int64)
            if of.bits == 16:
                block = block * 256 + memory[at.start + low_plane : at.stop + low_plane]
            values[:, :, channels] = block.reshape(h, w, -1)
        return values
