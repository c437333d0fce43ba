//! Index work at both ends: what is split off, what is refused, and what the parts compute.

use super::*;
use crate::onnx::host::{Kind, Part};
use crate::tensor::{Data, Tensor};

fn integers(name: &str, element: DataType, dims: &str) -> impl FnOnce(&mut ModelProto) {
    let input = info(name, element, dims);
    move |model| graph(model).input.push(input)
}

#[track_caller]
fn parts(tiny: &Tiny) -> (String, Option<Part>, Option<Part>) {
    let model = tiny.load_with(&LoadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let part = |bytes: Option<Bytes>| bytes.map(|bytes| Part::from_bytes(bytes).unwrap());
    let (head, tail) = (part(model.graph.head.clone()), part(model.graph.tail.clone()));
    let is_node = |line: &&str| line.contains(" = ") && !line.contains(" = const ");
    let text = model.graph.to_string();
    let nodes = text.lines().filter(is_node).map(|line| format!("{}\n", line.trim())).collect();
    (nodes, head, tail)
}

fn ids(shape: &[usize], values: &[i64]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::I64(values.to_vec())).unwrap()
}

fn reals(tensor: &Tensor) -> Vec<f32> {
    tensor.f32_values().unwrap().into_owned()
}

fn to(element: DataType) -> AttributeProto {
    int("to", i64::from(element as i32))
}

/// Ops of a part's nodes, in order.
fn ops(part: &Part) -> String {
    let work = part.work().unwrap();
    work.iter().map(|w| format!("{} {}\n", w.op, w.elements)).collect()
}

#[test]
fn pixels_are_activations() {
    let tiny = Tiny::new(13)
        .with(integers("x", DataType::Int32, "1,2,2"))
        .node("Transpose x -> t", &[ints("perm", &[0, 2, 1])])
        .node("Cast t -> f", &[to(DataType::Float)])
        .node("Relu f -> y", &[]);
    let (nodes, head, tail) = parts(&tiny);
    assert_has(&nodes, "transpose \"transpose\"(%x)");
    let head = head.unwrap();
    assert_eq!(head.inputs(), head.outputs());
    assert_eq!(head.inputs()[0].kind, Kind::Integer { lo: i32::MIN.into(), hi: i32::MAX.into() });
    assert_eq!((ops(&head), tail.is_none()), (String::new(), true));
    let given = ids(&[1, 2, 2], &[0, 7, 255, 3]);
    assert_eq!(head.run(vec![given.clone()]).unwrap(), [given]);
}

#[test]
fn a_lookup_of_ids_is_in_front() {
    let tiny = Tiny::new(13)
        .with(integers("ids", DataType::Int64, "1,3"))
        .float_values("table", &[4, 2], &[0.0, 1.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0])
        .node("Gather table ids -> rows", &[])
        .node("Relu rows -> y", &[]);
    let (nodes, head, _) = parts(&tiny);
    assert_has(&nodes, "clip \"relu\"(%rows)");
    let head = head.unwrap();
    assert_eq!(ops(&head), "Gather 6\n");
    let rows = head.run(vec![ids(&[1, 3], &[2, 0, -1])]).unwrap();
    assert_eq!(rows[0].shape, [1, 3, 2]);
    assert_eq!(reals(&rows[0]), [20.0, 21.0, 0.0, 1.0, 30.0, 31.0]);
    let error = head.run(vec![ids(&[1, 3], &[1, 2, 4])]).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"node `gather` (Gather): input `ids` at [0, 2]: the index 4 is outside an axis of 4");
    let error = head.run(vec![ids(&[3, 1], &[1, 2, 3])]).unwrap_err().to_string();
    insta::assert_snapshot!(error, @"input `ids` has shape [3, 1], expected [1, 3]");
}

#[test]
fn a_product_with_a_one_hot_value_is_a_lookup() {
    // As JAX and TensorFlow write it: ids [1, 3] -> [1, 3, 1], repeated, compared with 0 1 2 3.
    let counting =
        TensorProto { dims: vec![1, 1, 4], ..ints_tensor("counting", &[], &[0, 1, 2, 3]) };
    let tiny = Tiny::new(13)
        .with(integers("ids", DataType::Int32, "1,3"))
        .float_values("table", &[4, 2], &[0.0, 1.0, 10.0, 11.0, 20.0, 21.0, 30.0, 31.0])
        .ints("column", &[-1, 3, 1])
        .ints("wide", &[1, 3, 4])
        .with(|model| graph(model).initializer.push(counting))
        .node("Reshape ids column -> a", &[])
        .node("Expand a wide -> b", &[])
        .node("Equal b counting -> c", &[])
        .node("Cast c -> d", &[to(DataType::Float)])
        .node("MatMul d table -> e", &[])
        .node("Relu e -> y", &[]);
    let (nodes, head, _) = parts(&tiny);
    assert_has(&nodes, "clip \"relu\"(%e)");
    assert!(!nodes.contains("dense"), "{nodes}");
    let head = head.unwrap();
    assert_eq!(ops(&head), "Reshape 0\nGather 6\n");
    let rows = head.run(vec![ids(&[1, 3], &[3, 1, 0])]).unwrap();
    assert_eq!(rows[0].shape, [1, 3, 1, 2]);
    assert_eq!(reals(&rows[0]), [30.0, 31.0, 10.0, 11.0, 0.0, 1.0]);
    // A one-hot value that nobody multiplies with a table is an input of the machine.
    let alone = Tiny::new(13)
        .with(integers("ids", DataType::Int32, "1,3"))
        .ints("depth", &[4])
        .float_values("levels", &[2], &[0.0, 1.0])
        .node("OneHot ids depth levels -> hot", &[])
        .node("Relu hot -> y", &[]);
    let (nodes, head, _) = parts(&alone);
    assert_has(&nodes, "clip \"relu\"(%hot)");
    assert_eq!(ops(&head.unwrap()), "OneHot 12\n");
}

