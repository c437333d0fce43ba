//! The `isa!` macro: from the instruction list to Rust types and a table.
//!
//! Each entry becomes a struct with its fields, a variant of `Op`, and a row of `MANUAL` that describes it as plain data.
//! The macro stops there on purpose: encoder, decoder, assembler, disassembler, manual and random generator are ordinary
//! functions over the row and one number per field, so none of them mentions an instruction by name and none can drift
//! from the list. A list with overlapping fields, a field wider than its type or an operation number used twice does
//! not compile (`operand::check` runs in a constant).

/// Declares every instruction: `opcode "mnemonic" Name on Engine { field: Kind = lo..hi, .. }`, all with doc comments.
macro_rules! isa {
    ($(
        $(#[doc = $doc:literal])+
        $opcode:literal $mnemonic:literal $name:ident on $engine:ident {
            $($(#[doc = $field_doc:literal])+ $field:ident: $kind:ident = $lo:literal..$hi:literal),* $(,)?
        }
    )*) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $name {
                $($(#[doc = $field_doc])+ pub $field: $crate::declare::field_type!($kind),)*
            }

            impl $name {
                /// Its row of the manual.
                pub const DOC: $crate::operand::InstDoc = $crate::operand::InstDoc {
                    mnemonic: $mnemonic,
                    opcode: $opcode,
                    engine: $crate::declare::engine!($engine),
                    doc: concat!($($doc, "\n"),+),
                    fields: &[$($crate::operand::FieldDoc {
                        name: stringify!($field),
                        kind: $crate::operand::Kind::$kind,
                        lo: $lo,
                        hi: $hi,
                        doc: concat!($($field_doc, "\n"),+),
                    }),*],
                    build: |values| {
                        let &[$($field),*] = values else { return None };
                        Some(Op::$name($name { $($field: $crate::operand::FieldType::from_value($field)?),* }))
                    },
                };
            }

            impl From<$name> for Op {
                fn from(op: $name) -> Op {
                    Op::$name(op)
                }
            }
        )*

        /// What an instruction does, with its operands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Op {
            $($(#[doc = $doc])+ $name($name),)*
        }

        impl Op {
            /// Its row of the manual: mnemonic, engine, fields.
            pub const fn doc(&self) -> &'static $crate::operand::InstDoc {
                match self {
                    $(Op::$name(_) => &$name::DOC,)*
                }
            }

            /// One number per field, in the order of `self.doc().fields`, then zeros.
            pub fn values(&self) -> [i128; $crate::operand::MAX_FIELDS] {
                match self {
                    $(Op::$name($name { $($field),* }) => $crate::operand::padded([$(i128::from(*$field)),*]),)*
                }
            }
        }

        /// Every instruction in the order of the list.
        pub const MANUAL: &[$crate::operand::InstDoc] = &[$($name::DOC),*];

        const _: () = $crate::operand::check(MANUAL);
    };
}

/// Rust type of a field, by kind.
macro_rules! field_type {
    (Dram) => {
        u64
    };
    (Bytes) => {
        u64
    };
    (Signed) => {
        i32
    };
    (Flag) => {
        bool
    };
    ($kind:ident) => {
        u32
    };
}

/// The engine named in the list; `Any` is every engine.
macro_rules! engine {
    (Any) => {
        None
    };
    ($engine:ident) => {
        Some($crate::inst::Engine::$engine)
    };
}

pub(crate) use {engine, field_type, isa};
