"""Our rows: qcc compiles, qsim runs the integers."""

import re
import subprocess

import numpy as np

DATA, NO_DATA = "data", "no data"

# Name, bit widths, what it calibrates on, options of qcc. The first of each widths is what rivals are compared with.
ROWS = [
    ("qcc", "W8A8", DATA, []),
    ("qcc, without data", "W8A8", NO_DATA, []),
    ("qcc, 16-bit multipliers", "W8A8", DATA, ["--set", "multiplier_bits=16", "--set", "add_multiplier_bits=16"]),
    ("qcc, shifts only", "W8A8", DATA, ["--set", "multiplier_bits=1", "--set", "add_multiplier_bits=1"]),
    ("qcc, per tensor", "W8A8", DATA, ["--per-tensor"]),
    ("qcc", "W8A16", DATA, ["--act-bits", "16", "--set", "acc_bits=48"]),
    ("qcc", "W4A8", DATA, ["--weight-bits", "4"]),
    ("qcc, without data", "W4A8", NO_DATA, ["--weight-bits", "4"]),
]

USAGE = 2


class Unknown(Exception):
    """The binary does not know an option of the row."""


def logits(binaries, network, row, folder):
    """Logits of the reporting images and bytes of the program's constants."""
    _, _, source, options = row
    program, outputs = folder / "prog.bin", folder / "outputs.npy"
    how = ["--preprocess", f"mean={network.mean},std={network.std}"]
    for name, images in (("calibration", network.calibration), ("reporting", network.reporting)):
        np.save(folder / f"{name}.npy", images)
    data = ["--data", folder / "calibration.npy"] if source == DATA else ["--no-data"]
    said = run(binaries / "qcc", network.model, *how, *data, *options, "-o", program)
    constants = int(re.search(r"(\d+) bytes of constants", said).group(1))
    run(binaries / "qsim", program, "--data", folder / "reporting.npy", "--output", outputs)
    return np.load(outputs).reshape(len(network.reporting), -1), constants


def run(*command):
    """What a command says on standard error."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode == USAGE:
        raise Unknown(done.stderr.splitlines()[0])
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stderr}")
    return done.stderr
