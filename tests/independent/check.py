"""Compares qcc with this second implementation of its machine, which was written from the documents alone.

usage: check.py FOLDER_WITH_BINARIES

Needs NumPy, and cargo to write the random networks and programs. Prints a table; exits 1 on any difference.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

import isa
import machine
import timing
import words
from program import Program

ROOT = pathlib.Path(__file__).resolve().parents[2]
FASHION = ROOT / "programs" / "fashion_mnist"
NETWORKS, WORDS, IMAGES = 200, 200, 2
# Options of the compiler that reach what the default network does not: 4-bit weights, 16-bit activations.
VARIANTS = (
    ("--hw", "edge16"),
    ("--hw", "tiny8"),
    ("--hw", "edge16", "--weight-bits", "4"),
    ("--hw", "edge16", "--act-bits", "16", "--set", "acc_bits=48"),
)
# Buckets that the rules of section 6 can give an engine, but `wait.config`: only a `halt` that meets a full semaphore has it.
WAITS = ("weights", "activations", "accumulator", "params", "token", "bank", "queue")
BUCKETS = {
    "load": ("busy", "idle", "done", "wait.token", "wait.bank", "wait.queue", "wait.dram_bandwidth", "wait.dram_latency"),
    "mxu": ("busy", "idle", "done", "wait.fill", "wait.drain", *(f"wait.{name}" for name in WAITS)),
    "vpu": ("busy", "idle", "done", *(f"wait.{name}" for name in WAITS)),
    "store": ("busy", "idle", "done", "wait.activations", "wait.token", "wait.bank", "wait.queue", "wait.fill",
        "wait.dram_bandwidth", "wait.dram_latency"),
}  # fmt: skip


class Result:
    """What one case compared, and where it differs."""

    def __init__(self, name):
        self.name, self.differences = name, []
        self.elements, self.cycles, self.deadlocks, self.seen = 0, 0, 0, collections.Counter()

    def equal(self, what, found, expected):
        if found != expected:
            self.differences.append(f"{self.name}: {what}: here {found}, qcc {expected}")

    def values(self, what, found, expected):
        found, expected = np.asarray(found).reshape(-1), np.asarray(expected).reshape(-1)
        self.elements += found.size
        self.equal(f"{what}: elements", found.size, expected.size)
        if found.size == expected.size and (found != expected).any():
            at = int((found != expected).argmax())
            self.differences.append(
                f"{self.name}: {what}: {int((found != expected).sum())} of {found.size} elements differ, first {at}: here {found[at]}, qcc {expected[at]}"
            )


def run(*command, **options):
    """Runs a command that must succeed and returns its standard output."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def flat(engine):
    """Buckets of an engine in a report, those that are not 0."""
    buckets = {"busy": engine["busy"], "idle": engine["idle"], "done": engine["done"]}
    buckets |= {f"wait.{name}": cycles for name, cycles in engine["wait"].items()}
    return {name: cycles for name, cycles in buckets.items() if cycles}


def compare_time(result, program, qsim, file):
    """Cycles, buckets, layers and traffic, or that both find a deadlock."""
    for engine in isa.ENGINES:
        result.seen.update(inst.name for inst in program.code[engine])
    done = subprocess.run([qsim, file, "--timing-only", "--format", "json"], capture_output=True, text=True)
    try:
        ours = timing.run(program)
    except timing.Deadlock:
        result.deadlocks += 1
        result.equal("deadlock", True, done.returncode == 1 and "deadlock" in done.stderr)
        return
    if done.returncode != 0:
        result.differences.append(f"{result.name}: qsim refuses: {done.stderr.strip()}")
        return
    report = json.loads(done.stdout)
    result.cycles += ours.total
    result.equal("cycles", ours.total, report["cycles"]["total"])
    for engine in isa.ENGINES:
        result.seen.update(f"{engine} {bucket}" for bucket in ours.buckets[engine])
        result.equal(f"buckets of {engine}", dict(ours.buckets[engine]), flat(report["cycles"]["engines"][engine]))
    for node, layer in enumerate(report["layers"]):
        result.equal(f"cycles of node {node}", ours.layers[node], layer["cycles"])
        result.equal(f"span of node {node}", ours.spans[node], layer["span"] and (layer["span"]["first"], layer["span"]["last"]))
        for engine in isa.ENGINES:
            found, expected = dict(ours.layer_buckets[node, engine]), flat(layer["engines"][engine])
            result.equal(f"buckets of {engine} for node {node}", found, expected)
    for name, traffic in ours.traffic.items():
        expected = report["traffic"]["dram"][name]
        result.equal(f"DRAM traffic of {name}", vars(traffic), {key: expected[key] for key in vars(traffic)})


def compare_values(result, program, qsim, file, inputs):
    """All outputs against the simulator's; gives them."""
    outputs = machine.run(program, [inputs])
    with tempfile.TemporaryDirectory() as folder:
        x, y = pathlib.Path(folder) / "x.npy", pathlib.Path(folder) / "y.npz"
        np.save(x, np.asarray(inputs, np.int64))
        run(qsim, file, "--input", x, "--output", y, "--raw", "--quiet")
        with np.load(y) as arrays:
            for i, (ours, name) in enumerate(zip(outputs, arrays.files, strict=True)):
                result.values(f"output {i}", ours, arrays[name].astype(np.int64))
    return outputs


