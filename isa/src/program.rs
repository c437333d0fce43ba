//! The program: everything the machine and its host need to run one network, as data.

mod check;
mod error;
mod file;
mod preprocess;
mod records;
mod section;
mod wire;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::hardware::Hardware;
use crate::inst::{Engine, Inst, WORD_BYTES};
use crate::layout;

pub use check::MAX_DRAM_BYTES;
pub use error::{Fault, ProgramError};
pub use file::{FORMAT_VERSION, hash_bytes};
pub use preprocess::{
    Color, Filter, MAX_SIDE, PixelLayout, Preprocess, PreprocessError, Resize, ResizeTo,
};
pub use section::SectionKind;

/// A compiled network.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Machine it was compiled for.
    pub hardware: Hardware,
    /// Facts about the network and how it was made.
    pub meta: Meta,
    /// Tensors that instructions, notes and the host refer to.
    pub tensors: Vec<TensorInfo>,
    /// Network inputs in order: where the host writes them.
    pub inputs: Vec<IoBinding>,
    /// Network outputs in order: where the host reads them.
    pub outputs: Vec<IoBinding>,
    /// Network nodes in program order; notes refer to them.
    pub nodes: Vec<NodeInfo>,
    /// Code of each engine, indexed by [`Engine`], with its first byte in DRAM (a multiple of the burst size).
    pub code: [Section; 4],
    /// First DRAM byte of `constants`.
    pub constants_base: u64,
    /// Weights, parameters and tables as they lie in DRAM.
    pub constants: Vec<u8>,
    /// Bytes of DRAM the program uses; every address is below.
    pub dram_bytes: u64,
    /// Integer reference graph in text form (opaque here), for `qsim --check`.
    pub reference: Option<Vec<u8>>,
    /// Float model as ONNX bytes (`--embed-float`).
    pub float_model: Option<Vec<u8>>,
    /// What the host computes at both ends of the network.
    pub host: Host,
}

/// What the host computes, as ONNX bytes (opaque here).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    /// From the network's inputs to the program's, where they differ.
    pub head: Option<Vec<u8>>,
    /// From the program's outputs to the network's, where they differ.
    pub tail: Option<Vec<u8>>,
}

/// One engine's straight-line code and what each word is for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// First DRAM byte.
    pub base: u64,
    /// Words in order; the last is `halt`.
    pub words: Vec<Inst>,
    /// One note per word.
    pub notes: Vec<Note>,
}

/// Why a word is there; by default for no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Index into [`Program::nodes`]; `u32::MAX` for none.
    pub node: u32,
    /// Traffic class of a transfer.
    pub class: Class,
    /// The piece of a tensor that is complete in the scratchpad once this word has completed.
    pub tile: Option<TileNote>,
}

impl Default for Note {
    fn default() -> Self {
        Note { node: u32::MAX, class: Class::None, tile: None }
    }
}

/// DRAM traffic class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Not a transfer.
    #[default]
    None,
    /// Weights.
    Weights,
    /// Network inputs.
    Inputs,
    /// Network outputs.
    Outputs,
    /// Intermediate tensors that do not stay in the scratchpad.
    Spills,
    /// Requantization parameters and tables.
    Params,
}

/// A box of a tensor that is complete, and still whole, when the word with this note completes, and where it lies in the scratchpad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileNote {
    /// Index into [`Program::tensors`].
    pub tensor: u32,
    /// First row, column, channel.
    pub origin: [u32; 3],
    /// Rows, columns, channels.
    pub extent: [u32; 3],
    /// Scratchpad row of the first pixel, in the block of the first channel.
    pub row: u32,
    /// Lane of the first channel.
    pub lane: u32,
    /// Scratchpad rows from one image row to the next.
    pub row_stride: u32,
    /// Scratchpad rows from one channel block to the next.
    pub block_stride: u32,
    /// Scratchpad rows from high to low bytes of a 16-bit tensor.
    pub plane_stride: u32,
}

