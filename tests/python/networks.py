"""Compiles every network of QCC_MODELS that is supported, proves the programs and compares every layer with the host runtime.

usage: networks.py FOLDER_WITH_BINARIES [NAME ...]

Networks without real weights (the `light` graphs) get seeded random ones. Where QCC_MODELS is not set the check says so and is skipped.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

MACHINES = ("edge16", "edge32")
RANDOM = ("--random-weights", "1")
PIXELS = ("--input-range=-1,1",)
NETWORKS = {
    "qonnx_mnist_conv": ("--input-range=0,255",),
    "efficientnet_lite0": PIXELS,
    "mp_blazeface_short": PIXELS,
    "mp_selfie_segmentation": ("--input-range=0,1",),
} | {
    f"light/light_{name}": PIXELS + RANDOM
    for name in (
        "bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19", "zfnet512"
    )
}


def run(*command):
    """Standard output of a command; its messages are shown when it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stderr.strip()}")
    return done.stdout


def check(binaries, model, options, machine, folder):
    """One row of the table."""
    program = folder / "prog.bin"
    start = time.monotonic()
    run(binaries / "qcc", model, "--hw", machine, "--no-data", *options, "-o", program, "--quiet")
    compiled = time.monotonic() - start
    run(binaries / "qsim", "verify", program)
    report = json.loads(run(binaries / "qsim", program, "--check", "--format", "json", "--quiet"))
    if not report["check"]["bit_exact"]:
        raise RuntimeError(f"{model.stem} on {machine}: {report['check']}")
    cycles, bound = report["cycles"]["total"], report["cycles"]["lower_bound"]["total"]
    bytes_moved = report["traffic"]["dram"]["total"]
    moved = (bytes_moved["read_bytes"] + bytes_moved["write_bytes"]) / 1e6
    print(
        f"| {model.stem} | {machine} | {cycles:,} | {cycles / bound:.2f} | {moved:.1f} MB | {report['utilization']['mac']:.1%} "
        f"| {report['check']['layers']} | {compiled:.1f} s |",
        flush=True,
    )


def main():
    if "QCC_MODELS" not in os.environ:
        print("skipped: QCC_MODELS is not set")
        return
    models, wanted = pathlib.Path(os.environ["QCC_MODELS"]), sys.argv[2:]
    print("| network | machine | cycles | of the bound | DRAM | MACs used | layers equal | compiled in |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name, options in NETWORKS.items():
            for machine in MACHINES if not wanted or any(w in name for w in wanted) else ():
                try:
                    check(pathlib.Path(sys.argv[1]), models / f"{name}.onnx", options, machine, pathlib.Path(folder))
                except RuntimeError as problem:
                    failed.append(f"{name} on {machine}")
                    print(f"FAILED: {problem}", flush=True)
    print(f"{len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