def hand_written(qsim, source):
    """A program with its input and output in its comments."""
    result = Result(source.name)
    stated = {key: [int(n) for n in numbers.split()] for key, numbers in re.findall(r"^; (\w+) 0 = (.*)$", source.read_text(), re.M)}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "program.bin"
        run(qsim, "asm", source, "-o", file, "--quiet")
        program = Program(file.read_bytes())
        outputs = compare_values(result, program, qsim, file, stated["input"])
        result.values("stated output", outputs[0], stated["output"])
        compare_time(result, program, qsim, file)
    return result


def fashion(qsim, options):
    """The embedded network on real images."""
    result = Result("fashion_mnist " + " ".join(options))
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "program.bin"
        calibration = ("--data", FASHION / "calibration.npz", "--preprocess", "mean=0,std=255")
        run(qsim.with_name("qcc"), FASHION / "fashion_mnist.onnx", *calibration, *options, "-o", file, "--quiet")
        program = Program(file.read_bytes())
        for image in np.load(FASHION / "test.npz")["x"][:IMAGES].astype(np.int64):
            wide = program.tensors[program.inputs[0].tensor].bits == 16
            compare_values(result, program, qsim, file, (image - 128) * 256 if wide else image - 128)
        compare_time(result, program, qsim, file)
    return result


def network(qsim, file):
    """A random network with the host runtime's outputs."""
    result, program = Result(f"network {file.stem}"), Program(file.read_bytes())
    case = json.loads(file.with_suffix(".json").read_text())
    outputs = machine.run(program, case["inputs"])
    result.equal("outputs", len(outputs), len(case["outputs"]))
    for number, (found, expected) in enumerate(zip(outputs, case["outputs"])):
        result.values(f"output {number}", found, expected)
    compare_time(result, program, qsim, file)
    return result


def random_words(qsim, seed):
    """A program of random words."""
    result = Result(f"words {seed}")
    with tempfile.TemporaryDirectory() as folder:
        source, file = pathlib.Path(folder) / "program.qasm", pathlib.Path(folder) / "program.bin"
        source.write_text(words.Writer(seed).text())
        run(qsim, "asm", source, "-o", file, "--quiet")
        program = Program(file.read_bytes())
        shape = program.tensors[program.inputs[0].tensor].shape
        compare_values(result, program, qsim, file, np.random.default_rng(seed).integers(-128, 128, shape))
        compare_time(result, program, qsim, file)
    return result


def random_program(qsim, file):
    """A random program that has only a time; some deadlock."""
    result = Result(f"program {file.stem}")
    compare_time(result, Program(file.read_bytes()), qsim, file)
    return result


def write_cases(folder):
    """Random networks and random programs, by the workspace's own generators."""
    networks, programs = folder / "networks", folder / "programs"
    run("cargo", "run", "--quiet", "--package", "qcc-tests", "--example", "write_networks", "--", networks, NETWORKS, cwd=ROOT)
    test = ("--package", "timing", "--test", "differential", "write_random_programs", "--", "--ignored")
    run("cargo", "test", "--quiet", *test, cwd=ROOT, env=dict(os.environ, QCC_PROGRAMS=str(programs)))
    return sorted(networks.glob("*.bin")), sorted(programs.glob("*.bin"))


def missing(seen):
    """Instructions and buckets that no case reached."""
    names = {name for name, _ in isa.FORMATS.values()}
    buckets = {f"{engine} {bucket}" for engine in isa.ENGINES for bucket in BUCKETS[engine]}
    return sorted((names | buckets) - set(seen))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=pathlib.Path, help="folder with qcc and qsim")
    qsim = parser.parse_args().binaries.resolve() / "qsim"
    differences = [f"manual: the word of `{text}` does not decode to it" for text in isa.check_examples()]
    seen = collections.Counter()
    print(f"{len(isa.EXAMPLES)} examples of the manual decoded")
    print(f"{'compared':24}{'programs':>9}{'elements':>10}{'cycles':>10}{'deadlocks':>10}{'differences':>12}{'seconds':>9}")
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ProcessPoolExecutor() as pool:
        networks, programs = write_cases(pathlib.Path(folder))
        sets = [
            ("hand-written programs", hand_written, sorted((ROOT / "programs" / "asm").glob("*.qasm"))),
            ("Fashion-MNIST", fashion, VARIANTS),
            ("random networks", network, networks),
            ("random words", random_words, range(WORDS)),
            ("random programs", random_program, programs),
        ]
        for name, compare, cases in sets:
            start = time.monotonic()
            results = list(pool.map(compare, [qsim] * len(cases), cases))
            found = [difference for result in results for difference in result.differences]
            for result in results:
                seen += result.seen
            elements, cycles, deadlocks = (sum(getattr(r, of) for r in results) for of in ("elements", "cycles", "deadlocks"))
            seconds = time.monotonic() - start
            print(f"{name:24}{len(results):9}{elements:10}{cycles:10}{deadlocks:10}{len(found):12}{seconds:9.0f}", flush=True)
            differences += found
    differences += [f"never compared: {what}" for what in missing(seen)]
    for difference in differences[:40]:
        print(f"DIFFERENT: {difference}")
    print(f"{len(differences)} differences")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
