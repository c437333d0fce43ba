"""Runs fashion_mnist.onnx in onnxruntime and prints its float top-1 accuracy."""

import os

import numpy as np
import onnxruntime as ort

import data

HERE = os.path.dirname(os.path.abspath(__file__))


def top1(session, x, y, batch=500):
    """Share of images whose largest logit is the label; `x` holds raw pixels."""
    hits = 0
    for i in range(0, len(x), batch):
        image = x[i:i + batch].astype(np.float32) / 255.0
        logits = session.run(["logits"], {"image": image})[0]
        hits += int((logits.argmax(1) == y[i:i + batch]).sum())
    return hits / len(x)


def main():
    session = ort.InferenceSession(os.path.join(HERE, "fashion_mnist.onnx"),
                                   providers=["CPUExecutionProvider"])
    test = np.load(os.path.join(HERE, "test.npz"))
    print(f"test.npz ({len(test['x'])} images): top-1 {top1(session, test['x'], test['y']):.4f}")
    x, y = data.load("t10k", data.TEST_IMAGES)
    print(f"t10k[0:{len(x)}]: top-1 {top1(session, x, y):.4f}")


if __name__ == "__main__":
    main()
