"""Fine-tunes the Fashion-MNIST network with fake quantization and writes it as ONNX.

Reads fashion_mnist.onnx, folds its batch norms, and trains on with every value that
a machine stores rounded to 8 bits: activations to uint8 with a range that follows
what is seen, weights to int8 with a scale per output channel. Gradients pass the
roundings unchanged. Writes fashion_mnist_fake_quant.onnx, float weights with
QuantizeLinear and DequantizeLinear where the roundings were.
"""

import argparse
import os
import time

import numpy as np
import onnx
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper

import data
from network import BN_EPSILON, OnnxBuilder, network
from train import BATCH, HERE, HOLDOUT, SEED, TRAIN, TrainBuilder, accuracy, augment, to_float

EPOCHS, LR, SGD_MOMENTUM, RANGE_MOMENTUM = 1, 0.002, 0.9, 0.99
RANGE_BATCHES = 20  # before training starts


def folded(path):
    """Weights and biases of the float network in TensorFlow's order, batch norms folded."""
    c = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    trained = {}
    for name in [n[: -len("/conv/weight")] for n in c if n.endswith("/conv/weight")]:
        gamma, beta, mean, var = (c[f"{name}/bn/{p}"] for p in ("gamma", "beta", "mean", "var"))
        factor = gamma / np.sqrt(var + BN_EPSILON)
        w = c[f"{name}/conv/weight"] * factor[:, None, None, None]
        depthwise = w.shape[1] == 1 and name != "stem"
        trained[f"{name}/conv/weight"] = w.transpose(2, 3, 0, 1) if depthwise else w.transpose(2, 3, 1, 0)
        trained[f"{name}/conv/bias"] = beta - mean * factor
    trained["head/fc/weight"], trained["head/fc/bias"] = c["head/fc/weight"].T, c["head/fc/bias"]
    return trained


def uint8_parameters(lo, hi):
    """Scale and zero point of a range that holds zero."""
    scale = (hi - lo) / np.float32(255)
    return scale, tf.round(-lo / scale)


class FakeQuantBuilder(TrainBuilder):
    """Evaluates the folded network with roundings."""

    def __init__(self, trained):
        super().__init__()
        for name, value in trained.items():
            self.var(name, lambda v=value: v)
        self.ranges, self.learn_ranges = {}, False

    def rounded(self, name, x):
        """`x` as uint8 stores it; the gradient is that of saturation."""
        if name not in self.ranges:
            self.ranges[name] = [tf.Variable(0.0, trainable=False), tf.Variable(1e-3, trainable=False)]
        lo, hi = self.ranges[name]
        if self.training or self.learn_ranges:
            for end, seen in ((lo, tf.minimum(tf.reduce_min(x), 0.0)), (hi, tf.reduce_max(x))):
                end.assign(seen if self.learn_ranges else RANGE_MOMENTUM * end + (1 - RANGE_MOMENTUM) * seen)
        scale, zero = uint8_parameters(lo, hi)
        x = tf.clip_by_value(x, -zero * scale, (255 - zero) * scale)
        stored = tf.clip_by_value(tf.round(x / scale) + zero, 0.0, 255.0)
        return x + tf.stop_gradient((stored - zero) * scale - x)

    def weights(self, name, axis):
        w = self.vars[name]
        others = [a for a in range(len(w.shape)) if a != axis]
        scale = tf.stop_gradient(tf.reduce_max(tf.abs(w), others, keepdims=True) / 127.0 + 1e-12)
        return w + tf.stop_gradient(tf.round(w / scale) * scale - w)

    def conv(self, name, x, cin, cout, kernel, stride, depthwise):
        if name == "stem":
            x = self.rounded("image", x)
        w = self.weights(f"{name}/conv/weight", 2 if depthwise else 3)
        p = kernel // 2
        x = tf.pad(x, [[0, 0], [p, p], [p, p], [0, 0]])
        op = tf.nn.depthwise_conv2d if depthwise else tf.nn.conv2d
        return op(x, w, [1, stride, stride, 1], "VALID") + self.vars[f"{name}/conv/bias"]

    def batch_norm(self, name, x, channels):
        return x

    def activation(self, name, x, kind):
        return self.rounded(name, super().activation(name, x, kind))

    def add(self, name, x, y):
        return x + self.rounded(f"{name}/add/in", y)

    def classifier(self, name, x, cin, classes):
        x = self.rounded(f"{name}/gap", tf.reduce_mean(x, [1, 2]))
        return self.rounded("logits", x @ self.weights(f"{name}/fc/weight", 1) + self.vars[f"{name}/fc/bias"])


