"""Runs one sweep on a Ray cluster, a shard a task, and kills a worker in the middle of its shard.

usage: ray_sweep.py FOLDER_WITH_BINARIES

Ray starts the lost task again; `--resume` goes on where the shard was, and the merged folder must be that of one run, byte for byte. Needs `pip install ray`, which is not among
the requirements of the other checks. This is also the example of docs/exploration.md: `shard` and `sweep` are all that a cluster with a shared folder needs.
"""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import ray

SHARDS = 3
FASHION_MNIST = pathlib.Path(__file__).resolve().parents[2] / "programs" / "fashion_mnist"
SPACE = """
[axes]
weight_bits = [3, 4, 6, 8]
act_bits = [8, 16]
array_rows = [4, 8, 16, 32]
array_cols = [4, 8, 16, 32]
scratchpad_kib = [32, 64, 128, 384]
[objectives]
accuracy.top1 = "max"
cycles.total = "min"
area.lut4 = "min"
[constraints]
array_rows = "== array_cols"
"""


def die_with_parent():
    """Lets the kernel end the command when its worker is lost, so that nothing else works on the shard when it is started again."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@ray.remote(num_cpus=1, max_retries=3)
def shard(command, folder, index, count):
    """One shard, from where it is; its folder."""
    out = pathlib.Path(folder) / str(index)
    (pathlib.Path(folder) / f"{index}.pid").write_text(str(os.getpid()))
    arguments = [*command, "-o", str(out), "--shard", f"{index}/{count}", "--resume", "--quiet"]
    subprocess.run(arguments, check=True, preexec_fn=die_with_parent, stdout=subprocess.DEVNULL, env={**os.environ, "RAYON_NUM_THREADS": "1"})
    return str(out)


def sweep(command, folder, count):
    """Starts all shards of a sweep."""
    return [shard.remote(command, str(folder), index, count) for index in range(1, count + 1)]


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_midway(folder, index):
    """Kills the worker of a shard once it has found some points, and says how many there were."""
    partial = folder / str(index) / "points.partial.jsonl"
    until = time.monotonic() + 1200
    while lines(partial) < 2:
        if time.monotonic() > until or (folder / str(index) / "points.jsonl").exists():
            sys.exit("no worker was seen at work")
        time.sleep(0.002)
    os.kill(int((folder / f"{index}.pid").read_text()), signal.SIGKILL)
    return lines(partial)


def main():
    qdse = str(pathlib.Path(sys.argv[1]).resolve() / "qdse")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "space.toml").write_text(SPACE)
        command = [qdse, str(FASHION_MNIST / "fashion_mnist.onnx"), "--space", str(scratch / "space.toml")]
        command += ["--data", str(FASHION_MNIST / "test.npz"), "--calib", str(FASHION_MNIST / "calibration.npz"), "--preprocess", "mean=0,std=255", "--samples", "50"]
        subprocess.run([*command, "-o", str(scratch / "whole"), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        ray.init(num_cpus=SHARDS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
        started = time.monotonic()
        tasks = sweep(command, scratch, SHARDS)
        found = kill_midway(scratch, 2)
        killed = int((scratch / "2.pid").read_text())
        folders = ray.get(tasks)
        if int((scratch / "2.pid").read_text()) == killed:
            sys.exit("the shard was not started again")
        took = time.monotonic() - started
        ray.shutdown()
        subprocess.run([qdse, "merge", *folders, "-o", str(scratch / "merged"), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        whole, merged = ({f.name: f.read_bytes() for f in (scratch / name).iterdir()} for name in ("whole", "merged"))
        if whole != merged:
            sys.exit(f"the merged sweep differs in {[name for name in whole if whole[name] != merged.get(name)]}")
        print(f"{lines(scratch / 'merged' / 'points.jsonl')} points in {SHARDS} shards, one killed after {found} of them: the bytes of one run, {took:.0f} s")


if __name__ == "__main__":
    main()
