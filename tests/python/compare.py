"""Compares qcc's float reference and integer results with ONNX Runtime on the embedded network.

usage: compare.py FOLDER_WITH_BINARIES

ONNX Runtime runs the float model; qsim's `reference_top1` must be the same fraction, and the integer logits must follow the float ones. A
model with its weights in another file is the same model, but cannot be stored in a program.
"""

import pathlib
import sys
import tempfile

import numpy as np
import onnx

import common

IMAGES = 20
LEAST_AGREEING = 19
LEAST_SQNR_DB = 20


def main():
    tools = common.Tools(sys.argv[1])
    model, test = common.FASHION_MNIST / "fashion_mnist.onnx", np.load(common.FASHION_MNIST / "test.npz")
    images, labels = test["x"].astype(np.float32) / 255, test["y"]
    logits = common.session(model).run(None, {"image": images})[0]
    float_top1 = float((logits.argmax(1) == labels).mean())

    failures = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        program, external = folder / "prog.bin", folder / "external.onnx"
        data = ["--data", common.FASHION_MNIST / "calibration.npz", "--preprocess", "mean=0,std=255"]
        onnx.save(onnx.load(model), external, save_as_external_data=True, location="weights.data", size_threshold=0)
        for file in (model, external):
            tools.qcc(file, program, *data)
            accuracy = tools.report(program, "--data", common.FASHION_MNIST / "test.npz", "--float", file)["accuracy"]
            if abs(accuracy["reference_top1"] - float_top1) > 1e-9:
                failures.append(f"{file.name}: float top-1: qsim {accuracy['reference_top1']}, ONNX Runtime {float_top1}")
        try:
            tools.qcc(external, program, *data, "--embed-float")
            failures.append("a model with weights in another file was stored in a program")
        except common.Refused as refused:
            if "--embed-float" not in str(refused):
                failures.append(f"refused for another reason: {refused}")
        ours = np.concatenate([tools.compute(program, {"image": images[i : i + 1]}, folder) for i in range(IMAGES)])
        agree = int((ours.argmax(1) == logits[:IMAGES].argmax(1)).sum())
        sqnr_db = common.sqnr_db(ours, logits[:IMAGES])
        if agree < LEAST_AGREEING:
            failures.append(f"only {agree} of {IMAGES} images have ONNX Runtime's arg-max")
        if sqnr_db < LEAST_SQNR_DB:
            failures.append(f"logits follow ONNX Runtime's with only {sqnr_db:.1f} dB")
    print(f"float top-1 {float_top1:.4f} on both; integer top-1 {accuracy['top1']:.4f}; {IMAGES} images: arg-max equal on {agree}, {sqnr_db:.1f} dB")
    common.finish(5, failures)


if __name__ == "__main__":
    main()