/// An integer tensor as the host sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// ONNX value name.
    pub name: String,
    /// Height, width, channels.
    pub shape: [u32; 3],
    /// 8 or 16.
    pub bits: u8,
    /// `real = scale * (q - zero_point)`.
    pub scale: f64,
    /// Stored integer of real zero.
    pub zero_point: i32,
    /// ONNX extents (inputs and outputs; else empty).
    pub onnx_shape: Vec<u32>,
    /// ONNX axis at each position once transposed to `[h, w, c]` order.
    pub perm: Vec<u32>,
}

/// A tensor's place in DRAM: channel blocks of `R` (the last narrower, unpadded) each `[h][w][lanes]`;
/// a 16-bit tensor is two such planes, high bytes then low bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoBinding {
    /// Index into [`Program::tensors`].
    pub tensor: u32,
    /// First DRAM byte.
    pub dram: u64,
}

/// A network node as reports name it.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeInfo {
    /// ONNX node name.
    pub name: String,
    /// ONNX operator.
    pub op: String,
    /// Multiply-accumulates of the network (not of the mapping).
    pub macs: u64,
    /// Whether the systolic array can do them (else only the vector engine can or does).
    pub unit: Unit,
    /// Weight bits, 0 if none.
    pub weight_bits: u8,
    /// Activation bits.
    pub act_bits: u8,
    /// Tile the compiler chose, for people (`"8x14x32, k 2"`).
    pub tile: String,
}

/// Which unit executes a node's multiply-accumulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Systolic array.
    Array,
    /// Vector engine lanes.
    Vector,
    /// No arithmetic to speak of.
    None,
}

/// Facts about a program.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Meta {
    /// Name of the network.
    pub model: String,
    /// sha256 of the ONNX file, hex.
    pub model_sha256: String,
    /// Extents given to symbolic dimensions when it was compiled.
    #[serde(default)]
    pub shapes: std::collections::BTreeMap<String, usize>,
    /// Version of the compiler that wrote it.
    pub compiler: String,
    /// Bits of most weights.
    pub weight_bits: u8,
    /// Bits of most activations.
    pub act_bits: u8,
    /// Where the activation ranges came from, for people.
    pub calibration: String,
    /// Truncated hashes of the calibration samples, to warn of overlap with test data.
    pub sample_hashes: Vec<u64>,
    /// Names of the classes of the first output, if given.
    pub labels: Vec<String>,
    /// Preprocessing of images and uint8 arrays.
    pub preprocess: Option<Preprocess>,
    /// How the weights were made, if they are not those of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random_weights: Option<RandomWeights>,
}

/// What random weights follow from, beside the network's structure.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomWeights {
    /// Seed.
    pub seed: u64,
    /// Smallest and largest input assumed; standardised inputs without.
    pub input_range: Option<(f32, f32)>,
}

impl Program {
    /// Code of one engine.
    pub fn section(&self, engine: Engine) -> &Section {
        &self.code[engine as usize]
    }

    /// DRAM bytes of the constants; ends saturate at `u64::MAX`.
    pub fn constants_bytes(&self) -> Range<u64> {
        self.constants_base..self.constants_base.saturating_add(self.constants.len() as u64)
    }

    /// DRAM bytes of an input or output; empty if its tensor does not exist. Ends saturate at `u64::MAX`.
    pub fn binding_bytes(&self, binding: &IoBinding) -> Range<u64> {
        let tensor = self.tensors.get(binding.tensor as usize);
        let bytes = tensor.map_or(0, |tensor| layout::dram_bytes(tensor.shape, tensor.bits));
        binding.dram..binding.dram.saturating_add(bytes)
    }
}

impl Section {
    /// DRAM bytes of the words; ends saturate at `u64::MAX`.
    pub fn bytes(&self) -> Range<u64> {
        self.base..self.base.saturating_add((self.words.len() * WORD_BYTES) as u64)
    }
}
