"""Bias correction around ONNX Runtime, which has none of its own: every int32 bias of a QDQ model is moved so that the mean of its layer's
result, per output channel, is that of the float model. "fast" takes the inputs of a layer to be those of the float model (as NNCF's fast bias
correction and AIMET's analytic one do); "sequential" measures, layer after layer, with everything before already quantized and corrected
(Nagel et al., "Data-Free Quantization", 2019, section 4.2, with measured means)."""

import numpy as np
import onnx
from onnx import numpy_helper

LAYERS = ("Conv", "Gemm")


def correct(how, quantized, model, images, session):
    """Changes the biases of `quantized` (ModelProto); `session` makes a runtime session of a ModelProto."""
    layers = [(i, node) for i, node in enumerate(quantized.graph.node) if node.op_type in LAYERS]
    floats = {node.name: node for node in model.graph.node if node.op_type in LAYERS}
    constants = {tensor.name: tensor for tensor in (*quantized.graph.initializer, *model.graph.initializer)}
    makers = {node.output[0]: node for node in quantized.graph.node}
    if how == "sequential":
        means = channel_means(model, [floats[node.name].output[0] for _, node in layers], images, session)
        return sequential(quantized, layers, constants, makers, {n.name: means[floats[n.name].output[0]] for _, n in layers}, images, session)
    means = channel_means(model, [floats[node.name].input[0] for _, node in layers], images, session)
    for _, node in layers:
        twin = floats[node.name]
        lost = numpy_helper.to_array(constants[twin.input[1]]) - dequantized(makers[node.input[1]], constants)
        move(makers[node.input[2]], constants, propagated(node, lost, means[twin.input[0]]))


def sequential(model, layers, constants, makers, wanted, images, session):
    """Walks from layer to layer, holding for each image the values that later nodes read: every node runs once."""
    alive = [{model.graph.input[0].name: image[np.newaxis]} for image in images]
    first = 0
    for i, node in layers:
        later = {name for after in model.graph.node[i + 1 :] for name in after.input} | {output.name for output in model.graph.output}
        runtime, outputs = segment(model, first, i + 1, later, alive[0], session)
        inputs = [entry.name for entry in runtime.get_inputs()]
        for values in alive:
            values |= dict(zip(outputs, runtime.run(None, {name: values[name] for name in inputs})))
        seen = np.mean([per_channel(values[node.output[0]]) for values in alive], 0)
        moved = move(makers[node.input[2]], constants, wanted[node.name] - seen)
        shape = [-1 if axis == 1 else 1 for axis in range(alive[0][node.output[0]].ndim)]
        for k, values in enumerate(alive):
            # A bias is added last, so that moving it moves the result.
            values[node.output[0]] = values[node.output[0]] + moved.reshape(shape).astype(np.float32)
            alive[k] = {name: value for name, value in values.items() if name in later}
        first = i + 1


def segment(model, first, end, later, alive, session):
    """A session of some nodes of a model, from the values that are alive to those that later nodes read and the last result. Nodes
    that only read constants belong to whichever segment reads them."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    stored = {tensor.name for tensor in model.graph.initializer}
    constant = [node for node in model.graph.node if stored.issuperset(node.input)]
    fixed = {node.output[0] for node in constant}
    own = [node for node in model.graph.node[first:end] if node.output[0] not in fixed]
    read = {name for node in own for name in node.input}
    del part.graph.node[:], part.graph.input[:], part.graph.output[:]
    part.graph.node.extend([node for node in constant if node.output[0] in read] + own)
    for name, value in alive.items():
        if name in read:
            kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
            part.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, value.shape))
    made = [name for node in own for name in node.output]
    outputs = [name for name in made if name in later or name == made[-1]]
    part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    return session(part), outputs


def channel_means(model, names, images, session):
    """Mean over images and positions of each named value, per channel (axis 1)."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    del probed.graph.output[:]
    names = sorted(set(names) - {model.graph.input[0].name})
    probed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    runtime, sums = session(probed), {}
    entry = model.graph.input[0].name
    for image in images:
        image = image[np.newaxis]
        values = dict(zip(names, runtime.run(None, {entry: image}))) | {entry: image}
        for name, value in values.items():
            sums[name] = sums.get(name, 0) + per_channel(value)
    return {name: total / len(images) for name, total in sums.items()}


def per_channel(value):
    """Mean over positions of a value of one image."""
    return value.reshape(value.shape[1], -1).mean(1, dtype=np.float64)


def propagated(node, lost, means):
    """What constant inputs `means` make of a weight tensor, per output channel."""
    if node.op_type == "Gemm":
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        return (lost if transposed else lost.T) @ means
    outputs, inputs = lost.shape[:2]
    groups = len(means) // inputs
    taps = lost.reshape(groups, outputs // groups, inputs, -1).sum(3, dtype=np.float64)
    return np.einsum("goi,gi->go", taps, means.reshape(groups, inputs)).reshape(-1)


def dequantized(node, constants):
    """Real values of a constant behind DequantizeLinear with zero point 0."""
    stored = numpy_helper.to_array(constants[node.input[0]]).astype(np.float32)
    scale = numpy_helper.to_array(constants[node.input[1]])
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    return stored * scale.reshape([-1 if i == axis and scale.size > 1 else 1 for i in range(stored.ndim)])


def move(node, constants, shift):
    """Adds real values to an int32 bias, and returns what was added after rounding."""
    bias, scale = constants[node.input[0]], numpy_helper.to_array(constants[node.input[1]]).reshape(-1)
    steps = np.rint(shift / scale)
    moved = numpy_helper.to_array(bias) + steps.astype(np.int32)
    bias.CopyFrom(numpy_helper.from_array(moved.astype(np.int32), bias.name))
    return steps * scale
