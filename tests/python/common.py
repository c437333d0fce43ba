"""What the comparisons share: running the binaries, running ONNX Runtime, measuring differences."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime

FASHION_MNIST = pathlib.Path(__file__).resolve().parents[2] / "programs" / "fashion_mnist"


class Refused(Exception):
    """A command ended with exit code 1: the message is its standard error."""


def run(*command):
    """Runs a command and returns its standard output. Exit code 1 raises `Refused`; any other failure ends the script."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode == 1:
        raise Refused(done.stderr.strip())
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stderr}")
    return done.stdout


def in_parallel(function, items):
    """`function` of each item, in order, on all processors."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


class Tools:
    """The binaries of one build."""

    def __init__(self, folder):
        self.qcc_path = pathlib.Path(folder) / "qcc"
        self.qsim_path = pathlib.Path(folder) / "qsim"

    def qcc(self, model, program, *options):
        run(self.qcc_path, model, "-o", program, "--quiet", *options)

    def report(self, program, *options):
        return json.loads(run(self.qsim_path, program, "--format", "json", "--quiet", *options))

    def compute(self, program, inputs, scratch):
        """First output of a program for one sample, a dictionary of arrays by input name with the batch axis."""
        return next(iter(self.outputs(program, inputs, scratch).values()))

    def outputs(self, program, inputs, scratch):
        """As `compute`, all outputs by name."""
        x, y = scratch / "x.npz", scratch / "y.npz"
        np.savez(x, **{name: value[np.newaxis] for name, value in inputs.items()})
        run(self.qsim_path, program, "--input", x, "--output", y, "--quiet")
        with np.load(y) as outputs:
            return dict(outputs)


def session(path, optimized=True):
    """An ONNX Runtime session that keeps uint8 x int8 products exact on processors without VNNI, and both roundings of a
    value that is quantized twice."""
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.add_session_config_entry("session.disable_double_qdq_remover", "1")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def initializers(model):
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def sqnr_db(found, expected):
    """Signal to noise of `found`, infinite where nothing differs."""
    noise = float(((found.astype(np.float64) - expected) ** 2).sum())
    signal = float((expected.astype(np.float64) ** 2).sum())
    return np.inf if noise == 0 else 10 * np.log10(signal / noise) if signal > 0 else -np.inf


def finish(checks, failures):
    """Prints the verdict and ends the script."""
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"{checks - len(failures)} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)