#[test]
fn positions_and_what_follows_them_are_behind() {
    let tiny = Tiny::new(13)
        .input("x", "1,4")
        .floats("two", &[1])
        .ints("flat", &[-1])
        .node("Relu x -> r", &[])
        .node("ArgMax r -> at", &[int("axis", 1), int("keepdims", 0)])
        .node("Gather r at -> best", &[int("axis", 1)])
        .node("Mul best two -> twice", &[])
        .node("Reshape twice flat -> y", &[])
        .with(|model| graph(model).output.push(info("at", DataType::Int64, "1")))
        .with(|model| graph(model).output.push(info("r", DataType::Float, "1,4")));
    let (nodes, head, tail) = parts(&tiny);
    assert_eq!(nodes.lines().count(), 1, "{nodes}");
    let tail = tail.unwrap();
    assert!(head.is_none());
    assert_eq!(ops(&tail), "ArgMax 4\nGather 1\nMul 1\nReshape 0\n");
    assert_eq!(tail.read().into_iter().collect::<Vec<_>>(), ["r"]);
    let given = Tensor::from_f32(&[1, 4], vec![0.5, 2.0, 7.0, 7.0]).unwrap();
    let outputs = tail.run(vec![given.clone()]).unwrap();
    assert_eq!(reals(&outputs[0]), [7.0]);
    assert_eq!((outputs[1].i64_values(), &outputs[2]), (Some(&[2][..]), &given));
}

#[test]
fn index_work_in_the_middle_is_refused() {
    let tiny = Tiny::new(13)
        .input("x", "1,2,4,4")
        .floats("w", &[2, 2, 1, 1])
        .floats("one", &[1])
        .node("Greater x one -> big", &[])
        .node("Where big x one -> z", &[])
        .node("Conv z w -> y", &[]);
    insta::assert_snapshot!(tiny.refusal(), @r"
    `<memory>`: the model is not supported in 1 place:
      Conv: it reads `z`, the result of index work, and is no work for the host
        node: `conv`
        hint: the host does index work in front of the network or behind it; move it there, or run it outside
    ");
    let mixed = Tiny::new(13)
        .input("x", "1,4")
        .with(integers("ids", DataType::Int64, "1"))
        .node("Relu x -> r", &[])
        .node("Gather r ids -> y", &[int("axis", 1)]);
    assert_has(&mixed.refusal(), "it joins `ids`, integers made of inputs, with computed values");
    let nothing = Tiny::new(13)
        .with(integers("ids", DataType::Int64, "1"))
        .ints("one", &[1])
        .node("Add ids one -> y", &[]);
    assert_has(&nothing.refusal(), "made of integer inputs without any computation");
}

#[test]
fn hostile_parts_are_refused() {
    assert!(Part::from_bytes(Bytes::from_static(b"\xff\xff\xff")).is_err());
    let part = |tiny: Tiny| Part::from_bytes(tiny.bytes());
    let shaped = |model: &mut ModelProto| {
        graph(model).output = vec![info("y", DataType::Float, "1,4")];
    };
    let conv = Tiny::new(13).input("x", "1,4").node("Softmax x -> y", &[]).with(shaped);
    assert_has(&part(conv).unwrap_err().to_string(), "does not compute this operator");
    let open = Tiny::new(13).input("x", "n,4").node("Abs x -> y", &[]).with(shaped);
    assert_has(&part(open).unwrap_err().to_string(), "no fixed shape");
    let huge = Tiny::new(13).input("x", "65536,65536").node("Abs x -> y", &[]).with(shaped);
    assert_has(&part(huge).unwrap_err().to_string(), "no fixed shape");
    // Expanding needs more memory than a run may take.
    let wide = Tiny::new(13)
        .input("x", "1,4")
        .ints("wide", &[1 << 28, 4])
        .node("Expand x wide -> e", &[])
        .node("ReduceMax e -> y", &[])
        .with(shaped);
    let error = part(wide).unwrap().work().unwrap_err().to_string();
    assert_has(&error, "limit");
    let loose = Tiny::new(13).input("x", "1,4").node("Add x z -> y", &[]).with(shaped);
    assert_has(&part(loose).unwrap().work().unwrap_err().to_string(), "nothing defines `z`");
    let other = Tiny::new(13).input("x", "1,2").node("Abs x -> y", &[]).with(shaped);
    assert_has(&part(other).unwrap().work().unwrap_err().to_string(), "has shape [1, 2]");
}
