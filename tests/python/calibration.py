"""Calibration: memory does not grow with the number of samples, and threads change no byte.

usage: calibration.py FOLDER_WITH_BINARIES

The embedded network on 10, 1,000 and 4,000 samples, float arrays in a file that is not compressed. Beyond the file itself and the samples that
are kept to correct biases (at most 256, with all that is computed of them), the peak of memory may not grow.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import common

COUNTS = (10, 1000, 4000)
# Noise of the allocator, and the samples that are kept.
MOST_GROWTH = 16 << 20
MODEL = common.FASHION_MNIST / "fashion_mnist.onnx"
# A program of its own, so that the peak is that of one child.
PEAK = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"""


def compile_on(qcc, data, folder, threads=None):
    """Peak memory in bytes; the program and the table of ranges are left in the folder."""
    command = [qcc, MODEL, "-q", "--data", data, "--calib-out", folder / "table.json", "-o", folder / "prog.bin"]
    env = dict(os.environ) | ({"RAYON_NUM_THREADS": str(threads)} if threads else {})
    measured = subprocess.run([sys.executable, "-c", PEAK, *map(str, command)], env=env, check=True, stdout=subprocess.PIPE, text=True)
    return int(measured.stdout)


def main():
    qcc = pathlib.Path(sys.argv[1]).resolve() / "qcc"
    images = np.load(common.FASHION_MNIST / "test.npz")["x"].astype(np.float32).reshape(-1, 1, 28, 28) / 255
    failures, growth = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for count in COUNTS:
            data = folder / f"{count}.npy"
            # Different values, so that nothing could be shared.
            repeats = -(-count // len(images))
            np.save(data, np.concatenate([images * np.float32(1 - i / 100) for i in range(repeats)])[:count])
            peak = compile_on(qcc, data, folder)
            growth[count] = peak - data.stat().st_size
            print(f"{count:5} samples: peak {peak / 1e6:.1f} MB, {growth[count] / 1e6:.1f} MB without the file")
        if growth[COUNTS[-1]] - growth[COUNTS[0]] > MOST_GROWTH:
            failures.append(f"memory grows with samples: {growth}")
        made = []
        for threads in (1, 2):
            compile_on(qcc, folder / "1000.npy", folder, threads)
            made.append([(folder / file).read_bytes() for file in ("table.json", "prog.bin")])
        print(f"1 and 2 threads: {'the same bytes' if made[0] == made[1] else 'other bytes'}")
        if made[0] != made[1]:
            failures.append("1 and 2 threads give other bytes")
    common.finish(2, failures)


if __name__ == "__main__":
    main()
