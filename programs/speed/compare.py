"""Times the host runtime beside ONNX Runtime on the same quantized networks, in turn, and prints one table.

usage: compare.py FOLDER_WITH_BINARIES [--threads N] [--rounds N] [--only NETWORK..] [--work FOLDER] [NETWORK.onnx..]

Networks are those of `networks.py` and any others given as float ONNX files. ONNX Runtime's `quantize_static` quantizes each (u8 activations,
s8 weights per channel, minimum and maximum of random inputs), and qcc compiles the result, which keeps every scale, so that both compute
the same integers. All workers are started at once and run short bursts one after the other, round by round: what disturbs the machine
disturbs all. Printed are medians over the rounds and ratios of times: of the processor with one thread, elapsed with more.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import networks

BURST_MS = 250
HERE = pathlib.Path(__file__).parent


class RandomInputs(CalibrationDataReader):
    """Eight random inputs."""

    def __init__(self, path):
        (value,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()
        random = np.random.default_rng(5)
        self.left = [{value.name: random.standard_normal(value.shape).astype(np.float32)} for _ in range(8)]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantize(path, folder):
    """The network with QuantizeLinear and DequantizeLinear around its operators; batch norm has been folded."""
    folded, quantized = folder / f"{path.stem}.folded.onnx", folder / f"{path.stem}.qdq.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(folded, quantized, RandomInputs(folded), quant_format=QuantFormat.QDQ, per_channel=True, **types)
    return quantized


class Worker:
    """A process that answers a line `N` with the times of `N` runs."""

    def __init__(self, label, command, threads):
        self.label, self.medians = label, []
        # Time of the processor does not count what others do, but not what several threads gain either.
        self.column = 1 if threads == 1 else 0
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self):
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"{self.label} does not run")
        self.runs = 1
        self.runs = max(1, min(2000, round(BURST_MS / max(self.burst(), 1e-3))))

    def burst(self):
        """Median time of the runs of a burst, in milliseconds."""
        self.process.stdin.write(f"{self.runs}\n")
        self.process.stdin.flush()
        times = self.process.stdout.readline().split()
        return statistics.median(float(time.split(",")[self.column]) for time in times)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def workers(path, arguments, folder):
    """Ours and theirs on the network at `path`."""
    quantized, program = quantize(path, folder), folder / f"{path.stem}.bin"
    subprocess.run([arguments.binaries / "qcc", quantized, "-o", program, "--quiet"], check=True)
    threads, rival = arguments.threads, HERE / "onnxruntime_worker.py"
    commands = {
        "qcc host runtime": [arguments.binaries / "host_worker", program, threads],
        "ONNX Runtime int8, exact": [sys.executable, rival, quantized, threads, "exact"],
        "ONNX Runtime int8, default": [sys.executable, rival, quantized, threads, "default"],
        "ONNX Runtime float": [sys.executable, rival, path, threads, "default"],
    }
    return [Worker(label, command, threads) for label, command in commands.items()]


def compare(path, arguments, folder):
    """Prints the rows of one network."""
    rivals = workers(path, arguments, folder)
    for worker in rivals:
        worker.start()
    for _ in range(arguments.rounds):
        for worker in rivals:
            worker.medians.append(worker.burst())
    for worker in rivals:
        worker.stop()
        # Round by round, so that a slow round counts once.
        ratio = statistics.median(own / other for own, other in zip(rivals[0].medians, worker.medians))
        spread = f"{min(worker.medians):.3f} to {max(worker.medians):.3f}"
        note = "" if worker is rivals[0] else f"{ratio:.2f}"
        print(f"| {path.stem} | {worker.label} | {statistics.median(worker.medians):.3f} | {spread} | {note} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binaries", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path, nargs="*", metavar="NETWORK.onnx")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", default=list(networks.NETWORKS), metavar="NETWORK")
    parser.add_argument("--work", type=pathlib.Path, help="keep networks and programs in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.work or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        print("| network | runtime | ms | range | our time / its time |\n| --- | --- | --- | --- | --- |")
        for path in [networks.write(folder, name) for name in arguments.only] + arguments.models:
            compare(path, arguments, folder)


if __name__ == "__main__":
    main()
