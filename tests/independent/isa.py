"""Instruction words, as docs/generated/isa.md lays them out.

The field tables are read from the page itself, so the page alone decides where a field lies and whether it is signed.
What an instruction does is not in tables; that is written in machine.py (values) and timing.py (cycles).
"""

import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "generated" / "isa.md"
ENGINES = ("load", "mxu", "vpu", "store")
WORD_BYTES = 16


class Instruction:
    """One decoded word: `name`, `wait` and `signal` (engine names in engine order), and a dictionary of fields."""

    def __init__(self, name, wait, signal, fields):
        self.name, self.wait, self.signal, self.fields = name, wait, signal, fields

    def __getattr__(self, field):
        try:
            return self.fields[field]
        except KeyError:
            raise AttributeError(field) from None

    def text(self):
        """The assembly form, to compare with the examples of the page."""
        words = [self.name]
        for field, value in self.fields.items():
            kind = KINDS[self.name, field]
            if kind == "flag":
                words += [field] if value else []
            else:
                words.append(f"{field}={value:#x}" if kind == "dram" else f"{field}={value}")
        words += [f"wait={','.join(self.wait)}"] if self.wait else []
        words += [f"signal={','.join(self.signal)}"] if self.signal else []
        return " ".join(words)


def bits(word, lo, hi):
    return (word >> lo) & ((1 << (hi - lo)) - 1)


def read_page():
    """Formats by (engine, operation): name and fields `(name, lo, hi, kind)`; names of the words that write registers; examples `(text, word)`."""
    formats, register_words, examples = {}, set(), []
    instructions = PAGE.read_text().split("\n## Instructions\n")[1]
    for section in instructions.split("\n### ")[1:]:
        name = re.match(r"`([\w.]+)`", section)[1]
        engine, operation = re.search(r"^Engine: `?(\w+)`?\. Operation: (\d+)\.", section, re.M).groups()
        rows = re.findall(r"^\| (\d+)\.\.(\d+) \| `(\w+)` \| (\w+) \|", section, re.M)
        fields = [(field, int(lo), int(hi), kind) for lo, hi, field, kind in rows]
        for each in ENGINES if engine == "any" else [engine]:
            formats[each, int(operation)] = name, fields
        if "| Register page written. |" in section:
            register_words.add(name)
        text, word = re.search(r"```text\n(.*)\n0x([0-9a-f]{32})\n```", section).groups()
        examples.append((text, int(word, 16)))
    return formats, register_words, examples


FORMATS, REGISTER_WORDS, EXAMPLES = read_page()
KINDS = {(name, field): kind for name, fields in FORMATS.values() for field, _, _, kind in fields}


def decode(word):
    """The engine and the instruction of a 128-bit word."""
    engine = ENGINES[bits(word, 5, 8)]
    name, layout = FORMATS[engine, bits(word, 0, 5)]
    others = [e for e in ENGINES if e != engine]
    wait, signal = (tuple(e for i, e in enumerate(others) if word >> (at + i) & 1) for at in (8, 11))
    fields = {}
    for field, lo, hi, kind in layout:
        value = bits(word, lo, hi)
        fields[field] = value - (1 << (hi - lo)) if kind == "signed" and value >> (hi - lo - 1) else value
    return engine, Instruction(name, wait, signal, fields)


def check_examples():
    """Texts of the page's examples that do not decode to themselves."""
    return [text for text, word in EXAMPLES if decode(word)[1].text() != text]
