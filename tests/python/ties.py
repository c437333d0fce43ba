"""The accumulators that `qsim verify --accumulators` lists are exactly those that ONNX Runtime requantizes to another integer.

usage: ties.py FOLDER_WITH_BINARIES

A dense layer of three inputs and many outputs. For each listed accumulator of each output a row of inputs is sought that produces it; those
rows go through the program and through the exported QDQ model in ONNX Runtime's integer kernels. All results are compared: they must
differ, by one unit, where the accumulator is listed, and nowhere else.
"""

import csv
import pathlib
import sys
import tempfile

import numpy as np
import onnx

import common
import qdq

ROWS, INPUTS, OUTPUTS = 512, 3, 2048
LEAST_LISTED = 200


def listed(path):
    """The accumulators by channel."""
    with open(path, newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["channel"]))
    ranges = [[tuple(map(int, run.split(".."))) for run in row["accumulators"].split()] for row in rows]
    found = [[acc for first, last in channel for acc in range(first, last + 1)] for channel in ranges]
    assert [len(channel) for channel in found] == [int(row["differing"]) for row in rows]
    return found


def reaching(target, weights, zero_point, bias):
    """Stored inputs whose dot product is `target`, or None."""
    x = np.arange(-128, 128)
    rest = target - bias - sum(np.ix_((x - zero_point) * weights[0], (x - zero_point) * weights[1]))
    if weights[2] == 0:
        return None
    last = rest // weights[2] + zero_point
    fits = (rest % weights[2] == 0) & (last >= -128) & (last <= 127)
    first, second = np.nonzero(fits)
    return None if len(first) == 0 else (x[first[0]], x[second[0]], last[first[0], second[0]])


def constants(export):
    """Stored weights `[inputs, outputs]`, biases, and the input's scale and zero point of an exported dense layer."""
    model = onnx.load(export)
    arrays = common.initializers(model)
    weights = next(a for a in arrays.values() if a.dtype == np.int8 and a.size == INPUTS * OUTPUTS)
    bias = next(a for a in arrays.values() if a.dtype == np.int32 and a.size == OUTPUTS)
    weights = weights.reshape(OUTPUTS, INPUTS).T if weights.shape[0] == OUTPUTS else weights.reshape(INPUTS, OUTPUTS)
    scale, zero_point, dtype = qdq.parameters_of(model, "QuantizeLinear", "x")
    zero_point -= 128 if dtype == np.uint8 else 0
    unit = qdq.parameters_of(model, "DequantizeLinear", "y")[0]
    return weights.astype(np.int64), bias.astype(np.int64).ravel(), scale, zero_point, unit


def check(tools, folder, multiplier_bits):
    """Failures of one machine, and how many elements have a listed accumulator."""
    case = qdq.Case("ties", "Gemm", [[ROWS, INPUTS]], [qdq.normal(INPUTS, OUTPUTS), qdq.normal(OUTPUTS)])
    model, program, export, table = (folder / name for name in ("model.onnx", "prog.bin", "qdq.onnx", "accumulators.csv"))
    onnx.save(case.model, model)
    np.savez(folder / "data.npz", x=np.stack([case.sample()["x"] for _ in range(4)]))
    tools.qcc(model, program, "--data", folder / "data.npz", "--emit", f"qdq={export}", "--set", f"multiplier_bits={multiplier_bits}")
    common.run(tools.qsim_path, "verify", program, f"--accumulators={table}")
    weights, bias, scale, zero_point, unit = constants(export)
    accumulators = listed(table)
    # Of few bits so many are listed that any rows have some.
    wanted = [(c, acc) for c, channel in enumerate(accumulators) for acc in channel[:4]]
    rows = [reaching(acc, weights[:, c], zero_point, bias[c]) for c, acc in wanted[:ROWS]]
    rows = np.array([row for row in rows if row is not None][:ROWS], dtype=np.int64).reshape(-1, INPUTS)
    filler = case.rng.integers(-128, 128, (ROWS - len(rows), INPUTS))
    stored = np.concatenate([rows, filler])
    x = ((stored - zero_point) * np.float32(scale)).astype(np.float32)
    ours = tools.compute(program, {"x": x}, folder).reshape(ROWS, OUTPUTS)
    theirs = common.session(export).run(None, {"x": x})[0].reshape(ROWS, OUTPUTS)
    units = np.rint((ours - theirs) / unit)
    acc = (stored - zero_point) @ weights + bias
    expected = np.stack([np.isin(acc[:, c], accumulators[c]) for c in range(OUTPUTS)], axis=1)
    differ = units != 0
    print(
        f"multipliers of {multiplier_bits} bits: {sum(map(len, accumulators))} accumulators listed, {int(expected.sum())} of {expected.size} elements have one, "
        f"{int(differ.sum())} differ, by up to {int(np.abs(units).max())}"
    )
    failures = []
    if (expected != differ).any():
        row, c = np.argwhere(expected != differ)[0]
        failures.append(f"{multiplier_bits} bits: output {c}, accumulator {acc[row, c]}: listed {expected[row, c]}, differs {differ[row, c]}")
    if np.abs(units).max() > 1:
        failures.append(f"{multiplier_bits} bits: a difference of more than one unit")
    return failures, int(expected.sum())


def main():
    tools = common.Tools(sys.argv[1])
    failures, met = [], 0
    for bits in (24, 12):
        with tempfile.TemporaryDirectory() as name:
            found, count = check(tools, pathlib.Path(name), bits)
            failures += found
            met += count
    if met < LEAST_LISTED:
        failures.append(f"only {met} elements with a listed accumulator: nothing was tried")
    common.finish(3, failures)


if __name__ == "__main__":
    main()