class FakeQuantOnnxBuilder(OnnxBuilder):
    """Emits the same network with pairs of QuantizeLinear and DequantizeLinear."""

    def __init__(self, trained, ranges):
        super().__init__(trained)
        self.ranges = ranges

    def pair(self, name, x, scale, zero, output=None, **attributes):
        parameters = [f"{name}/scale", f"{name}/zero_point"]
        for parameter, value in zip(parameters, (np.asarray(scale, np.float32), zero)):
            self.inits[parameter] = numpy_helper.from_array(value, parameter)
        stored = self.node("QuantizeLinear", f"{name}/quantize", [x] + parameters, f"{name}/stored", **attributes)
        return self.node("DequantizeLinear", f"{name}/dequantize", [stored] + parameters, output or f"{name}/real", **attributes)

    def rounded(self, name, x, output=None):
        lo, hi = (np.float32(end) for end in self.ranges[name])
        scale, zero = uint8_parameters(lo, hi)
        return self.pair(name, x, np.float32(scale), np.asarray(zero, np.uint8), output)

    def weights(self, name, w):
        scale = np.abs(w).reshape(len(w), -1).max(1) / np.float32(127) + np.float32(1e-12)
        return self.pair(name, self.const(name, w), scale, np.zeros(len(w), np.int8), axis=0)

    def conv(self, name, x, cin, cout, kernel, stride, depthwise):
        x = self.rounded("image", x) if name == "stem" else x
        w = self.trained[f"{name}/conv/weight"]
        w = self.weights(f"{name}/conv/weight", w.transpose(2, 3, 0, 1) if depthwise else w.transpose(3, 2, 0, 1))
        bias = self.const(f"{name}/conv/bias", self.trained[f"{name}/conv/bias"])
        return self.node("Conv", f"{name}/conv", [x, w, bias], kernel_shape=[kernel, kernel], strides=[stride, stride],
                         pads=[kernel // 2] * 4, group=cin if depthwise else 1)

    def batch_norm(self, name, x, channels):
        return x

    def activation(self, name, x, kind):
        return self.rounded(name, super().activation(name, x, kind))

    def add(self, name, x, y):
        return super().add(name, x, self.rounded(f"{name}/add/in", y))

    def classifier(self, name, x, cin, classes):
        x = self.rounded(f"{name}/gap", self.node("GlobalAveragePool", f"{name}/gap", [x]))
        x = self.node("Flatten", f"{name}/flatten", [x], axis=1)
        w = self.weights(f"{name}/fc/weight", self.trained[f"{name}/fc/weight"].T)
        bias = self.const(f"{name}/fc/bias", self.trained[f"{name}/fc/bias"])
        return self.rounded("logits", self.node("Gemm", f"{name}/fc", [x, w, bias], transB=1), "logits")


def train(b, x, y, x_hold, y_hold, epochs):
    """Nesterov SGD with a falling rate."""
    weights = [v for v in b.vars.values() if v.trainable]
    momenta = [tf.Variable(tf.zeros_like(w)) for w in weights]
    b.learn_ranges = True
    network(b, x[: RANGE_BATCHES * BATCH])
    b.learn_ranges = False
    print(f"before training: holdout {accuracy(b, x_hold, y_hold):.4f}", flush=True)

    @tf.function
    def step(images, labels, lr):
        b.training = True
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network(b, images)))
        for w, m, g in zip(weights, momenta, tape.gradient(loss, weights)):
            m.assign(SGD_MOMENTUM * m + g)
            w.assign_sub(lr * (g + SGD_MOMENTUM * m))
        b.training = False
        return loss

    rng = np.random.default_rng(SEED + 3)
    padded = np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)])
    per_epoch, start = len(x) // BATCH, time.time()
    for epoch in range(epochs):
        images, order, losses = augment(padded, rng), rng.permutation(len(x)), []
        for i in range(per_epoch):
            lr = LR * (1 - (epoch * per_epoch + i) / (epochs * per_epoch))
            pick = order[i * BATCH:(i + 1) * BATCH]
            losses.append(step(images[pick], y[pick], tf.constant(lr, tf.float32)))
        print(f"epoch {epoch + 1}/{epochs}  loss {np.mean(losses):.4f}  "
              f"holdout {accuracy(b, x_hold, y_hold):.4f}  {time.time() - start:.0f} s", flush=True)


def export(b, path):
    builder = FakeQuantOnnxBuilder({name: v.numpy() for name, v in b.vars.items()},
                                   {name: [end.numpy() for end in ends] for name, ends in b.ranges.items()})
    network(builder, "image")
    graph = helper.make_graph(
        builder.nodes, "fashion_mnist_fake_quant",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        list(builder.inits.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7,
                              producer_name="fashion_mnist/fake_quant.py")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--images", type=int, default=TRAIN, help="training images used")
    parser.add_argument("--out", default=HERE, help="output folder")
    args = parser.parse_args()
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(SEED)
    x, y = data.load("train", TRAIN + HOLDOUT)
    x_test, y_test = data.load("t10k", data.TEST_IMAGES)
    images = to_float(x)
    b = FakeQuantBuilder(folded(os.path.join(HERE, "fashion_mnist.onnx")))
    network(b, tf.zeros([1, 28, 28, 1]))  # creates the ranges
    train(b, images[: args.images], y[: args.images], images[TRAIN:], y[TRAIN:], args.epochs)
    print(f"TensorFlow top-1 on t10k[0:5000]: {accuracy(b, to_float(x_test), y_test):.4f}")
    export(b, os.path.join(args.out, "fashion_mnist_fake_quant.onnx"))


if __name__ == "__main__":
    main()
