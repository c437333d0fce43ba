"""Compares qcc's float reference and integer results with ONNX Runtime on the embedded network.

usage: compare.py FOLDER_WITH_BINARIES

ONNX Runtime runs the float model; qsim's `reference_top1` must be the same fraction, and the integer logits must follow the float ones.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime

PROGRAMS = pathlib.Path(__file__).resolve().parents[2] / "programs" / "fashion_mnist"


def run(*command):
    """Runs a command and returns its standard output; a failure ends the comparison."""
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


def main():
    binaries = pathlib.Path(sys.argv[1])
    model, test = PROGRAMS / "fashion_mnist.onnx", np.load(PROGRAMS / "test.npz")
    images, labels = test["x"].astype(np.float32) / 255, test["y"]
    session = onnxruntime.InferenceSession(str(model))
    logits = session.run(None, {session.get_inputs()[0].name: images})[0]
    float_top1 = float((logits.argmax(1) == labels).mean())

    failures = []
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "prog.bin"
        run(binaries / "qcc", model, "--data", PROGRAMS / "calibration.npz", "--preprocess", "mean=0,std=255", "-o", program)
        report = json.loads(run(binaries / "qsim", program, "--data", PROGRAMS / "test.npz", "--float", model, "--format", "json"))
        accuracy = report["accuracy"]
        if abs(accuracy["reference_top1"] - float_top1) > 1e-9:
            failures.append(f"float top-1: qsim {accuracy['reference_top1']}, ONNX Runtime {float_top1}")
        sample, result = pathlib.Path(folder) / "x.npy", pathlib.Path(folder) / "y.npy"
        agree, noise, signal = 0, 0.0, 0.0
        for i in range(20):
            np.save(sample, images[i : i + 1])
            run(binaries / "qsim", program, "--input", sample, "--output", result, "--quiet")
            ours = np.load(result).reshape(-1)
            agree += int(ours.argmax() == logits[i].argmax())
            noise += float(((ours - logits[i]) ** 2).sum())
            signal += float((logits[i] ** 2).sum())
        sqnr_db = 10 * np.log10(signal / noise)
        if agree < 19:
            failures.append(f"only {agree} of 20 images have ONNX Runtime's arg-max")
        if sqnr_db < 20:
            failures.append(f"logits follow ONNX Runtime's with only {sqnr_db:.1f} dB")
    print(f"float top-1 {float_top1:.4f} on both; integer top-1 {accuracy['top1']:.4f}; 20 images: arg-max equal on {agree}, {sqnr_db:.1f} dB")
    for failure in failures:
        print(f"FAILED: {failure}")
    print(f"{2 + 1 - len(failures)} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
