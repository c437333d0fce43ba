"""Runs ONNX's own operator tests through qcc and qsim.

usage: conformance.py FOLDER_WITH_BINARIES [NAME_PART]

A case of `onnx.backend.test` is a model of one operator (or its expansion into simpler ones) with inputs and expected outputs. Inputs that are
not float32 become constants; where the model is refused so, all inputs but the first do. Weights are rounded to 255 evenly spaced values first,
so that quantizing them loses nothing, and ONNX's reference evaluator gives the new expected outputs. With 16-bit activations calibrated on the
very input, the integer result must then follow the expected one to 60 dB: a wrong attribute, axis, pad or order of elements gives a few dB.
Refused cases are listed with the reason; a wrong result fails. Only the first output is compared.
"""

import collections
import pathlib
import re
import sys
import tempfile
import warnings

import numpy as np
import onnx
import onnx.backend.test.case.node
import onnx.reference

import common

LEAST_SQNR_DB = 60
# Operators whose result has 8 bits whatever the activations have, or whose factors between neighbours have 7 (linear interpolation).
NARROW = {"Softmax": 30, "Resize": 48}
# Expansions with weights of their own, which have 8 bits like any others.
COARSE = {"test_affine_grid_3d_expanded": 50, "test_affine_grid_3d_align_corners_expanded": 50}
# Operators whose second operand rests in the array, in 8 bits, even where it is computed: rounded like weights.
RESTING = {"MatMul", "Einsum"}
# Cases whose numbers do not fit the integers, whatever the semantics.
STEEP = "16-bit tables interpolate between 513 nodes: steps and poles inside the range are smeared (docs/numerics.md)"
EXCUSED = {
    "test_softmax_large_number": "its input spans 10,003, in 8 bits a step of 39; differences of 1 vanish",
    "test_resize_downsample_scales_linear_align_corners": "corners of a result of 0.6 * 4 = 2.4 columns; here, as in ONNX Runtime, of 2",
} | dict.fromkeys(
    ["test_acosh_example", "test_floor_example", "test_log", "test_round", "test_tan", "test_thresholdedrelu_example"], STEEP
)
EXCUSED["test_logsoftmax_large_number"] = EXCUSED["test_softmax_large_number"]
# Expansions that are recognised as the operator they spell, and have its 8 bits.
RECOGNISED = re.compile(r"(test_(?:log)?softmax_\w+?)_expanded(?:_ver\d+)?$")
# Far fewer would mean that the test no longer tests.
LEAST_PASSED = 300
OPTIONS = ["--act-bits", "16", "--set", "acc_bits=48", "--observer", "minmax"]


class Case:
    """A model whose inputs at run time are `inputs`, with the options it is compiled with and the outputs it must give."""

    def __init__(self, model, inputs, outputs):
        self.model, self.inputs, self.outputs = model, inputs, outputs
        # Weights that were rounded to a grid of the whole tensor keep it only with one scale for the tensor.
        self.options = OPTIONS + (["--per-tensor"] if outputs is None else [])

    def expected(self):
        """The first output."""
        outputs = self.outputs or onnx.reference.ReferenceEvaluator(self.model).run(None, self.inputs)
        return outputs[0]


def is_real(array):
    return isinstance(array, np.ndarray) and array.dtype == np.float32


def variants(case):
    """The case with as few constants as types demand, then with one input at run time."""
    given, outputs = case.data_sets[0]
    names = [info.name for info in case.model.graph.input]
    values = dict(zip(names, given))
    real = [name for name in names if is_real(values[name])]
    if not real or not is_real(outputs[0]):
        return
    for kept in (real, real[:1]):
        constants = {name: value for name, value in values.items() if name not in kept}
        if any(not isinstance(value, np.ndarray) for value in constants.values()):
            return
        rounded = {name: on_grid(value) for name, value in constants.items()}
        model = with_constants(case.model, rounded)
        inputs = {name: values[name] for name in kept}
        changed = any(not np.array_equal(rounded[name], constants[name], equal_nan=True) for name in constants)
        if len(kept) > 1 and {node.op_type for node in case.model.graph.node} <= RESTING:
            inputs[kept[1]], changed = of_127(inputs[kept[1]]), True
        yield Case(model, inputs, None if changed else outputs)
        if len(real) == 1:
            return


