//! Dot product of two rows.

use crate::{InstructionSet, plain};

/// Sum of `a[i] * b[i]` in wrapping `i32` (exact up to 2^17 elements).
///
/// # Panics
/// If the lengths differ.
pub fn qs8_dot(a: &[i8], b: &[i8]) -> i32 {
    dot_with(InstructionSet::best(), a, b)
}

pub(crate) fn dot_with(set: InstructionSet, a: &[i8], b: &[i8]) -> i32 {
    assert_eq!(a.len(), b.len(), "a dot product needs two rows of one length");
    match set {
        InstructionSet::Plain => plain::qs8_dot(a, b),
        #[cfg(target_arch = "x86_64")]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni => crate::x86::qs8_dot(a, b),
        #[cfg(not(target_arch = "x86_64"))]
        InstructionSet::Avx2 | InstructionSet::Avx512Vnni => plain::qs8_dot(a, b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_numbers() {
        // 1*4 + 2*(-5) + (-3)*6 = 4 - 10 - 18
        assert_eq!(qs8_dot(&[1, 2, -3], &[4, -5, 6]), -24);
        assert_eq!(qs8_dot(&[], &[]), 0);
    }

    proptest! {
        #[test]
        fn every_set_equals_plain(
            pairs in prop::collection::vec((crate::tests::element(), crate::tests::element()), 0..300)
        ) {
            let (a, b): (Vec<i8>, Vec<i8>) = pairs.into_iter().unzip();
            for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                prop_assert_eq!(dot_with(set, &a, &b), plain::qs8_dot(&a, &b), "{}", set);
            }
        }
    }
}
