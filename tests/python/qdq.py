"""Compares qsim's integers with ONNX Runtime on what `qcc --emit qdq` exports.

usage: qdq.py FOLDER_WITH_BINARIES

The embedded network: the same arg-max on at least 99.5% of 1,000 images. Networks of one operator: no element more than one unit
off, and at least 99.99% equal, each over more than 100,000 elements; less where 16-bit results or coarse multipliers meet float32, see
docs/numerics.md, section 7. "Fused kernels" are ONNX Runtime's integer operators, "float kernels" its basic optimizations, which leave
DequantizeLinear, the float operator and QuantizeLinear. Every export passes the ONNX checker.
"""

import pathlib
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper

import common

LEAST_AGREEMENT = 0.995
LEAST_EQUAL = 0.9999
LEAST_ELEMENTS = 100_000


def network(nodes, inputs, constants):
    """A model of some nodes whose last result is `y`."""
    graph = helper.make_graph(
        nodes,
        "one_operator",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    onnx.checker.check_model(model, full_check=True)
    return model


class Case:
    """A network of one operator (and perhaps an activation) with the options it is compiled with."""

    def __init__(self, name, op, inputs, constants=(), options=(), then=None, spread=(1, 1), least_equal=LEAST_EQUAL, **attributes):
        self.name, self.options, self.least_equal, self.spread = name, list(options), least_equal, spread
        self.inputs = {f"x{i}" if i else "x": shape for i, shape in enumerate(inputs)}
        self.rng = np.random.default_rng(list(name.encode()))
        weights = {f"w{i}": value(self.rng) if callable(value) else value for i, value in enumerate(constants)}
        first = "inner" if then else "y"
        nodes = [helper.make_node(op, [*self.inputs, *weights], [first], "node", **attributes)]
        if then:
            activation, bounds = then
            names = [f"bound{i}" for i in range(len(bounds))]
            weights |= dict(zip(names, np.asarray(bounds, np.float32)))
            nodes.append(helper.make_node(activation, [first, *names], ["y"], "activation"))
        self.model = network(nodes, self.inputs, weights)
        self.elements = int(np.prod([d.dim_value for d in self.model.graph.output[0].type.tensor_type.shape.dim]))

    def sample(self):
        """Random values of every input; `spread` is the deviation of each."""
        values = zip(self.inputs.items(), self.spread)
        return {name: (self.rng.standard_normal(shape) * spread).astype(np.float32) for (name, shape), spread in values}


def normal(*shape, scale=0.1):
    return lambda rng: (rng.standard_normal(shape) * scale).astype(np.float32)


def cases():
    image, wide = [1, 16, 64, 64], [1, 32, 64, 64]
    w, b = normal(32, 16, 3, 3), normal(32)
    f32 = np.float32
    return [
        Case("conv", "Conv", [image], [w, b], pads=[1, 1, 1, 1]),
        Case("conv without bias", "Conv", [image], [w], pads=[1, 1, 1, 1]),
        Case("conv stride 2", "Conv", [[1, 16, 128, 128]], [w, b], pads=[1, 1, 1, 1], strides=[2, 2]),
        Case("conv dilation 2", "Conv", [image], [w, b], pads=[2, 2, 2, 2], dilations=[2, 2]),
        Case("conv uneven pads", "Conv", [image], [w, b], pads=[0, 2, 3, 1]),
        Case("conv SAME_UPPER", "Conv", [[1, 16, 127, 128]], [w, b], auto_pad="SAME_UPPER", strides=[2, 2]),
        Case("conv SAME_LOWER", "Conv", [[1, 16, 128, 127]], [w, b], auto_pad="SAME_LOWER", strides=[2, 2]),
        Case("conv 5x1 VALID", "Conv", [[1, 16, 70, 64]], [normal(32, 16, 5, 1), b], auto_pad="VALID"),
        Case("conv 1x1", "Conv", [image], [normal(32, 16, 1, 1), b]),
        Case("conv grouped", "Conv", [wide], [normal(32, 8, 3, 3), b], pads=[1, 1, 1, 1], group=4),
        Case("conv depthwise", "Conv", [wide], [normal(32, 1, 3, 3), b], pads=[1, 1, 1, 1], group=32),
        Case("conv depthwise x2", "Conv", [image], [normal(32, 1, 3, 3), b], pads=[1, 1, 1, 1], group=16),
        Case("conv relu", "Conv", [image], [w, b], pads=[1, 1, 1, 1], then=("Relu", [])),
        Case("conv clip", "Conv", [image], [w, b], pads=[1, 1, 1, 1], then=("Clip", [-0.4, 0.7])),
        Case("conv 4-bit weights", "Conv", [image], [w, b], ["--weight-bits", "4"], pads=[1, 1, 1, 1]),
        Case("conv per tensor", "Conv", [image], [w, b], ["--per-tensor"], pads=[1, 1, 1, 1]),
        Case("conv 8-bit multipliers", "Conv", [image], [w, b], ["--set", "multiplier_bits=8"], pads=[1, 1, 1, 1]),
        Case("conv shifts only", "Conv", [image], [w, b], ["--set", "multiplier_bits=1"], pads=[1, 1, 1, 1]),
        Case("gemm", "Gemm", [[64, 256]], [normal(256, 2048), normal(2048)]),
        Case("gemm transB alpha", "Gemm", [[64, 256]], [normal(2048, 256), normal(2048)], transB=1, alpha=0.5, beta=2.0),
        Case("matmul", "MatMul", [[1, 128, 256]], [normal(256, 1024)]),
        Case("batch norm", "BatchNormalization", [wide], [normal(32, scale=1), normal(32), normal(32), lambda r: r.uniform(0.5, 2, 32).astype(f32)]),
        Case("add", "Add", [wide, wide]),
        Case("add per channel", "Add", [wide, [1, 32, 1, 1]]),
        Case("add 8-bit multipliers", "Add", [wide, wide], (), ["--set", "add_multiplier_bits=8"], least_equal=0.998),
        Case("add relu", "Add", [wide, wide], then=("Relu", [])),
        Case("sub", "Sub", [wide, wide]),
        Case("sub repeated first", "Sub", [[1, 32, 1, 1], wide]),
        Case("mul", "Mul", [wide, wide]),
        Case("mul per channel", "Mul", [wide, [1, 32, 1, 1]]),
        Case("relu", "Relu", [wide]),
        Case("clip", "Clip", [wide], [f32(-0.5), f32(1.25)]),
        Case("max pool", "MaxPool", [wide], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        Case("max pool ceil", "MaxPool", [[1, 32, 129, 130]], kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
        Case("max pool dilated", "MaxPool", [[1, 32, 68, 68]], kernel_shape=[3, 3], dilations=[2, 2]),
        Case("average pool", "AveragePool", [[1, 32, 66, 66]], kernel_shape=[3, 3]),
        Case("average pool pads", "AveragePool", [wide], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        Case("average pool counts pads", "AveragePool", [wide], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        Case("average pool ceil", "AveragePool", [[1, 32, 129, 129]], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        Case("global average pool", "GlobalAveragePool", [[1, 2048, 4, 4]]),
        Case("reduce mean", "ReduceMean", [[1, 2048, 7, 7]], [np.array([2, 3])]),
        Case("concat", "Concat", [image, [1, 16, 64, 64]], axis=1),
        Case("concat rows", "Concat", [image, [1, 16, 64, 64]], axis=2),
        Case("concat rescaled", "Concat", [image, [1, 16, 64, 64]], axis=1, spread=(1, 0.1)),
        Case("pad", "Pad", [image], [np.array([0, 0, 1, 2, 0, 0, 3, 4]), f32(0.75)]),
        Case("softmax", "Softmax", [[1, 64, 1000]], axis=-1),
        Case("softmax channels", "Softmax", [image], axis=1),
        Case("transpose", "Transpose", [[1, 8, 32, 64]], perm=[0, 3, 1, 2]),
        Case("flatten", "Flatten", [[1, 8, 64, 32]]),
        Case("conv 16-bit", "Conv", [image], [w, b], ["--act-bits", "16"], pads=[1, 1, 1, 1], least_equal=0.998),
        Case("add 16-bit", "Add", [wide, wide], (), ["--act-bits", "16"], least_equal=0.998),
        Case("max pool 16-bit", "MaxPool", [wide], (), ["--act-bits", "16"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    ]


def parameters_of(model, op, operand):
    """Scale and zero point of the first node `op` that has `operand` as its input or result."""
    constants = common.initializers(model)
    node = next(n for n in model.graph.node if n.op_type == op and operand in (*n.input, *n.output))
    return float(constants[node.input[1]]), int(constants[node.input[2]]), constants[node.input[2]].dtype


def on_grid(values, scale, zero_point, dtype):
    """The nearest values that stored integers stand for, so that both sides read the same integers."""
    info = np.iinfo(dtype)
    stored = np.clip(np.rint(values / scale) + zero_point, info.min, info.max)
    return ((stored - zero_point) * np.float32(scale)).astype(np.float32)


def compare(tools, case, folder):
    """Elements compared; for fused and for float kernels the elements that differ and the largest difference in units."""
    folder.mkdir()
    model, program, export = folder / "model.onnx", folder / "prog.bin", folder / "model.qdq.onnx"
    onnx.save(case.model, model)
    calibration = [case.sample() for _ in range(4)]
    np.savez(folder / "data.npz", **{name: np.stack([sample[name] for sample in calibration]) for name in case.inputs})
    tools.qcc(model, program, "--data", folder / "data.npz", "--emit", f"qdq={export}", *case.options)
    exported = onnx.load(export)
    onnx.checker.check_model(exported, full_check=True)
    scale = parameters_of(exported, "DequantizeLinear", "y")[0]
    sessions = [common.session(export, optimized) for optimized in (True, False)]
    differing, most, count = [0, 0], [0, 0], 0
    while count < LEAST_ELEMENTS:
        sample = {name: on_grid(values, *parameters_of(exported, "QuantizeLinear", name)) for name, values in case.sample().items()}
        ours = tools.compute(program, sample, folder)
        count += ours.size
        for i, runtime in enumerate(sessions):
            theirs = runtime.run(None, sample)[0]
            if theirs.shape != ours.shape:
                sys.exit(f"{case.name}: shape {ours.shape}, ONNX Runtime {theirs.shape}")
            units = np.abs(np.rint((ours - theirs) / scale))
            differing[i] += int((units > 0).sum())
            most[i] = max(most[i], int(units.max()))
    return count, differing, most


def operators(tools, folder):
    """One row for each operator; gives the number of checks and the failures."""
    every = cases()
    rows = common.in_parallel(lambda item: compare(tools, item[1], folder / str(item[0])), list(enumerate(every)))
    failures = []
    print(f"{'operator':28} {'elements':>9} {'fused kernels differ, most':>28} {'float kernels differ, most':>28}")
    for case, (count, differing, most) in zip(every, rows):
        print(f"{case.name:28} {count:9} {differing[0]:22} {most[0]:5} {differing[1]:22} {most[1]:5}")
        for kernels, differ, largest in zip(("fused", "float"), differing, most):
            if largest > 1 or count - differ < case.least_equal * count:
                failures.append(f"{case.name}, {kernels} kernels: {differ} of {count} elements differ, by up to {largest}")
    return 2 * len(every), failures


def embedded(tools, folder):
    """The embedded network on its 1,000 test images."""
    program, export = folder / "prog.bin", folder / "model.qdq.onnx"
    data = ["--data", common.FASHION_MNIST / "calibration.npz", "--preprocess", "mean=0,std=255"]
    tools.qcc(common.FASHION_MNIST / "fashion_mnist.onnx", program, *data, "--emit", f"qdq={export}")
    model = onnx.load(export)
    onnx.checker.check_model(model, full_check=True)
    test = np.load(common.FASHION_MNIST / "test.npz")
    images = test["x"].astype(np.float32) / 255
    scale = parameters_of(model, "DequantizeLinear", "logits")[0]

    def ours(index):
        scratch = folder / str(index)
        scratch.mkdir()
        return tools.compute(program, {"image": images[index : index + 1]}, scratch)

    logits = np.concatenate(common.in_parallel(ours, range(len(images))))
    failures = []
    for optimized in (True, False):
        runtime = common.session(export, optimized)
        theirs = np.concatenate([runtime.run(None, {"image": images[i : i + 1]})[0] for i in range(len(images))])
        agreement = float((logits.argmax(1) == theirs.argmax(1)).mean())
        units = np.abs(np.rint((logits - theirs) / scale))
        print(
            f"fashion_mnist, {'fused' if optimized else 'float'} kernels: arg-max equal on {agreement:.4f} of {len(images)} images, "
            f"{int((units > 0).sum())} of {units.size} logits differ, by up to {int(units.max())}"
        )
        if agreement < LEAST_AGREEMENT:
            failures.append(f"fashion_mnist: arg-max equal on only {agreement:.4f}")
    return 2, failures


def main():
    tools = common.Tools(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "embedded").mkdir()
        counts, failures = zip(embedded(tools, folder / "embedded"), operators(tools, folder))
    common.finish(sum(counts), [failure for each in failures for failure in each])


if __name__ == "__main__":
    main()
