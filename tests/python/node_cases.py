#!/usr/bin/env python3
"""Writes the test cases of the ONNX definition whose operators qcc computes during import.

    node_cases.py FOLDER

Every case becomes one model: its inputs are constants, its outputs are followed by the expected ones, which are
constants too. `cargo test -p qcc-tests --test onnx_definition` with QCC_NODE_CASES=FOLDER imports each and compares.
"""

import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

OPERATORS = """
Abs Add And ArgMax ArgMin Cast CastLike Ceil Compress Concat Constant ConstantOfShape Cos CumProd CumSum Div Equal Exp
Expand EyeLike Flatten Floor Gather GatherElements GatherND Greater GreaterOrEqual Identity If Less LessOrEqual Log
Max Mean Min Mod Mul Neg NonZero Not OneHot Or Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Reshape Round Scatter ScatterElements ScatterND
Shape Sign Sin Size Slice Split Sqrt Squeeze Sub Sum Tile TopK Transpose Trilu Unsqueeze Where Xor
""".split()

# Types that the graph holds; all others are refused, which the importer's own tests cover.
TYPES = {
    TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64,
    TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64,
}  # fmt: skip


def element_types(values):
    return {value.type.tensor_type.elem_type for value in values}


def usable(case):
    graph = case.model.graph
    operators = {node.op_type for node in graph.node}
    opset = [o.version for o in case.model.opset_import if o.domain in ("", "ai.onnx")]
    arrays = [a for inputs, outputs in case.data_sets for a in [*inputs, *outputs]]
    return (
        operators <= set(OPERATORS)
        and all(version <= 28 for version in opset)
        and element_types([*graph.input, *graph.output]) <= TYPES
        # The graph refuses tensors without elements.
        and all(isinstance(a, numpy.ndarray) and a.size for a in arrays)
    )


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for case in filter(usable, collect_testcases(None)):
        inputs, outputs = case.data_sets[0]
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        for entry in model.opset_import:
            entry.version = max(entry.version, 7)  # the oldest that is read
        graph = model.graph
        names = [value.name for value in graph.input]
        del graph.input[:]
        graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in zip(names, inputs))
        for value, array in zip(list(graph.output), outputs):
            expected = f"expected/{value.name}"
            graph.initializer.append(numpy_helper.from_array(array, expected))
            graph.output.append(helper.make_tensor_value_info(expected, value.type.tensor_type.elem_type, array.shape))
        (folder / f"{case.name}.onnx").write_bytes(model.SerializeToString())
        count += 1
    print(f"{count} cases")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
