"""Well-known networks with seeded random weights, as ONNX: structures from the papers, batch norm folded, one image.

usage: networks.py FOLDER [NAME..]   writes NAME.onnx; all of them if none is named

Speed does not depend on what the weights are. They are normal with the variance of He et al. 2015 ("Delving Deep into Rectifiers",
section 2.2), and the last convolution of a residual branch is scaled down, so that activations keep their size.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Network:
    """A graph under construction; tensors are named by what made them, shapes are `[c, h, w]` of one image."""

    def __init__(self, name, shape):
        self.name, self.nodes, self.constants, self.shapes = name, [], [], {"x": shape}
        self.random = np.random.default_rng(1)

    def node(self, op, inputs, shape, **attributes):
        output = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        self.shapes[output] = shape
        return output

    def constant(self, array):
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def conv(self, x, channels, kernel, stride=1, groups=1, gain=2.0, act=None):
        """Convolution with padding that keeps the size at stride 1, its bias, and `act`: "relu", "relu6" or None."""
        c, h, w = self.shapes[x]
        fan_in = c // groups * kernel**2
        weights = self.random.standard_normal((channels, c // groups, kernel, kernel)) * np.sqrt(gain / fan_in)
        constants = [self.constant(weights), self.constant(self.random.standard_normal(channels) * 0.02)]
        shape = [channels, -(-h // stride), -(-w // stride)]
        settings = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4, "strides": [stride] * 2, "group": groups}
        return self.act(self.node("Conv", [x, *constants], shape, **settings), act)

    def act(self, x, kind):
        if kind == "relu":
            return self.node("Relu", [x], self.shapes[x])
        if kind == "relu6":
            return self.node("Clip", [x, self.constant(np.array(0)), self.constant(np.array(6))], self.shapes[x])
        return x

    def max_pool(self, x, kernel, stride):
        c, h, w = self.shapes[x]
        pads = [(kernel - 1) // 2] * 4
        return self.node("MaxPool", [x], [c, h // stride, w // stride], kernel_shape=[kernel] * 2, pads=pads, strides=[stride] * 2)

    def add(self, a, b, act=None):
        return self.act(self.node("Add", [a, b], self.shapes[a]), act)

    def dense(self, x, outputs, gain=1.0, act=None):
        if len(self.shapes[x]) == 3:
            x = self.node("Flatten", [x], [int(np.prod(self.shapes[x]))])
        inputs = self.shapes[x][0]
        weights = self.random.standard_normal((outputs, inputs)) * np.sqrt(gain / inputs)
        constants = [self.constant(weights), self.constant(np.zeros(outputs))]
        return self.act(self.node("Gemm", [x, *constants], [outputs], transB=1), act)

    def classifier(self, x, classes):
        return self.dense(self.node("GlobalAveragePool", [x], [self.shapes[x][0], 1, 1]), classes)

    def model(self, output):
        values = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *self.shapes[name]]) for name in ("x", output)
        ]
        graph = helper.make_graph(self.nodes, self.name, values[:1], values[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def resnet(network, blocks, bottleneck):
    """He et al. 2016, "Deep Residual Learning for Image Recognition", table 1; the stride of a bottleneck is in its 3x3."""
    x = network.max_pool(network.conv("x", 64, 7, 2, act="relu"), 3, 2)
    for stage, count in enumerate(blocks):
        width = 64 << stage
        channels = width * 4 if bottleneck else width
        for block in range(count):
            stride = 2 if block == 0 and stage > 0 else 1
            shortcut = x
            if stride > 1 or network.shapes[x][0] != channels:
                shortcut = network.conv(x, channels, 1, stride, gain=1.0)
            if bottleneck:
                y = network.conv(network.conv(x, width, 1, act="relu"), width, 3, stride, act="relu")
                y = network.conv(y, channels, 1, gain=0.25)
            else:
                y = network.conv(network.conv(x, width, 3, stride, act="relu"), width, 3, gain=0.25)
            x = network.add(y, shortcut, "relu")
    return network.classifier(x, 1000)


def mobilenet_v2(network):
    """Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2, width 1.0."""
    x = network.conv("x", 32, 3, 2, act="relu6")
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expansion, channels, count, first_stride in stages:
        for block in range(count):
            stride, inputs = first_stride if block == 0 else 1, network.shapes[x][0]
            y = network.conv(x, inputs * expansion, 1, act="relu6") if expansion > 1 else x
            y = network.conv(y, inputs * expansion, 3, stride, groups=inputs * expansion, act="relu6")
            y = network.conv(y, channels, 1, gain=1.0)
            x = network.add(x, y) if stride == 1 and inputs == channels else y
    return network.classifier(network.conv(x, 1280, 1, act="relu6"), 1000)


def digits(network):
    """Two convolutions and two dense layers on 28 x 28 pixels."""
    x = network.max_pool(network.conv("x", 16, 3, act="relu"), 2, 2)
    x = network.max_pool(network.conv(x, 32, 3, act="relu"), 2, 2)
    return network.dense(network.dense(x, 64, gain=2.0, act="relu"), 10)


NETWORKS = {
    "digits": ([1, 28, 28], digits),
    "mobilenet_v2": ([3, 224, 224], mobilenet_v2),
    "resnet18": ([3, 224, 224], lambda network: resnet(network, [2, 2, 2, 2], bottleneck=False)),
    "resnet50": ([3, 224, 224], lambda network: resnet(network, [3, 4, 6, 3], bottleneck=True)),
}


def write(folder, name):
    """Writes one network; returns its path."""
    shape, build = NETWORKS[name]
    network = Network(name, shape)
    path = pathlib.Path(folder) / f"{name}.onnx"
    onnx.save(network.model(build(network)), path)
    return path


def main():
    pathlib.Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or NETWORKS:
        print(write(sys.argv[1], name))


if __name__ == "__main__":
    main()
