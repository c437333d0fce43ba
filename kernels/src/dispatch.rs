//! Which vector unit the kernels use.

use std::fmt;
use std::sync::OnceLock;

/// A set of instructions that kernels are written for, from the plainest to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstructionSet {
    /// Rust loops, for any processor.
    Plain,
    /// 256-bit vectors: operands widened to 16 bits and multiplied in pairs (`vpmaddwd`).
    Avx2,
    /// 512-bit vectors with byte dot products (`vpdpbusd`), with AVX-512 BW, DQ and VL beside them.
    Avx512Vnni,
}

impl InstructionSet {
    /// All sets, plainest first.
    pub const ALL: [InstructionSet; 3] = [Self::Plain, Self::Avx2, Self::Avx512Vnni];

    /// The widest set this processor has; found out once.
    pub fn best() -> Self {
        static BEST: OnceLock<InstructionSet> = OnceLock::new();
        let widest = || Self::ALL.into_iter().rev().find(|set| set.is_available());
        *BEST.get_or_init(|| widest().unwrap_or(Self::Plain))
    }

    /// Whether this processor can run the set's kernels.
    pub fn is_available(self) -> bool {
        match self {
            Self::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512Vnni => false,
        }
    }

    /// Name as printed in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Avx2 => "avx2",
            Self::Avx512Vnni => "avx512-vnni",
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_set_is_available() {
        assert!(InstructionSet::best().is_available());
        assert!(InstructionSet::Plain.is_available());
    }
}
