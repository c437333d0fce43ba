"""Fetches networks through `qcc fetch` and compares them with what they must be.

usage: fetch.py FOLDER_WITH_BINARIES

A copied network must have its sha256. EfficientNet-Lite0 is rebuilt from a state dict: its outputs for a fixed input must be those of an
independent conversion, recorded below, and those of a whole reference file if the environment variable QCC_MODELS names a folder with one.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

MNIST_SHA256 = "2f06e72de813a8635c9bc0397ac447a601bdbfa7df4bebc278723b958831c9bf"

# Of the reference for default_rng(0).standard_normal((1, 3, 224, 224)), in float32: first logits, arg-max, norm of all 1000.
FIRST_LOGITS = [-2.2451286, 0.560838, 1.3898526, 0.01312912, 1.1299201, -1.1760049, -0.09444618, 0.7354269]
ARG_MAX = 21
NORM = 44.414162
TOLERANCE = 1e-4


def run(model, x):
    """Logits of a network with one input."""
    session = onnxruntime.InferenceSession(str(model))
    return session.run(None, {session.get_inputs()[0].name: x})[0][0]


def efficientnet(model, failures):
    """Compares outputs with the recorded ones and, if there is one, with the reference file."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 3, 224, 224)).astype(np.float32)
    logits = run(model, x)
    recorded = max(np.abs(logits[:8] - FIRST_LOGITS).max(), abs(np.linalg.norm(logits) - NORM))
    print(f"efficientnet_lite0: {recorded:.1e} from the recorded logits")
    if recorded > TOLERANCE or logits.argmax() != ARG_MAX:
        failures.append(f"efficientnet_lite0: {recorded} from the recorded logits, arg-max {logits.argmax()}")
    reference = pathlib.Path(os.environ.get("QCC_MODELS", ".")) / "efficientnet_lite0.onnx"
    if not reference.exists():
        print("skipped: no reference file in QCC_MODELS")
        return
    for _ in range(3):
        x = rng.standard_normal((1, 3, 224, 224)).astype(np.float32)
        apart = float(np.abs(run(model, x) - run(reference, x)).max())
        print(f"efficientnet_lite0: {apart:.1e} from the reference file")
        if apart > TOLERANCE:
            failures.append(f"efficientnet_lite0: {apart} from the reference file")


def main():
    qcc = pathlib.Path(sys.argv[1]) / "qcc"
    failures = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for network in ["qonnx_mnist_conv", "efficientnet_lite0"]:
            subprocess.run([str(qcc), "fetch", network, "-o", name], check=True)
        found = hashlib.sha256((folder / "qonnx_mnist_conv.onnx").read_bytes()).hexdigest()
        if found != MNIST_SHA256:
            failures.append(f"qonnx_mnist_conv: sha256 {found}")
        efficientnet(folder / "efficientnet_lite0.onnx", failures)
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"{max(0, 3 - len(failures))} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
