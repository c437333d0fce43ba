"""The network, described once and walked by two builders.

train.py walks it to compute the network in TensorFlow; OnnxBuilder here walks it
to emit ONNX nodes. Sharing the description means the exported graph cannot
drift from the trained one.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BN_EPSILON = 1e-3


def network(b, x):
    """Describes the network to builder `b`; returns the logits."""
    x = conv_bn(b, "stem", x, cin=1, cout=24, kernel=3, act="relu6")
    x = separable(b, "block1", x, 24, 64, stride=2, act="relu6")  # 28x28 -> 14x14
    x = separable(b, "block2", x, 64, 64)
    x = separable(b, "block3", x, 64, 64)
    x = separable(b, "block4", x, 64, 128, stride=2)  # 14x14 -> 7x7
    x = separable(b, "block5", x, 128, 128)
    x = separable(b, "block6", x, 128, 128)
    return b.classifier("head", x, 128, 10)


def separable(b, name, x, cin, cout, stride=1, act="relu"):
    """3x3 depthwise then 1x1 pointwise, with a shortcut where the shapes allow it."""
    y = conv_bn(b, f"{name}/dw", x, cin, cin, 3, stride, depthwise=True, act=act)
    if stride == 1 and cin == cout:
        # ResNet order: the shortcut joins before the activation, so the Add
        # sees one signed and one non-negative operand.
        y = conv_bn(b, f"{name}/pw", y, cin, cout, 1, act=None)
        return b.activation(name, b.add(name, x, y), "relu")
    return conv_bn(b, f"{name}/pw", y, cin, cout, 1, act="relu")


def conv_bn(b, name, x, cin, cout, kernel, stride=1, depthwise=False, act=None):
    """Convolution without bias, batch norm, optional activation."""
    x = b.batch_norm(name, b.conv(name, x, cin, cout, kernel, stride, depthwise), cout)
    return b.activation(name, x, act) if act else x


class OnnxBuilder:
    """Emits the network as ONNX nodes (NCHW, opset 13) with the trained values."""

    def __init__(self, trained):
        self.trained, self.nodes, self.inits = trained, [], {}

    def const(self, name, value):
        self.inits[name] = numpy_helper.from_array(np.asarray(value, np.float32), name)
        return name

    def node(self, op, name, inputs, output=None, **attributes):
        output = output or f"{name}/out"
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attributes))
        return output

    def conv(self, name, x, cin, cout, kernel, stride, depthwise):
        w = self.trained[f"{name}/conv/weight"]
        # HWIO -> OIHW; a depthwise kernel [h,w,c,1] becomes [c,1,h,w].
        w = w.transpose(2, 3, 0, 1) if depthwise else w.transpose(3, 2, 0, 1)
        return self.node("Conv", f"{name}/conv", [x, self.const(f"{name}/conv/weight", w)],
                         kernel_shape=[kernel, kernel], strides=[stride, stride],
                         pads=[kernel // 2] * 4, group=cin if depthwise else 1)

    def batch_norm(self, name, x, channels):
        names = [f"{name}/bn/{p}" for p in ("gamma", "beta", "mean", "var")]
        params = [self.const(n, self.trained[n]) for n in names]
        return self.node("BatchNormalization", f"{name}/bn", [x] + params, epsilon=BN_EPSILON)

    def activation(self, name, x, kind):
        if kind == "relu":
            return self.node("Relu", f"{name}/relu", [x])
        bounds = [self.const("relu6/min", 0.0), self.const("relu6/max", 6.0)]
        return self.node("Clip", f"{name}/relu6", [x] + bounds)

    def add(self, name, x, y):
        return self.node("Add", f"{name}/add", [x, y])

    def classifier(self, name, x, cin, classes):
        x = self.node("GlobalAveragePool", f"{name}/gap", [x])
        x = self.node("Flatten", f"{name}/flatten", [x], axis=1)
        w = self.const(f"{name}/fc/weight", self.trained[f"{name}/fc/weight"].T)
        bias = self.const(f"{name}/fc/bias", self.trained[f"{name}/fc/bias"])
        return self.node("Gemm", f"{name}/fc", [x, w, bias], output="logits", transB=1)


def export(trained, path):
    """Writes the network with the arrays `trained` as ONNX with a symbolic batch."""
    onnx_builder = OnnxBuilder(trained)
    network(onnx_builder, "image")
    graph = helper.make_graph(
        onnx_builder.nodes, "fashion_mnist",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        list(onnx_builder.inits.values()))
    # IR version 7 is the one published with opset 13, so old runtimes load it too.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)],
                              ir_version=7, producer_name="fashion_mnist/train.py")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
