//! The two storage types as one, for loops that serve both.

/// An int8 or int16 element.
pub(crate) trait Stored: Copy + Default + Ord {
    /// The element as a number.
    fn widen(self) -> i32;

    /// `value` as an element; it lies in the range of the type (bounds were checked before the run).
    fn narrow(value: i32) -> Self;
}

impl Stored for i8 {
    #[inline]
    fn widen(self) -> i32 {
        i32::from(self)
    }

    #[inline]
    fn narrow(value: i32) -> Self {
        value as i8
    }
}

impl Stored for i16 {
    #[inline]
    fn widen(self) -> i32 {
        i32::from(self)
    }

    #[inline]
    fn narrow(value: i32) -> Self {
        value as i16
    }
}
