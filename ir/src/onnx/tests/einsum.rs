//! Einsum, and the largest along axes.

use super::*;

fn einsum(equation: &str, a: &str, b: &str) -> Tiny {
    let attribute = string("equation", equation);
    Tiny::new(13).input("a", a).input("b", b).node("Einsum a b -> y", &[attribute])
}

#[test]
fn products_of_matrices_in_any_order_of_axes() {
    // Scores of attention, channels last: i rows, j columns, h heads.
    let text = einsum("bihd,bjhd->bhij", "1,5,2,4", "1,6,2,4").nodes();
    assert_has(
        &text,
        "%y/rows_turned: f32[1, 2, 5, 4] = transpose \"einsum/rows_turned\"(%a) perm=[0, 2, 1, 3]",
    );
    assert_has(
        &text,
        "%y/columns_turned: f32[1, 2, 4, 6] = transpose \"einsum/columns_turned\"(%b) perm=[0, 2, 3, 1]",
    );
    assert_has(&text, "%y/product: f32[2, 5, 6] = matmul");
    assert_has(&text, "%y: f32[1, 2, 5, 6] = transpose");
    // Results in another order than the product has them; spaces do not count.
    let text = einsum("ij , jk -> ki", "3,4", "4,5").nodes();
    assert_has(&text, "%y: f32[5, 3] = transpose \"einsum\"(%y/axes) perm=[1, 0]");
    // Without a right side: what occurs once, in alphabetical order.
    assert_has(&einsum("kj,ji", "3,4", "4,5").nodes(), "%y: f32[5, 3] = transpose");
    // No columns: vectors.
    assert_has(&einsum("bi,bi->b", "3,4", "3,4").nodes(), "%y/product: f32[3, 1, 1] = matmul");
}

#[test]
fn what_is_no_product_of_matrices_is_refused() {
    for equation in ["ii,ij->j", "ij,jk->i", "i...,i->i", "ij,jk,kl->il", "ij,jk->il", "ij"] {
        assert_has(
            &einsum(equation, "3,3", "3,3").refusal(),
            "its equation is a product of matrices",
        );
    }
    assert_has(
        &einsum("ij,jk->ik", "3,4", "5,6").refusal(),
        "operand 1 has shape [5, 6], expected [4, 6]",
    );
    assert_has(&einsum("ij,jk->ik", "3,4,5", "4,6").refusal(), "an index for each axis");
    let constant = Tiny::new(13).input("a", "3,4").floats("b", &[4, 5]);
    let constant = constant.node("Einsum a b -> y", &[string("equation", "ij,jk->ik")]);
    assert_has(&constant.refusal(), "found `b`, which is constant");
}

#[test]
fn the_largest_is_a_pool() {
    let tiny = Tiny::new(13).input("x", "2,3,4");
    let text = tiny.node("ReduceMax x -> y", &[ints("axes", &[1]), int("keepdims", 0)]).nodes();
    assert_has(&text, "%y/map: f32[1, 8, 1, 3] = reshape");
    assert_has(&text, "%y/largest: f32[1, 8, 1, 1] = max_pool");
    assert_has(&text, "%y: f32[2, 4] = reshape");
}
