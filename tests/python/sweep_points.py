"""Sweeps the 720 points of the embedded network and counts again what `qdse` says of them.

usage: sweep_points.py FOLDER_WITH_BINARIES [--search]

Says how long the sweep took; finds the front by comparing every line of `points.jsonl` with every other one; makes the programs of some points, drawn at random, one by one with
`qcc`, runs them with `qsim`, and compares every number: accuracy, cycles, traffic, energy, bytes, area. With --search it then
searches by NSGA-II, a quarter of the points, and compares the volume that what it found dominates with that of all points.
"""

import json
import pathlib
import random
import resource
import shlex
import subprocess
import sys
import tempfile
import time

from common import FASHION_MNIST, finish, in_parallel, run

MODEL, DATA, CALIBRATION = (FASHION_MNIST / name for name in ("fashion_mnist.onnx", "test.npz", "calibration.npz"))
HOW = ["--preprocess", "mean=0,std=255"]
# As the space file says; the sign that makes them costs.
OBJECTIVES = {"accuracy.top1": -1, "cycles.total": 1, "area.lut4": 1}
REBUILT = 20
# Of all points, and of the volume that they dominate up to a tenth beyond the worst in each objective.
SEARCHED, WANTED = 1 / 4, 0.98


def sweep(binaries, out, *search):
    """All rows, and elapsed and processor seconds."""
    command = [binaries / "qdse", MODEL, "--space", FASHION_MNIST / "space.toml", "--data", DATA, "--calib", CALIBRATION, *HOW, "-o", out, *search]
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [json.loads(line) for line in (out / "points.jsonl").read_text().splitlines()], time.monotonic() - started, spent


def cost(row):
    return [sign * row[key] for key, sign in OBJECTIVES.items()]


def volume(points, bounds):
    """Volume that points dominate below `bounds`, by slices along the last objective."""
    points = sorted((p for p in points if all(x < b for x, b in zip(p, bounds))), key=lambda p: p[-1])
    if not points:
        return 0.0
    if len(bounds) == 1:
        return bounds[0] - points[0][0]
    tops = [p[-1] for p in points[1:]] + [bounds[-1]]
    return sum((top - p[-1]) * volume([q[:-1] for q in points[: i + 1]], bounds[:-1]) for i, (p, top) in enumerate(zip(points, tops)) if top > p[-1])


def dominated(rows, of):
    """Volume that rows dominate, objectives scaled to the range that those of `of` have."""
    ends = [(min(column), max(column)) for column in zip(*map(cost, of))]
    best = front(rows)
    scaled = [[(x - low) / (high - low) for x, (low, high) in zip(cost(row), ends)] for row in rows if row["point"] in best]
    return volume(scaled, [1.1] * len(ends))


def front(rows):
    """Numbers of the points that no other beats, by trying all pairs."""
    costs = {row["point"]: cost(row) for row in rows if row["error"] is None}

    def beats(a, b):
        return a != b and all(x <= y for x, y in zip(a, b))

    return {point for point, cost in costs.items() if not any(beats(other, cost) for other in costs.values())}


def rebuilt(binaries, row, scratch):
    """Keys whose number is another when the point is made by itself, and how many were compared."""
    program = scratch / f"{row['point']}.bin"
    run(binaries / "qcc", MODEL, "--data", CALIBRATION, *HOW, *shlex.split(row["qcc"]), "-o", program, "--quiet")
    report = json.loads(run(binaries / "qsim", program, "--data", DATA, "--float", MODEL, "--format", "json", "--quiet"))
    compared, different = 0, []
    for key, value in row.items():
        if "." not in key:
            continue
        found = report
        for name in key.split("."):
            found = found[name]
        compared += value is not None
        if found != value:
            different.append(f"point {row['point']}: {key} is {value}, and {found} when made alone")
    return compared, different


def searched(binaries, rows, scratch):
    """Searches, and says what is wrong with what it found."""
    found, elapsed, spent = sweep(binaries, scratch / "search", "--strategy", "nsga2", "--budget", str(int(SEARCHED * len(rows))))
    good, some = ([row for row in of if row["error"] is None] for of in (rows, found))
    share = dominated(some, good) / dominated(good, good)
    print(f"{len(found)} points by NSGA-II in {elapsed:.1f} s, {spent:.1f} s of processors: {share:.2%} of the volume that all dominate")
    return [] if share >= WANTED else [f"NSGA-II reaches {share:.2%} of the volume, expected {WANTED:.0%}"]


def main():
    binaries = pathlib.Path(sys.argv[1]).resolve()
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        rows, elapsed, spent = sweep(binaries, scratch / "out")
        print(f"{len(rows)} points in {elapsed:.1f} s, {spent:.1f} s of processors")
        found = {int(line.split(",")[0]) for line in (scratch / "out" / "front.csv").read_text().splitlines()[1:]}
        expected = front(rows)
        print(f"{len(expected)} of them on the front by comparing all pairs")
        if found != expected:
            failures.append(f"front.csv has {sorted(found - expected)} beside and lacks {sorted(expected - found)}")
        chosen = random.Random(len(rows)).sample([row for row in rows if row["error"] is None], REBUILT)
        results = in_parallel(lambda row: rebuilt(binaries, row, scratch), chosen)
        for compared, different in results:
            failures += different or ([] if compared >= 20 else [f"only {compared} numbers were compared"])
        print(f"{REBUILT} points made one by one: {sum(compared for compared, _ in results)} numbers compared")
        search = "--search" in sys.argv[2:]
        if search:
            failures += searched(binaries, rows, scratch)
    finish(2 + REBUILT + search, failures)


if __name__ == "__main__":
    main()
