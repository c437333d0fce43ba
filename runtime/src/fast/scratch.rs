//! Memory for results and intermediate sums, used again within a run and by later ones.
//!
//! Fresh memory costs a page fault per 4 KiB and its clearing, a noticeable part of a small network's time.

use std::borrow::Cow;

use super::stored::Pooled;
use crate::{QData, QTensor};

/// Vectors that are free, with whatever they held.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(super) bytes: Vec<Vec<i8>>,
    pub(super) words: Vec<Vec<i16>>,
    /// Activations in the form of products, 128 too large.
    pub(super) excess: Vec<Vec<u8>>,
    /// Sums of int8 products.
    pub(super) sums: Vec<i32>,
    /// Sums of int16 products.
    pub(super) wide_sums: Vec<i64>,
}

impl Scratch {
    /// `len` elements of any content.
    pub(super) fn take<T: Pooled>(&mut self, len: usize) -> Vec<T> {
        let free = T::free(self);
        // The smallest that is large enough, or else the largest.
        let by_fit = |v: &Vec<T>| (v.len() < len, v.len().abs_diff(len));
        let best = (0..free.len()).min_by_key(|&i| by_fit(&free[i]));
        let mut vec = best.map(|i| free.swap_remove(i)).unwrap_or_default();
        vec.resize(len, T::default());
        vec
    }

    /// Takes back a vector.
    pub(super) fn give<T: Pooled>(&mut self, vec: Vec<T>) {
        T::free(self).push(vec);
    }

    /// Takes back a vector if `data` is not borrowed.
    pub(super) fn give_copy<T: Pooled>(&mut self, data: Cow<'_, [T]>) {
        if let Cow::Owned(vec) = data {
            self.give(vec);
        }
    }

    /// Takes back a tensor that nobody needs any more.
    pub(crate) fn recycle(&mut self, tensor: QTensor) {
        match tensor.data {
            QData::I8(data) => self.give(data),
            QData::I16(data) => self.give(data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_fit_is_used_again() {
        let mut scratch = Scratch::default();
        for len in [10, 1000, 100] {
            scratch.give(vec![1_i8; len]);
        }
        assert_eq!(scratch.take::<i8>(50), [1; 50]);
        assert_eq!(scratch.take::<i8>(2000).len(), 2000);
        assert_eq!(scratch.take::<i8>(10), [1; 10]);
        assert_eq!(scratch.take::<i8>(10), [0; 10]);
        assert_eq!(scratch.take::<i16>(3), [0; 3]);
    }
}
