"""Takes networks that ONNX Runtime has quantized, and checks that no scale, weight or bias of them changes.

usage: quantized.py FOLDER_WITH_BINARIES

The embedded network and EfficientNet-Lite0 (skipped without QCC_MODELS), quantized with onnxruntime.quantization: QDQ and QOperator, per
tensor and per channel, int8 and uint8. Every scale and zero point in the file is in the integer graph and the other way round, values that
keep their name have the file's, and weights and biases are the file's integers. The embedded network has the arg-max of ONNX Runtime on at
least 99.5% of 1,000 test images; EfficientNet-Lite0 one of its largest outputs on at least 99% of crops of photos (of QCC_DATA/photos, if
there are any). Networks of one operator: no element more than one unit off, and at least 99.99% equal, each over more than 100,000 elements.
"""

import os
import pathlib
import re
import sys
import tempfile

import numpy as np
import onnx
from onnxruntime import quantization
from onnxruntime.quantization import QuantFormat, QuantType
from onnxruntime.quantization.shape_inference import quant_pre_process

import common
import crops
import qdq

IMAGES = 1000
CALIBRATION_CROPS = 8
LEAST_AGREEMENT = 0.995
# Of a deep network: the ties of one layer, some elements in a million, change up to a quarter of the logits by a step (docs/numerics.md).
LEAST_AMONG = 0.99
LEAST_TOP1 = 0.925
S8, U8 = QuantType.QInt8, QuantType.QUInt8
QDQ, QOPERATOR = QuantFormat.QDQ, QuantFormat.QOperator


class Samples(quantization.CalibrationDataReader):
    """Dictionaries of arrays, one after the other."""

    def __init__(self, samples):
        self.rest = iter(samples)

    def get_next(self):
        return next(self.rest, None)


def quantize(source, target, samples, form, activations, weights, per_channel):
    """Quantizes `source`, which has been prepared, with ranges from `samples`."""
    quantization.quantize_static(
        str(source),
        str(target),
        Samples(samples),
        quant_format=form,
        activation_type=activations,
        weight_type=weights,
        per_channel=per_channel,
    )
    return onnx.load(target)


def name_of(form, activations, weights, per_channel):
    kinds = {S8: "int8", U8: "uint8"}
    return f"{form.name} {kinds[activations]} x {kinds[weights]} per {'channel' if per_channel else 'tensor'}"


def encodings_of(model):
    """Scale and zero point of every activation in the file by its name, shifted to signed integers."""
    constants = common.initializers(model)
    found = {}
    places = {"QuantizeLinear": (1, 2), "QGemm": (7, 8), "QLinearConcat": (0, 1)}
    places |= {f"QLinear{op}": (6, 7) for op in ("Conv", "MatMul", "Add", "Mul")}
    for node in model.graph.node:
        at = places.get(node.op_type, (3, 4) if node.op_type.startswith("QLinear") else None)
        if at is None or at[0] >= len(node.input) or node.input[0] in constants and node.op_type == "QuantizeLinear":
            continue
        zero = constants[node.input[at[1]]]
        shift = 128 if zero.dtype == np.uint8 else 0
        found[node.output[0]] = (np.float32(constants[node.input[at[0]]]), int(zero) - shift)
    return found


VALUE = re.compile(r'%("(?:[^"\\]|\\.)*"|[^\s:,()]+): i8\[[^\]]*\] scale=(\S+) zero_point=(-?\d+)')


def encodings_in(text):
    """The same of an integer graph as text."""
    return {name.strip('"'): (np.float32(scale), int(zero)) for name, scale, zero in VALUE.findall(text)}


