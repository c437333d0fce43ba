//! Int8 loops, plain and SIMD.