def on_grid(value):
    """Weights as multiples of a 127th of the largest; other constants as they are."""
    return of_127(value) if is_real(value) and value.ndim >= 2 else value


def of_127(value):
    """Multiples of a 127th of the largest."""
    step = np.abs(value).max() / np.float32(127)
    return (np.rint(value / step) * step).astype(np.float32) if step > 0 else value


def with_constants(model, constants):
    """The model with some of its inputs turned into initializers."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    kept = [info for info in fixed.graph.input if info.name not in constants]
    del fixed.graph.input[:]
    fixed.graph.input.extend(kept)
    fixed.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    return fixed


def measure(tools, case, folder):
    """Signal to noise of the first output, `-inf` where its shape is wrong."""
    folder.mkdir()
    model, program, data = folder / "model.onnx", folder / "prog.bin", folder / "data.npz"
    onnx.save(case.model, model)
    np.savez(data, **{name: value[np.newaxis] for name, value in case.inputs.items()})
    tools.qcc(model, program, "--data", data, *case.options)
    found, expected = tools.compute(program, case.inputs, folder), case.expected()
    return common.sqnr_db(found, expected) if found.shape == expected.shape else -np.inf


def outcome(tools, case, folder):
    """(`passed` or `wrong`, decibels), (`refused`, reason) or (`skipped`, reason)."""
    spelled = RECOGNISED.match(case.name)
    excused = EXCUSED.get(spelled[1] if spelled else case.name)
    if excused:
        return "skipped", excused
    refusals = []
    for number, variant in enumerate(variants(case)):
        try:
            decibels = measure(tools, variant, folder.with_name(f"{folder.name}.{number}"))
        except common.Refused as refused:
            refusals.append(reason(str(refused)))
            continue
        bounds = [NARROW.get(node.op_type, LEAST_SQNR_DB) for node in case.model.graph.node]
        if spelled:
            bounds.append(NARROW["Softmax"])
        least = min(*bounds, COARSE.get(case.name, LEAST_SQNR_DB), LEAST_SQNR_DB)
        return ("passed" if decibels >= least else "wrong"), decibels
    return ("refused", refusals[0]) if refusals else ("skipped", "no float32 input or output")


def reason(message):
    """A refusal without the names of one case."""
    lines = [line.strip() for line in message.splitlines() if not line.startswith("warning")]
    text = next((line for line in lines if not line.endswith("places:") and not line.endswith("place:")), "no message")
    text = re.sub(r"\S*/(model\.onnx|data\.npz): ", "", text.removeprefix("error: "))
    return re.sub(r"`[^`]*`", "`..`", text)


def operator(case):
    """The operator a case is about: its name without the expansion's details."""
    return case.model.graph.node[0].op_type if len(case.model.graph.node) == 1 else f"{case.name.split('_')[1]} (several nodes)"


def main():
    tools = common.Tools(sys.argv[1])
    part = sys.argv[2] if len(sys.argv) > 2 else ""
    np.random.seed(0)
    warnings.simplefilter("ignore", RuntimeWarning)
    every = [case for case in onnx.backend.test.case.node.collect_testcases(None) if part in case.name]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        results = common.in_parallel(lambda item: outcome(tools, item[1], folder / str(item[0])), list(enumerate(every)))
    kinds = collections.Counter(kind for kind, _ in results)
    passed, refused = collections.defaultdict(list), collections.defaultdict(list)
    for case, (kind, detail) in zip(every, results):
        if kind == "passed":
            passed[operator(case)].append(detail)
        elif kind == "refused":
            refused[(operator(case), detail)].append(case.name)
    print("passed: operator, cases, least dB")
    for name, decibels in sorted(passed.items()):
        print(f"  {name:32} {len(decibels):4} {min(decibels):8.1f}")
    print("refused: operator, cases, reason")
    for (name, why), cases in sorted(refused.items()):
        print(f"  {name:32} {len(cases):4} {why}")
    print(", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    failures = [f"{case.name}: {detail:.1f} dB" for case, (kind, detail) in zip(every, results) if kind == "wrong"]
    if not part and kinds["passed"] < LEAST_PASSED:
        failures.append(f"only {kinds['passed']} cases passed, expected at least {LEAST_PASSED}")
    common.finish(kinds["passed"] + len(failures), failures)


if __name__ == "__main__":
    main()
