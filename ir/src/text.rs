//! The text forms: `.gir` for the float graph, `.qir` for the integer graph.
//!
//! Both share one grammar; `Display` prints it and `FromStr` reads it. What is printed, read and printed again is the
//! same text, and nothing is lost: floats are written with the fewest digits that give the same bits, large constants
//! as hexadecimal little-endian bytes.
//!
//! ```text
//! graph "net" (%x: f32[1, 1, 4, 4]) -> (%y) {
//!   %w: f32[2, 1, 1, 1] = const data=[0.5, -1.0]
//!   %c: f32[1, 2, 4, 4] = conv "conv1"(%x, %w) kernel=[1, 1] stride=[1, 1] dilation=[1, 1] pad=[0, 0, 0, 0] groups=1
//!   %y: f32[1, 2, 4, 4] = clip "relu1"(%c) lo=0.0 hi=inf
//! }
//! ```
//!
//! ```text
//! file      = kind "name" attribute* "(" value,* ")" "->" "(" %name,* ")" "{" statement* "}"
//! value     = %name ":" type "[" extent,* "]" attribute*
//! statement = value "=" operator ["node name"] ["(" %name,* ")"] attribute*
//! attribute = word "=" (atom | "string" | "[" atom,* "]")
//! ```
//!
//! An atom is a number, a word, or `0x` with hexadecimal digits. Names with unusual characters are quoted: `%"a b"`.
//! `//` starts a comment. A name may be used before the statement that makes it, so that the text can also hold a
//! graph that [`verify`](crate::verify) refuses.

mod attributes;
mod error;
mod float;
mod integer;
mod syntax;
#[cfg(test)]
mod tests;
mod write;

pub use error::ParseError;
