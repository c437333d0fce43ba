"""Trains a small depthwise-separable CNN on Fashion-MNIST and writes it as ONNX.

Writes fashion_mnist.onnx, calibration.npz and test.npz next to this file. The
topology and the ONNX writer are in network.py.
"""

import argparse
import os
import time

import numpy as np
import tensorflow as tf

import data
from network import BN_EPSILON, export, network

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 20240
EPOCHS, BATCH, PEAK_LR, WEIGHT_DECAY, LABEL_SMOOTHING = 14, 128, 0.15, 5e-4, 0.05
TRAIN, HOLDOUT = 57000, 3000  # the holdout only tracks progress, it selects nothing
BN_MOMENTUM, SGD_MOMENTUM = 0.98, 0.9


class TrainBuilder:
    """Evaluates the network in TensorFlow (NHWC), creating variables on first use."""

    def __init__(self):
        self.vars, self.training = {}, False
        self.rng = np.random.default_rng(SEED)

    def var(self, name, init, trainable=True):
        if name not in self.vars:
            value = np.asarray(init(), np.float32)
            self.vars[name] = tf.Variable(value, trainable=trainable, name=name)
        return self.vars[name]

    def normal(self, shape, std):
        return lambda: self.rng.normal(0.0, std, shape)

    def conv(self, name, x, cin, cout, kernel, stride, depthwise):
        shape = (kernel, kernel, cin, 1 if depthwise else cout)
        fan_in = kernel * kernel * (1 if depthwise else cin)
        w = self.var(f"{name}/conv/weight", self.normal(shape, (2.0 / fan_in) ** 0.5))
        # TensorFlow's SAME pads stride 2 asymmetrically; explicit padding keeps
        # the usual symmetric pads of an ONNX Conv.
        p = kernel // 2
        if stride != 1 and p:
            x, padding = tf.pad(x, [[0, 0], [p, p], [p, p], [0, 0]]), "VALID"
        else:
            padding = "SAME"
        op = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
        return op(x, w, [1, stride, stride, 1], padding)

    def batch_norm(self, name, x, channels):
        ones, zeros = (lambda: np.ones(channels)), (lambda: np.zeros(channels))
        gamma, beta = self.var(f"{name}/bn/gamma", ones), self.var(f"{name}/bn/beta", zeros)
        mean = self.var(f"{name}/bn/mean", zeros, trainable=False)
        variance = self.var(f"{name}/bn/var", ones, trainable=False)
        if not self.training:
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, BN_EPSILON)
        x, m, v = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=BN_EPSILON)
        mean.assign_add((1 - BN_MOMENTUM) * (m - mean))
        variance.assign_add((1 - BN_MOMENTUM) * (v - variance))
        return x

    def activation(self, name, x, kind):
        return tf.nn.relu6(x) if kind == "relu6" else tf.nn.relu(x)

    def add(self, name, x, y):
        return x + y

    def classifier(self, name, x, cin, classes):
        w = self.var(f"{name}/fc/weight", self.normal((cin, classes), cin ** -0.5))
        bias = self.var(f"{name}/fc/bias", lambda: np.zeros(classes))
        return tf.reduce_mean(x, [1, 2]) @ w + bias


def augment(padded, rng):
    """Shifts each image by up to 2 pixels and mirrors half of them.

    `padded` is [n,32,32,1]; shifting a crop window per group of images with the
    same offset keeps this a handful of array copies per epoch.
    """
    n = len(padded)
    out = np.empty((n, 28, 28, 1), np.float32)
    offset = rng.integers(0, 25, n)
    for k in range(25):
        i, (dy, dx) = np.flatnonzero(offset == k), divmod(k, 5)
        out[i] = padded[i, dy:dy + 28, dx:dx + 28]
    mirror = rng.random(n) < 0.5
    out[mirror] = out[mirror, :, ::-1]
    return out


def train(x, y, x_hold, y_hold, epochs):
    """Trains with Nesterov SGD under a warmed-up cosine schedule; returns the builder."""
    b = TrainBuilder()
    network(b, tf.zeros([1, 28, 28, 1]))  # creates the variables
    weights = [v for v in b.vars.values() if v.trainable]
    momenta = [tf.Variable(tf.zeros_like(w)) for w in weights]

    # Decay only the dense kernels: shrinking depthwise kernels or batch-norm
    # scales mostly starves channels, which hurts quantization later.
    def decayed(w):
        return w.name.split(":")[0].endswith(("pw/conv/weight", "stem/conv/weight", "fc/weight"))

    @tf.function
    def step(images, labels, lr):
        b.training = True
        with tf.GradientTape() as tape:
            target = tf.one_hot(labels, 10) * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 10
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, network(b, images)))
        for w, m, g in zip(weights, momenta, tape.gradient(loss, weights)):
            g = g + WEIGHT_DECAY * w if decayed(w) else g
            m.assign(SGD_MOMENTUM * m + g)
            w.assign_sub(lr * (g + SGD_MOMENTUM * m))
        b.training = False
        return loss

    rng = np.random.default_rng(SEED + 1)
    padded = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
    per_epoch = len(x) // BATCH
    total, warmup, start = epochs * per_epoch, per_epoch, time.time()
    for epoch in range(epochs):
        images, order, losses = augment(padded, rng), rng.permutation(len(x)), []
        for i in range(per_epoch):
            t = epoch * per_epoch + i
            lr = PEAK_LR * min((t + 1) / warmup, 0.5 * (1 + np.cos(np.pi * t / total)))
            pick = order[i * BATCH:(i + 1) * BATCH]
            losses.append(step(images[pick], y[pick], tf.constant(lr, tf.float32)))
        print(f"epoch {epoch + 1:2d}/{epochs}  loss {np.mean(losses):.4f}  "
              f"holdout {accuracy(b, x_hold, y_hold):.4f}  {time.time() - start:.0f} s", flush=True)
    return b


def accuracy(b, x, y):
    """Top-1 of the TensorFlow network on NHWC float images."""
    hits = [(np.argmax(network(b, x[i:i + 500]), 1) == y[i:i + 500]).sum()
            for i in range(0, len(x), 500)]
    return float(sum(hits)) / len(x)


def to_float(x):
    """uint8 NCHW pixels to the float NHWC images the trainer works on."""
    return x.transpose(0, 2, 3, 1).astype(np.float32) / 255.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", default=HERE, help="output folder")
    args = parser.parse_args()
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(SEED)

    x, y = data.load("train", TRAIN + HOLDOUT)
    x_test, y_test = data.load("t10k", data.TEST_IMAGES)
    images = to_float(x)
    b = train(images[:TRAIN], y[:TRAIN], images[TRAIN:], y[TRAIN:], args.epochs)
    print(f"TensorFlow top-1 on t10k[0:5000]: {accuracy(b, to_float(x_test), y_test):.4f}")

    trained = {name: v.numpy() for name, v in b.vars.items()}
    export(trained, os.path.join(args.out, "fashion_mnist.onnx"))
    # Calibration must only see training images; a random subset keeps the classes mixed.
    pick = np.sort(np.random.default_rng(SEED + 2).choice(TRAIN, 256, replace=False))
    np.savez_compressed(os.path.join(args.out, "calibration.npz"), x=x[pick], y=y[pick])
    np.savez_compressed(os.path.join(args.out, "test.npz"), x=x_test[:1000], y=y_test[:1000])


if __name__ == "__main__":
    main()