def integers(model, largest=2**31):
    """Weights and biases of layers whose biases are below `largest`: the sorted elements of each, less the zero point."""
    constants = common.initializers(model)
    real = {node.output[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}

    def stored(value, zero):
        if value not in constants:
            return None
        elements = constants[value].astype(np.int64)
        return elements - int(constants[zero].ravel()[0]) if zero else elements

    found = set()
    for node in model.graph.node:
        names = list(node.input) + [""] * 9
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            parts = [real[name].input for name in names[1:3] if name in real]
            layer = [stored(part[0], part[2] if len(part) > 2 else "") for part in parts]
        elif node.op_type in ("QLinearConv", "QLinearMatMul", "QGemm"):
            layer = [stored(names[3], names[5]), stored(names[{"QLinearConv": 8, "QGemm": 6}.get(node.op_type, 9)], "")]
        else:
            continue
        layer = [elements for elements in layer if elements is not None]
        if all(np.abs(elements).max() < largest for elements in layer):
            found |= {np.sort(elements.ravel()).tobytes() for elements in layer}
    return found


def unchanged(name, model, text, export):
    """Failures of a network of which every scale, weight and bias must be in the integer graph."""
    theirs, ours = encodings_of(model), encodings_in(text)
    failures = []
    if set(theirs.values()) != set(ours.values()):
        missing, made_up = set(theirs.values()) - set(ours.values()), set(ours.values()) - set(theirs.values())
        failures.append(f"{name}: scales missing {missing}, made up {made_up}")
    for value in theirs.keys() & ours.keys():
        if theirs[value] != ours[value]:
            failures.append(f"{name}: `{value}` is {ours[value]}, in the file {theirs[value]}")
    if export is not None:
        # A bias that is (almost) saturated leaves no room for sums: see docs/numerics.md, section 7.
        missing = integers(model, 2**30) - integers(export)
        if missing:
            failures.append(f"{name}: {len(missing)} weights or biases are not those of the file")
    return failures


def compiled(tools, model, folder, *options):
    """The program, the integer graph as text, and as ONNX."""
    program, text, export = folder / "prog.bin", folder / "graph.txt", folder / "export.onnx"
    tools.qcc(model, program, "--emit", f"qgraph={text}", "--emit", f"qdq={export}", *options)
    return program, text.read_text(), onnx.load(export)


def fashion(tools, folder):
    """All forms of the embedded network."""
    prepared = folder / "prepared.onnx"
    quant_pre_process(str(common.FASHION_MNIST / "fashion_mnist.onnx"), str(prepared), skip_symbolic_shape=True)
    calibration = np.load(common.FASHION_MNIST / "calibration.npz")["x"].astype(np.float32) / 255
    samples = [{"image": image.reshape(1, 1, 28, 28)} for image in calibration[:64]]
    test = np.load(common.FASHION_MNIST / "test.npz")["x"][:IMAGES].astype(np.float32).reshape(-1, 1, 28, 28) / 255
    forms = [(form, activations, S8, per_channel) for form in (QDQ, QOPERATOR) for activations in (S8, U8) for per_channel in (False, True)]
    # Weights with a zero point: nine bits once it is subtracted.
    forms += [(QDQ, U8, U8, False), (QOPERATOR, U8, U8, False)]
    failures = []
    for form in forms:
        name, path = name_of(*form), folder / "quantized.onnx"
        model = quantize(prepared, path, samples, *form)
        program, text, export = compiled(tools, path, folder)
        failures += unchanged(name, model, text, export if form[2] == S8 else None)
        equal, count = same_largest(tools, program, path, "image", test, folder)
        print(f"fashion_mnist {name:32} {len(encodings_of(model)):3} scales kept, arg-max equal on {equal} of {count} images")
        if equal < LEAST_AGREEMENT * count:
            failures.append(f"fashion_mnist {name}: arg-max equal on only {equal} of {count} images")
    return 2 * len(forms), failures


def dynamic(tools, folder):
    """The embedded network quantized dynamically: weights are kept, activations calibrated."""
    path = folder / "dynamic.onnx"
    quantization.quantize_dynamic(str(common.FASHION_MNIST / "fashion_mnist.onnx"), str(path), weight_type=S8)
    model = onnx.load(path)
    stored = [np.sort(w.astype(np.int64).ravel()).tobytes() for w in common.initializers(model).values() if w.dtype == np.int8 and w.ndim > 1]
    data = ["--data", common.FASHION_MNIST / "calibration.npz", "--preprocess", "mean=0,std=255"]
    program, _, export = compiled(tools, path, folder, *data)
    missing = set(stored) - integers(export)
    top1 = tools.report(program, "--data", common.FASHION_MNIST / "test.npz")["accuracy"]["top1"]
    print(f"fashion_mnist, dynamic: {len(stored) - len(missing)} of {len(stored)} weights kept, top-1 {top1:.4f}")
    failures = [f"fashion_mnist, dynamic: {len(missing)} weights are not those of the file"] if missing else []
    if top1 < LEAST_TOP1:
        failures.append(f"fashion_mnist, dynamic: top-1 {top1:.4f}")
    return 2, failures


def efficientnet(tools, folder):
    """EfficientNet-Lite0: scales and integers; with photos also the largest output."""
    models = os.environ.get("QCC_MODELS")
    source = pathlib.Path(models or "") / "efficientnet_lite0.onnx"
    if not models or not source.exists():
        print("efficientnet_lite0: skipped, QCC_MODELS has no efficientnet_lite0.onnx")
        return 0, []
    clean = folder / "prepared.onnx"
    quant_pre_process(str(source), str(clean), skip_symbolic_shape=True)
    image = onnx.load(source, load_external_data=False).graph.input[0].name
    calibration, test = photographs()
    samples = [{image: sample[np.newaxis]} for sample in calibration]
    failures = []
    forms = [(QDQ, S8, S8, True), (QOPERATOR, U8, S8, False)]
    for form in forms:
        name, path = name_of(*form), folder / "quantized.onnx"
        model = quantize(clean, path, samples, *form)
        program, text, export = compiled(tools, path, folder)
        failures += unchanged(name, model, text, export)
        agreement = ""
        if len(test):
            equal, among, count = largest_among(tools, program, path, image, test, folder)
            agreement = f", arg-max equal on {equal} of {count} crops, among ONNX Runtime's largest on {among}"
            if among < LEAST_AMONG * count:
                failures.append(f"efficientnet_lite0 {name}: a largest output on only {among} of {count} crops")
        print(f"efficientnet_lite0 {name:32} {len(encodings_of(model)):3} scales kept{agreement}")
    return (2 if len(test) else 1) * len(forms), failures


def photographs():
    """The network's input for crops to calibrate on, and for crops of other photos; noise and nothing without photos."""
    folder = pathlib.Path(os.environ.get("QCC_DATA", "")) / "photos"
    if "QCC_DATA" not in os.environ or not folder.exists():
        print("efficientnet_lite0: outputs are not compared, QCC_DATA has no photos")
        rng = np.random.default_rng(1)
        return rng.uniform(-1, 1, (2, 3, 224, 224)).astype(np.float32), []
    photos = sorted(folder.iterdir())
    real = [(crops.prepared(part).astype(np.float32) - 127) / 128 for part in (photos[::2][:2], photos[1::2])]
    return real[0][:: len(real[0]) // CALIBRATION_CROPS], real[1]


def same_largest(tools, program, path, image, test, folder):
    """On how many samples the largest output is ONNX Runtime's, and how many there are."""
    runtime = common.session(path, optimized=False)
    labels = [int(runtime.run(None, {image: sample[np.newaxis]})[0].argmax()) for sample in test]
    np.savez(folder / "labelled.npz", x=test, y=np.array(labels))
    share = tools.report(program, "--data", folder / "labelled.npz")["accuracy"]["top1"]
    return round(share * len(test)), len(test)


def largest_among(tools, program, path, image, test, folder):
    """On how many samples the largest output is ONNX Runtime's, or one of those that are equally large there; and how many there are.

    Of 1,000 outputs of 8 bits several are often the largest together. Convolutions are summed in integers, as in the network, only in the
    optimized session."""
    runtime = common.session(path)

    def of_sample(item):
        index, sample = item
        scratch = folder / str(index)
        scratch.mkdir(exist_ok=True)
        best = tools.compute(program, {image: sample[np.newaxis]}, scratch)[0].argmax()
        theirs = runtime.run(None, {image: sample[np.newaxis]})[0][0]
        return best == theirs.argmax(), theirs[best] == theirs.max()

    found = common.in_parallel(of_sample, list(enumerate(test)))
    return *(sum(map(int, column)) for column in zip(*found)), len(test)


def cases():
    """Networks of one operator, as far as ONNX Runtime quantizes it alone."""
    taken = {
        "conv", "conv stride 2", "conv uneven pads", "conv grouped", "conv depthwise", "conv relu", "gemm", "matmul",
        "add", "add per channel", "add relu", "mul", "global average pool", "concat rescaled",
    }  # fmt: skip
    wide = [1, 32, 64, 64]
    more = [qdq.Case("leaky relu", "LeakyRelu", [wide], alpha=0.1), qdq.Case("sigmoid", "Sigmoid", [wide])]
    return [case for case in qdq.cases() if case.name in taken] + more


def compare(tools, case, form, folder):
    """Elements compared, how many differ, the largest difference in units, and changed scales."""
    folder.mkdir()
    source, path = folder / "float.onnx", folder / "quantized.onnx"
    onnx.save(case.model, source)
    model = quantize(source, path, [case.sample() for _ in range(4)], *form)
    program, text, _ = compiled(tools, path, folder)
    failures = unchanged(f"{case.name}, {name_of(*form)}", model, text, None)
    scale = qdq.parameters_of(model, "DequantizeLinear", "y")[0]
    runtime = common.session(path, optimized=False)
    count = differing = most = 0
    while count < qdq.LEAST_ELEMENTS:
        sample = {name: qdq.on_grid(values, *qdq.parameters_of(model, "QuantizeLinear", name)) for name, values in case.sample().items()}
        ours, theirs = tools.compute(program, sample, folder), runtime.run(None, sample)[0]
        units = np.abs(np.rint((ours - theirs) / scale))
        count, differing, most = count + units.size, differing + int((units > 0).sum()), max(most, int(units.max()))
    return count, differing, most, failures


def operators(tools, folder):
    forms = [(QDQ, S8, S8, True), (QOPERATOR, U8, S8, False)]
    every = [(case, form) for case in cases() for form in forms]
    # Alone, ONNX Runtime quantizes this one in QDQ form only.
    every = [(case, form) for case, form in every if (case.name, form[0]) != ("global average pool", QOPERATOR)]
    rows = common.in_parallel(lambda item: compare(tools, *item[1], folder / str(item[0])), list(enumerate(every)))
    failures = []
    for (case, form), (count, differing, most, changed) in zip(every, rows):
        name = f"{case.name}, {name_of(*form)}"
        print(f"{name:56} {count:9} elements, {differing:4} differ, by up to {most}")
        failures += changed
        if most > 1 or count - differing < qdq.LEAST_EQUAL * count:
            failures.append(f"{name}: {differing} of {count} elements differ, by up to {most}")
    return 2 * len(every), failures


def main():
    tools = common.Tools(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folders = [pathlib.Path(name) / part for part in ("operators", "fashion", "dynamic", "efficientnet")]
        for folder in folders:
            folder.mkdir()
        parts = (operators, fashion, dynamic, efficientnet)
        counts, failures = zip(*(part(tools, folder) for part, folder in zip(parts, folders)))
    common.finish(sum(counts), [failure for each in failures for failure in each])


if __name__ == "__main__":
    main()
