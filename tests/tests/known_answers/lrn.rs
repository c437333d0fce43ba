//! Local response normalization.
#![cfg_attr(rustfmt, rustfmt_skip)]

use super::model::Attribute::{Float, Int};
use super::model::Case;

pub(crate) const CASES: &[Case] = &[
    Case {
        op: "LRN",
        opset: 13,
        attributes: &[("size", Int(5)), ("alpha", Float(1.0)), ("beta", Float(0.75)), ("bias", Float(1.0))],
        input: &[1, 9, 1, 2],
        constants: &[],
        shape: &[1, 9, 1, 2],
        output: &[-0.669955, -0.0342561, 0.590824, -0.489002, 0.122808, 0.755872, -0.301074, 0.285015, -0.7708, -0.138844, 0.45602, -0.604956, 0.0149774, 0.640638, -0.426821, 0.186169, 0.81772, -0.28897],
    },
    Case {
        op: "LRN",
        opset: 13,
        attributes: &[("size", Int(3)), ("alpha", Float(2.0)), ("beta", Float(0.5)), ("bias", Float(2.0))],
        input: &[1, 4, 2, 2],
        constants: &[],
        shape: &[1, 4, 2, 2],
        output: &[-0.501127, -0.025093, 0.449705, -0.381557, 0.0925779, 0.562207, -0.234229, 0.220885, -0.572589, -0.104859, 0.3552, -0.458658, 0.0124889, 0.489898, -0.336407, 0.142669],
    },
    Case {
        op: "LRN",
        opset: 13,
        attributes: &[("size", Int(4)), ("alpha", Float(0.5)), ("beta", Float(1.0)), ("bias", Float(1.0))],
        input: &[1, 7, 2, 1],
        constants: &[],
        shape: &[1, 7, 2, 1],
        output: &[-0.683911, -0.0349803, 0.604204, -0.500129, 0.134646, 0.773495, -0.325831, 0.303465, -0.79099, -0.155541, 0.489062, -0.630998, 0.0192446, 0.668426],
    },
    Case {
        op: "LRN",
        opset: 13,
        attributes: &[("size", Int(1)), ("alpha", Float(3.0)), ("beta", Float(0.75)), ("bias", Float(0.5))],
        input: &[1, 5, 1, 2],
        constants: &[],
        shape: &[1, 5, 1, 2],
        output: &[-0.414237, -0.0667914, 0.420967, -0.425959, 0.241741, 0.401876, -0.400223, 0.393278, -0.399685, -0.264961],
    },
    Case {
        op: "LRN",
        opset: 13,
        attributes: &[("size", Int(9)), ("alpha", Float(1.0)), ("beta", Float(0.75)), ("bias", Float(1.0))],
        input: &[1, 4, 1, 3],
        constants: &[],
        shape: &[1, 4, 1, 3],
        output: &[-0.714232, -0.0385005, 0.576265, -0.531096, 0.154002, 0.740912, -0.347959, 0.346504, -0.757376, -0.164823, 0.539006, -0.592729],
    },
    Case {
        op: "LRN",
        opset: 13,
        attributes: &[("size", Int(5))],
        input: &[1, 8, 2, 1],
        constants: &[],
        shape: &[1, 8, 2, 1],
        output: &[-0.779987, -0.0399993, 0.699987, -0.579989, 0.159995, 0.899982, -0.37999, 0.35999, -0.919982, -0.179994, 0.559987, -0.719986, 0.0199996, 0.759987, -0.519995, 0.219996],
    },
];
