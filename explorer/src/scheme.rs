//! The schemes of a study, as a list.

/// A way to store and compute a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// What it is called.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
}

/// What a scheme does with weights and activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: float32.
    Float,
    /// Constants rounded to IEEE 754 half precision, computed in float32.
    HalfWeights,
    /// Weights rounded to integers with one scale per output channel, computed in float32 ("hybrid").
    WeightOnly {
        /// Bits of a weight.
        bits: u8,
    },
    /// int8 weights, and operands of convolutions and dense layers quantized at run time by their own range; all else float32.
    Dynamic,
    /// Integers throughout, as `qcc` compiles it.
    Static {
        /// Bits of a weight.
        weight_bits: u8,
        /// Bits of an activation.
        act_bits: u8,
        /// Hardware parameters set beside.
        set: &'static [(&'static str, u32)],
    },
}

const fn scheme(name: &'static str, kind: Kind) -> Scheme {
    Scheme { name, kind }
}

const fn integers(
    name: &'static str,
    weight_bits: u8,
    act_bits: u8,
    set: &'static [(&'static str, u32)],
) -> Scheme {
    Scheme { name, kind: Kind::Static { weight_bits, act_bits, set } }
}

/// All schemes, in the order of the table. The first is what the others are compared with.
pub const SCHEMES: &[Scheme] = &[
    scheme("float32", Kind::Float),
    scheme("float16 weights", Kind::HalfWeights),
    scheme("int8 weights only", Kind::WeightOnly { bits: 8 }),
    scheme("int4 weights only", Kind::WeightOnly { bits: 4 }),
    scheme("dynamic int8", Kind::Dynamic),
    integers("W8A8", 8, 8, &[]),
    integers("W8A16", 8, 16, &[("acc_bits", 48)]),
    integers("W4A8", 4, 8, &[]),
    integers("W4A4", 4, 4, &[]),
    integers("W8A8, shifts only", 8, 8, &[("multiplier_bits", 1), ("add_multiplier_bits", 1)]),
    integers(
        "W8A8, 8-bit multipliers",
        8,
        8,
        &[("multiplier_bits", 8), ("add_multiplier_bits", 8)],
    ),
    integers(
        "W8A8, 12-bit multipliers",
        8,
        8,
        &[("multiplier_bits", 12), ("add_multiplier_bits", 12)],
    ),
    integers(
        "W8A8, 16-bit multipliers",
        8,
        8,
        &[("multiplier_bits", 16), ("add_multiplier_bits", 16)],
    ),
    integers(
        "W8A8, 24-bit multipliers",
        8,
        8,
        &[("multiplier_bits", 24), ("add_multiplier_bits", 24)],
    ),
];

impl Kind {
    /// Options of `qcc` that give the same, for a scheme that it compiles.
    #[must_use]
    pub fn flags(&self) -> Option<String> {
        let Kind::Static { weight_bits, act_bits, set } = self else { return None };
        let mut flags = Vec::new();
        if *weight_bits != 8 {
            flags.push(format!("--weight-bits {weight_bits}"));
        }
        if *act_bits != 8 {
            flags.push(format!("--act-bits {act_bits}"));
        }
        flags.extend(set.iter().map(|(name, value)| format!("--set {name}={value}")));
        Some(flags.join(" "))
    }
}
