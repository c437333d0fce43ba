//! If with a constant condition.

use super::*;

fn branch(build: impl FnOnce(Tiny) -> Tiny) -> GraphProto {
    let mut model = build(Tiny::new(13)).model;
    let mut inner = std::mem::take(graph(&mut model));
    inner.output[0].name = "out".to_owned();
    inner
}

fn subgraph(name: &str, value: GraphProto) -> AttributeProto {
    AttributeProto { g: Some(Box::new(value)), ..attribute(name, AttributeType::Graph) }
}

/// `y = if condition { relu(x) + k } else { x }`, where the condition is whether `x` has two axes.
fn choice(dims: &str) -> Tiny {
    let then = branch(|b| {
        b.floats("k", &[1]).node("Relu x -> inner", &[]).node("Add inner k -> out", &[])
    });
    let otherwise = branch(|b| b.with(|model| graph(model).output[0].name = "x".to_owned()));
    let otherwise = GraphProto {
        output: vec![ValueInfoProto { name: "x".to_owned(), r#type: None }],
        ..otherwise
    };
    Tiny::new(13)
        .input("x", dims)
        .ints("two", &[2])
        .node("Shape x -> s", &[])
        .node("Size s -> rank", &[])
        .node("Equal rank two -> c", &[])
        .node("If c -> z", &[subgraph("then_branch", then), subgraph("else_branch", otherwise)])
        .node("Relu z -> y", &[])
}

#[test]
fn the_branch_taken_stands_in_place() {
    assert_eq!(
        choice("1,2").nodes(),
        "%inner: f32[1, 2] = clip \"if/relu\"(%x) lo=0.0 hi=inf\n\
         %z: f32[1, 2] = add \"if/add\"(%inner, %k)\n\
         %y: f32[1, 2] = clip \"relu\"(%z) lo=0.0 hi=inf\n"
    );
    assert_eq!(choice("1,2,3").nodes(), "%y: f32[1, 2, 3] = clip \"relu\"(%x) lo=0.0 hi=inf\n");
}

#[test]
fn names_inside_may_repeat_those_of_other_branches() {
    let inner = || branch(|b| b.node("Relu x -> inner", &[]).node("Add inner x -> out", &[]));
    let both = || [subgraph("then_branch", inner()), subgraph("else_branch", inner())];
    let yes = TensorProto {
        data_type: DataType::Bool as i32,
        int32_data: vec![1],
        ..ints_tensor("c", &[], &[])
    };
    let tiny = Tiny::new(13)
        .input("x", "1,2")
        .with(|model| graph(model).initializer.push(yes))
        .node("If c -> a", &both())
        .node("If c -> b", &both())
        .node("Add a b -> y", &[]);
    let nodes = tiny.nodes();
    assert_has(&nodes, "%inner: ");
    assert_has(&nodes, "%b: f32[1, 2] = add \"if_2/add\"(%inner_2, %x)");
}

#[test]
fn a_branch_may_hold_another_choice_and_read_what_surrounds_it() {
    let innermost = branch(|b| b.node("Add outside x -> out", &[]));
    let then = branch(|b| {
        b.node(
            "If c -> out",
            &[subgraph("then_branch", innermost.clone()), subgraph("else_branch", innermost)],
        )
    });
    let yes = TensorProto {
        data_type: DataType::Bool as i32,
        int32_data: vec![1],
        ..ints_tensor("c", &[1], &[])
    };
    let attributes = [subgraph("then_branch", then.clone()), subgraph("else_branch", then)];
    let tiny = Tiny::new(13)
        .input("x", "1,2")
        .with(|model| graph(model).initializer.push(yes))
        // Stands before what it reads, and only a branch reads it.
        .node("If c -> y", &attributes)
        .node("Relu x -> outside", &[]);
    assert_eq!(
        tiny.nodes(),
        "%outside: f32[1, 2] = clip \"relu\"(%x) lo=0.0 hi=inf\n\
         %y: f32[1, 2] = add \"if/if/add\"(%outside, %x)\n"
    );
}

#[test]
fn conditions_and_branches_that_cannot_be_taken() {
    let computed = choice("1,2").with(|model| {
        graph(model).node[3].input[0] = "x".to_owned();
    });
    assert_has(
        &computed.refusal(),
        "the condition is constant; found `x`, which is computed at run time",
    );
    let absent = choice("1,2").with(|model| graph(model).node[3].attribute.clear());
    assert_has(&absent.refusal(), "attribute `then_branch` is missing");
    let wrong = choice("1,2").with(|model| graph(model).node[3].input[0] = "two".to_owned());
    assert_has(&wrong.refusal(), "operand 0 is i64, expected bool");
    let more = choice("1,2").with(|model| graph(model).node[3].output.push("more".to_owned()));
    assert_has(&more.refusal(), "as many outputs as the node has results");
    // What is wrong inside is reported like everything else.
    let inside = choice("1,2").with(|model| {
        let then = graph(model).node[3].attribute[0].g.as_mut().unwrap();
        then.node[0].op_type = "Shrink".to_owned();
    });
    assert_has(&inside.refusal(), "node: `if/relu`");
}
