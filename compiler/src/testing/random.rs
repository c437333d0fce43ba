//! Random small image networks.

use ir::graph::{Graph, Op, ValueId, Window};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::Build;

/// A network of about ten operators over odd shapes, ending in a dense layer, a map, or both.
pub(crate) fn random_graph(seed: u64) -> Graph {
    network(seed, PLAIN)
}

/// As [`random_graph`], with functions of one value, leaky ReLUs, extrema and local response normalizations among the operators.
pub(crate) fn random_functions(seed: u64) -> Graph {
    network(seed, ALL)
}

/// Kinds of layers without functions.
const PLAIN: u32 = 11;

/// Kinds of layers.
const ALL: u32 = 16;

fn network(seed: u64, kinds: u32) -> Graph {
    let mut rng = Pcg64::seed_from_u64(seed ^ 0x9e37);
    let mut b = Build::new(seed);
    let shape = [1, rng.random_range(1..5), rng.random_range(5..10), rng.random_range(4..9)];
    let mut x = b.input(&shape);
    for _ in 0..rng.random_range(3..9) {
        x = layer(&mut b, &mut rng, x, kinds);
    }
    let mut outputs = vec![];
    if rng.random_bool(0.3) {
        outputs.push(x);
    }
    if outputs.is_empty() || rng.random_bool(0.5) {
        outputs.push(head(&mut b, &mut rng, x));
    }
    b.finish(&outputs)
}

fn layer(b: &mut Build, rng: &mut Pcg64, x: ValueId, kinds: u32) -> ValueId {
    let s = b.shape(x);
    let c = s[1];
    let same = Window { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pad: [1; 4] };
    match rng.random_range(0..kinds) {
        0 | 1 => {
            let stride = [rng.random_range(1..3), rng.random_range(1..3)];
            let m = rng.random_range(1..7);
            let y = b.conv_window(x, m, Window { stride, ..same }, 1);
            let y = if rng.random() { b.batch_norm(y) } else { y };
            b.relu(y)
        }
        2 => {
            let y = b.conv_window(x, c, same, c);
            let y = b.batch_norm(y);
            b.clip(y, 0.0, 6.0)
        }
        3 => {
            let y = b.conv_window(x, c, same, 1);
            let (p, q) = if rng.random() { (x, y) } else { (y, x) };
            let op = [Op::Add, Op::Sub, Op::Mul][rng.random_range(0..3)].clone();
            b.op(op, &[p, q], &s)
        }
        4 => b.batch_norm(x),
        5 => {
            let k =
                b.constant(&[[1, c, 1, 1], [1, 1, 1, 1], [1, 1, 1, s[3]]][rng.random_range(0..3)]);
            let op = [Op::Add, Op::Sub, Op::Mul][rng.random_range(0..3)].clone();
            b.op(op, &[x, k], &s)
        }
        6 => {
            let window = Window { pad: [1, 1, 0, 0], kernel: [2, 3], ..same };
            let max = |window| Op::MaxPool { window };
            b.pool(x, max, window)
        }
        7 => {
            let include: fn(Window) -> Op =
                |window| Op::AveragePool { window, count_include_pad: true };
            let exclude: fn(Window) -> Op =
                |window| Op::AveragePool { window, count_include_pad: false };
            b.pool(x, if rng.random() { include } else { exclude }, same)
        }
        8 => {
            let y = b.conv_window(x, rng.random_range(1..4), same, 1);
            let m = b.shape(y)[1];
            b.op(Op::Concat { axis: 1 }, &[x, y], &[1, c + m, s[2], s[3]])
        }
        9 => {
            let turned = b.op(Op::Transpose { perm: vec![0, 2, 3, 1] }, &[x], &[1, s[2], s[3], c]);
            let y = b.clip(turned, -0.4, 0.7);
            b.op(Op::Transpose { perm: vec![0, 3, 1, 2] }, &[y], &s)
        }
        10 => {
            // Squeeze and excitation.
            let mean = b.op(Op::ReduceMean { axes: vec![2, 3] }, &[x], &[1, c, 1, 1]);
            let gate = b.conv(mean, c, [1, 1], 1);
            let gate = b.clip(gate, 0.0, 1.0);
            b.op(Op::Mul, &[gate, x], &s)
        }
        11 => {
            let functions = ["x sigmoid", "x 0.1 leaky_relu", "x tanh", "x x sigmoid mul"];
            let y = b.conv_window(x, c, same, 1);
            b.unary(y, functions[rng.random_range(0..functions.len())])
        }
        12 => {
            // A hard swish spelled out.
            let y = b.conv_window(x, c, same, 1);
            let (three, sixth) =
                (b.constant_of(&[1], vec![3.0]), b.constant_of(&[], vec![1.0 / 6.0]));
            let gate = b.op(Op::Add, &[y, three], &s);
            let gate = b.clip(gate, 0.0, 6.0);
            let product = b.op(Op::Mul, &[gate, y], &s);
            b.op(Op::Mul, &[product, sixth], &s)
        }
        13 => {
            let slope =
                [vec![c, 1, 1], vec![s[3]], vec![1, 1, s[2], 1]][rng.random_range(0..3)].clone();
            let slope = b.constant(&slope);
            b.op(Op::PRelu, &[x, slope], &s)
        }
        14 => {
            let y = b.conv_window(x, c, same, 1);
            let size = rng.random_range(1..7);
            b.op(Op::Lrn { size, alpha: 0.5, beta: 0.75, bias: 1.0 }, &[y], &s)
        }
        _ => {
            let y = b.conv_window(x, c, same, 1);
            let (p, q) = if rng.random() { (x, y) } else { (y, x) };
            b.op(if rng.random() { Op::Max } else { Op::Min }, &[p, q], &s)
        }
    }
}

fn head(b: &mut Build, rng: &mut Pcg64, x: ValueId) -> ValueId {
    let s = b.shape(x);
    let y = if rng.random() {
        let mean = b.op(Op::ReduceMean { axes: vec![2, 3] }, &[x], &[1, s[1], 1, 1]);
        b.op(Op::Reshape, &[mean], &[1, s[1]])
    } else {
        b.op(Op::Reshape, &[x], &[1, s[1] * s[2] * s[3]])
    };
    let y = b.dense(y, 6);
    if rng.random() { b.op(Op::Softmax { axis: 1 }, &[y], &[1, 6]) } else { y }
}
