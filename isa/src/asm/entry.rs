//! Entries: the directives that are one line each.

use crate::hardware::{Hardware, PRESETS};
use crate::inst::Engine;
use crate::program::{IoBinding, NodeInfo, TensorInfo, Unit};

use super::error::AsmFault;
use super::fields::{Fields, text, unknown};

/// Units by name; the first is the default.
pub(crate) const UNITS: [(&str, Unit); 3] =
    [("none", Unit::None), ("array", Unit::Array), ("vector", Unit::Vector)];

/// Largest number of 32 bits.
const MAX32: i128 = u32::MAX as i128;

/// Largest number of 64 bits.
const MAX64: i128 = u64::MAX as i128;

/// `.hardware tiny8`
pub(super) fn preset(fields: &mut Fields<'_, '_>, hardware: &mut Hardware) {
    let Some(word) = fields.positional() else { return };
    match Hardware::preset(word.text) {
        Some(preset) => *hardware = preset,
        None => fields.sink.fail(word.span, unknown("preset", word.text, PRESETS.iter().copied())),
    }
}

/// `.tensor "x" shape=2x3x8 bits=8 scale=0.5 zero=-128 onnx=1,8,2,3 perm=0,2,3,1`
pub(super) fn tensor(fields: &mut Fields<'_, '_>) -> TensorInfo {
    TensorInfo {
        name: name(fields),
        shape: fields.extents("shape"),
        bits: fields.optional_number("bits", 0, u8::MAX.into()).unwrap_or(8),
        scale: scale(fields),
        zero_point: fields.number("zero", i32::MIN.into(), i32::MAX.into()),
        onnx_shape: fields.numbers("onnx"),
        perm: fields.numbers("perm"),
    }
}

fn scale(fields: &mut Fields<'_, '_>) -> f64 {
    let Some(word) = fields.optional("scale") else { return 1.0 };
    word.text.parse().unwrap_or_else(|_| {
        fields.form(&word, "a number");
        1.0
    })
}

/// `.input tensor=0 dram=0x1000`
pub(super) fn binding(fields: &mut Fields<'_, '_>) -> IoBinding {
    IoBinding {
        tensor: fields.required_number("tensor", 0, MAX32),
        dram: fields.required_number("dram", 0, MAX64),
    }
}

/// `.node "conv1" op="Conv" macs=384 unit=array weight_bits=8 act_bits=8 tile="2x3x8"`
pub(super) fn node(fields: &mut Fields<'_, '_>) -> NodeInfo {
    NodeInfo {
        name: name(fields),
        op: fields.text("op"),
        macs: fields.number("macs", 0, MAX64),
        unit: fields.choice("unit", &UNITS),
        weight_bits: fields.number("weight_bits", 0, u8::MAX.into()),
        act_bits: fields.number("act_bits", 0, u8::MAX.into()),
        tile: fields.text("tile"),
    }
}

/// `.code load base=0x2000`: the engine, and the base if there is one.
pub(super) fn code(
    fields: &mut Fields<'_, '_>,
    opened: &[Engine],
) -> Option<(Engine, Option<u64>)> {
    let base = fields.optional_number("base", 0, MAX64);
    let Some(word) = fields.positional() else {
        fields.lacks("engine");
        return None;
    };
    let Some(engine) = Engine::ALL.into_iter().find(|engine| engine.name() == word.text) else {
        fields.sink.fail(word.span, unknown("engine", word.text, Engine::ALL.map(Engine::name)));
        return None;
    };
    if opened.contains(&engine) {
        fields.sink.fail(word.span, AsmFault::Twice { name: format!(".code {engine}") });
    }
    Some((engine, base))
}

/// The quoted name in front.
fn name(fields: &mut Fields<'_, '_>) -> String {
    let Some(word) = fields.positional() else {
        fields.lacks("name");
        return String::new();
    };
    text(fields.sink, &word).unwrap_or_default()
}
