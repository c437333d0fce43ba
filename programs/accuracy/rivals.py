"""ONNX Runtime's `quantize_static` and NNCF, with their settings, and a cache of what they give."""

import contextlib
import hashlib
import itertools
import json
import logging
import sys

import nncf
import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import bias

logging.disable(logging.WARNING)

METHODS = ("MinMax", "Entropy", "Percentile")
TYPES = {"s8": QuantType.QInt8, "u8": QuantType.QUInt8, "s4": QuantType.QInt4}
# Images whose intermediate values ONNX Runtime holds at once. Its histograms need memory for all of them otherwise.
STRIDE = 16


def onnxruntime_settings():
    """Of `quantize_static`: all plain ones, then one at a time of the extra ones, then corrected biases, then 4-bit weights."""
    plain = {"tool": "onnxruntime", "weights": "s8", "bias": "off", "extra": {}}
    for method, per_channel, activations in itertools.product(METHODS, (False, True), ("s8", "u8")):
        yield plain | {"method": method, "per_channel": per_channel, "activations": activations}
    best = plain | {"method": "MinMax", "per_channel": True, "activations": "u8"}
    yield best | {"extra": {"CalibMovingAverage": True}}
    yield best | {"activations": "s8", "extra": {"ActivationSymmetric": True}}
    for weights in ("s8", "s4"):
        for method, how in itertools.product(METHODS, ("off", "fast", "sequential")):
            if (weights, how) != ("s8", "off"):
                yield best | {"method": method, "weights": weights, "bias": how}


def nncf_settings():
    for preset, how in itertools.product(("performance", "mixed"), ("off", "fast", "accurate")):
        yield {"tool": "nncf", "preset": preset, "bias": how}


def name(settings):
    """Of a row."""
    if settings["tool"] == "nncf":
        return f"NNCF {settings['preset']}, bias correction {settings['bias']}"
    channel = "channel" if settings["per_channel"] else "tensor"
    extra = "".join(f", {key}" for key in settings["extra"])
    how = "" if settings["bias"] == "off" else f", bias corrected by hand ({settings['bias']})"
    return f"ORT {settings['method']}, per {channel}, {settings['activations']}{extra}{how}"


def bits(settings):
    return "W4A8" if settings.get("weights") == "s4" else "W8A8"


def session(model, level=onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC, exact=True):
    """A runtime session of a file or a ModelProto. ONNX Runtime's own default saturates 16-bit sums of int8 products on processors
    without VNNI instructions; with basic optimizations and `x64quantprecision` it does not on any."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    model = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def logits(runtime, inputs):
    """First output of every image, one at a time, [n, classes]."""
    entry = runtime.get_inputs()[0].name
    return np.concatenate([runtime.run(None, {entry: image[np.newaxis]})[0].reshape(1, -1) for image in inputs])


class Reader(CalibrationDataReader):
    """Gives ONNX Runtime the calibration images."""

    def __init__(self, entry, images):
        self.entry, self.images = entry, images
        self.set_range(0, len(images))

    def __len__(self):
        return len(self.images)

    def set_range(self, start_index, end_index):
        self.left = iter(self.images[start_index:end_index])

    def get_next(self):
        image = next(self.left, None)
        return None if image is None else {self.entry: image[np.newaxis]}


class Rivals:
    """Quantizes one network by others' tools; everything is kept in a folder under a hash of what it depends on."""

    def __init__(self, network, cache):
        self.network = network
        versions = (onnxruntime.__version__, nncf.__version__, onnx.__version__)
        self.folder = cache / hashlib.sha256(repr((versions, network.hash())).encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.float_path = self.folder / "float.onnx"
        if not self.float_path.exists():
            quant_pre_process(str(network.model), str(self.float_path), skip_symbolic_shape=True)
        self.images = network.real(network.calibration)

    def float_logits(self):
        """Of the choosing and the reporting images, and bytes of the constants, batch norm folded."""
        return self.cached({"tool": "float"}, lambda path: onnx.save(onnx.load(self.float_path), path))

    def run(self, settings):
        """As `float_logits`, of a quantized network."""
        make = self.nncf if settings["tool"] == "nncf" else self.onnxruntime
        return self.cached(settings, lambda path: make(settings, path))

    def path(self, settings, ending):
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        return self.folder / f"{key}.{ending}"

    def cached(self, settings, make):
        result, model = self.path(settings, "npz"), self.path(settings, "onnx")
        if not result.exists():
            with contextlib.redirect_stdout(sys.stderr):
                make(model)
            runtime = session(model)
            choosing, reporting = (logits(runtime, self.network.real(x)) for x in (self.network.choosing, self.network.reporting))
            np.savez(result, choosing=choosing, reporting=reporting, bytes=stored_bytes(onnx.load(model)))
        with np.load(result) as arrays:
            return arrays["choosing"], arrays["reporting"], int(arrays["bytes"])

    def onnxruntime(self, settings, path):
        entry = session(self.float_path).get_inputs()[0].name
        # The ranges depend on the method and on these options alone.
        ranges = self.path({"method": settings["method"], "extra": settings["extra"], "weights": settings["weights"]}, "json")
        quantize_static(
            str(self.float_path),
            str(path),
            Reader(entry, self.images),
            quant_format=QuantFormat.QDQ,
            per_channel=settings["per_channel"],
            activation_type=TYPES[settings["activations"]],
            weight_type=TYPES[settings["weights"]],
            calibrate_method=CalibrationMethod[settings["method"]],
            extra_options=settings["extra"] | {"CalibStridedMinMax": STRIDE},
            calibration_cache_path=ranges,
        )
        if settings["bias"] != "off":
            model = onnx.load(path)
            bias.correct(settings["bias"], model, onnx.load(self.float_path), self.images, session)
            onnx.save(model, path)

    def nncf(self, settings, path):
        model = onnx.load(self.float_path)
        entry = model.graph.input[0].name
        off, fast = settings["bias"] == "off", settings["bias"] == "fast"
        # No 7-bit weights: they are a remedy for the saturation that `session` switches off.
        advanced = nncf.AdvancedQuantizationParameters(disable_bias_correction=off, overflow_fix=nncf.OverflowFix.DISABLE)
        data = nncf.Dataset(self.images, lambda image: {entry: image[np.newaxis]})
        preset = nncf.QuantizationPreset(settings["preset"])
        made = nncf.quantize(
            model, data, preset=preset, subset_size=len(self.images), fast_bias_correction=fast, advanced_parameters=advanced
        )
        onnx.save(made, path)

    def exactness(self, settings):
        """How logits of a quantized network on the choosing images differ from those without any optimization: with the session used here,
        and with ONNX Runtime's default. `most` is the largest difference over the largest logit."""
        level = onnxruntime.GraphOptimizationLevel
        inputs = self.network.real(self.network.choosing)
        model = self.path(settings, "onnx")
        plain = logits(session(model, level.ORT_DISABLE_ALL), inputs)
        for how, runtime in (("as used", session(model)), ("default", session(model, level.ORT_ENABLE_ALL, exact=False))):
            found = logits(runtime, inputs)
            differing, most = float((found != plain).mean()), float(np.abs(found - plain).max() / np.abs(plain).max())
            yield {"session": how, "differing": differing, "most": most, "same_answer": float((found.argmax(1) == plain.argmax(1)).mean())}


def stored_bytes(model):
    """Bytes of all constants; float ones that are quantized when the model is loaded (NNCF's weights) count one byte an element."""
    quantized = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    total = 0
    for tensor in model.graph.initializer:
        elements = int(np.prod(tensor.dims))
        four_bits = tensor.data_type in (onnx.TensorProto.INT4, onnx.TensorProto.UINT4)
        width = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        total += (elements + 1) // 2 if four_bits else elements * (1 if tensor.name in quantized else width)
    return total
