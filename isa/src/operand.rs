//! Operands: what a field of an instruction word may hold, and how it lies in the word.
//!
//! The instruction list gives each field a [`Kind`] and a bit range. Everything else about a field (its Rust type, its legal
//! values, its sign) follows from these two, so encoder, decoder, assembler and manual read this module instead of
//! each deciding for itself.

use crate::inst::Engine;
use crate::instructions::Op;

/// First bit of a word that an instruction's own fields may use (bit 14 itself is the register page).
pub const FIRST_FIELD_BIT: u32 = 14;

/// Most fields an instruction has.
pub const MAX_FIELDS: usize = 12;

/// What a field means, and so how it is written and which values are legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Register page of the engine, 0 or 1.
    Page,
    /// Parameter slot, table slot or accumulator bank.
    Slot,
    /// Unsigned number.
    Count,
    /// Scratchpad row address.
    Row,
    /// Distance in scratchpad rows.
    Rows,
    /// DRAM byte address.
    Dram,
    /// Distance in DRAM bytes.
    Bytes,
    /// Two's complement number.
    Signed,
    /// One bit: no or yes.
    Flag,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 9] = [
        Kind::Page,
        Kind::Slot,
        Kind::Count,
        Kind::Row,
        Kind::Rows,
        Kind::Dram,
        Kind::Bytes,
        Kind::Signed,
        Kind::Flag,
    ];

    /// Name in the instruction list and the manual.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Page => "page",
            Kind::Slot => "slot",
            Kind::Count => "count",
            Kind::Row => "row",
            Kind::Rows => "rows",
            Kind::Dram => "dram",
            Kind::Bytes => "bytes",
            Kind::Signed => "signed",
            Kind::Flag => "flag",
        }
    }

    /// What it means, for the manual.
    pub const fn meaning(self) -> &'static str {
        match self {
            Kind::Page => "register page of the engine",
            Kind::Slot => "parameter slot, table slot or accumulator bank",
            Kind::Count => "unsigned number",
            Kind::Row => "scratchpad row address",
            Kind::Rows => "distance in scratchpad rows",
            Kind::Dram => "DRAM byte address",
            Kind::Bytes => "distance in DRAM bytes",
            Kind::Signed => "two's complement number",
            Kind::Flag => "0 (no) or 1 (yes)",
        }
    }

    /// Widest field of this kind: what its Rust type holds.
    const fn max_width(self) -> u32 {
        match self {
            Kind::Page | Kind::Flag => 1,
            Kind::Slot | Kind::Count | Kind::Row | Kind::Rows | Kind::Signed => 32,
            Kind::Dram | Kind::Bytes => 64,
        }
    }
}

/// One field of an instruction word.
#[derive(Clone, Copy, Debug)]
pub struct FieldDoc {
    /// Name in assembly and of the Rust field.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Lowest bit.
    pub lo: u32,
    /// One past the highest bit.
    pub hi: u32,
    /// Meaning: the list's doc comment, one line each.
    pub doc: &'static str,
}

impl FieldDoc {
    /// Bits.
    pub const fn width(&self) -> u32 {
        self.hi - self.lo
    }

    /// Smallest legal value.
    pub const fn min(&self) -> i128 {
        match self.kind {
            Kind::Signed => -(1 << (self.width() - 1)),
            _ => 0,
        }
    }

    /// Largest legal value.
    pub const fn max(&self) -> i128 {
        match self.kind {
            Kind::Signed => (1 << (self.width() - 1)) - 1,
            _ => (1 << self.width()) - 1,
        }
    }

    /// The word's bits that belong to this field.
    pub const fn mask(&self) -> u128 {
        ((1 << self.width()) - 1) << self.lo
    }

    /// `value`, which must be in `min..=max`, at its place in an otherwise zero word.
    pub(crate) const fn place(&self, value: i128) -> u128 {
        ((value as u128) << self.lo) & self.mask()
    }

    /// The value that `word` holds, sign-extended if the kind is signed.
    pub(crate) const fn extract(&self, word: u128) -> i128 {
        let raw = ((word & self.mask()) >> self.lo) as i128;
        if raw > self.max() { raw - (1 << self.width()) } else { raw }
    }
}

/// One instruction, as data.
#[derive(Clone, Copy, Debug)]
pub struct InstDoc {
    /// Name in assembly.
    pub mnemonic: &'static str,
    /// Bits 0..5 of the word; unique within an engine.
    pub opcode: u32,
    /// Engine that executes it; `None` if every engine does.
    pub engine: Option<Engine>,
    /// What it does: the list's doc comment, one line each.
    pub doc: &'static str,
    /// Fields in the order of the list.
    pub fields: &'static [FieldDoc],
    /// Makes the operation from one value per field; `None` if there are not as many or a Rust type cannot hold one.
    pub(crate) build: fn(&[i128]) -> Option<Op>,
}

impl InstDoc {
    /// The word's bits that some field of this instruction names, header excluded.
    pub const fn field_mask(&self) -> u128 {
        let mut mask = 0;
        let mut i = 0;
        while i < self.fields.len() {
            mask |= self.fields[i].mask();
            i += 1;
        }
        mask
    }

    /// Whether `engine` can execute it.
    pub fn runs_on(&self, engine: Engine) -> bool {
        self.engine.is_none_or(|own| own == engine)
    }
}

/// Stops the build if the list is not well formed: a field outside its word, wider than its type, or on top of another field;
/// a page that is not bit 14; an operation number that is too large or used twice in an engine.
pub(crate) const fn check(list: &[InstDoc]) {
    let mut i = 0;
    while i < list.len() {
        let inst = &list[i];
        assert!(inst.opcode < 32, "operation number needs more than 5 bits");
        assert!(inst.fields.len() <= MAX_FIELDS, "instruction has more fields than MAX_FIELDS");
        let mut used = 0;
        let mut f = 0;
        while f < inst.fields.len() {
            let field = &inst.fields[f];
            assert!(field.lo < field.hi && field.hi <= 128, "field leaves the word");
            assert!(field.width() <= field.kind.max_width(), "field is wider than its type");
            let is_page = matches!(field.kind, Kind::Page);
            assert!(
                is_page == (field.lo == FIRST_FIELD_BIT),
                "bit 14 is the register page, and no other is"
            );
            assert!(field.lo >= FIRST_FIELD_BIT, "field overlaps the header");
            assert!(used & field.mask() == 0, "fields overlap");
            used |= field.mask();
            f += 1;
        }
        let mut j = 0;
        while j < i {
            let same_engine = match (inst.engine, list[j].engine) {
                (Some(a), Some(b)) => a as usize == b as usize,
                (None, _) | (_, None) => true,
            };
            assert!(!(same_engine && inst.opcode == list[j].opcode), "operation number used twice");
            j += 1;
        }
        i += 1;
    }
}

/// `values`, then zeros.
pub(crate) fn padded<const N: usize>(values: [i128; N]) -> [i128; MAX_FIELDS] {
    std::array::from_fn(|i| values.get(i).copied().unwrap_or(0))
}

/// Rust types that hold a field.
pub(crate) trait FieldType: Sized {
    /// The type's value, or `None` if it cannot hold it.
    fn from_value(value: i128) -> Option<Self>;
}

impl FieldType for u32 {
    fn from_value(value: i128) -> Option<Self> {
        value.try_into().ok()
    }
}

impl FieldType for u64 {
    fn from_value(value: i128) -> Option<Self> {
        value.try_into().ok()
    }
}

impl FieldType for i32 {
    fn from_value(value: i128) -> Option<Self> {
        value.try_into().ok()
    }
}

impl FieldType for bool {
    fn from_value(value: i128) -> Option<Self> {
        match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn field(kind: Kind, lo: u32, hi: u32) -> FieldDoc {
        FieldDoc { name: "f", kind, lo, hi, doc: "" }
    }

    const fn inst(opcode: u32, engine: Option<Engine>, fields: &'static [FieldDoc]) -> InstDoc {
        InstDoc { mnemonic: "i", opcode, engine, doc: "", fields, build: |_| None }
    }

    /// What stops the build, if anything does. At build time the same assertions are evaluated in a constant.
    fn refused(list: &[InstDoc]) -> Option<&'static str> {
        let panic = std::panic::catch_unwind(|| check(list)).err()?;
        panic.downcast_ref::<&'static str>().copied()
    }

    #[test]
    fn malformed_lists_do_not_build() {
        let one = |fields: Vec<FieldDoc>| refused(&[inst(0, None, fields.leak())]);
        assert_eq!(one(vec![field(Kind::Page, 14, 15), field(Kind::Count, 15, 47)]), None);
        assert_eq!(
            one(vec![field(Kind::Count, 16, 20), field(Kind::Row, 19, 30)]),
            Some("fields overlap")
        );
        assert_eq!(one(vec![field(Kind::Count, 13, 20)]), Some("field overlaps the header"));
        assert_eq!(one(vec![field(Kind::Count, 96, 129)]), Some("field leaves the word"));
        assert_eq!(one(vec![field(Kind::Count, 20, 20)]), Some("field leaves the word"));
        assert_eq!(one(vec![field(Kind::Count, 20, 53)]), Some("field is wider than its type"));
        assert_eq!(one(vec![field(Kind::Flag, 20, 22)]), Some("field is wider than its type"));
        assert_eq!(
            one(vec![field(Kind::Page, 15, 16)]),
            Some("bit 14 is the register page, and no other is")
        );
        assert_eq!(
            refused(&[inst(32, None, &[])]),
            Some("operation number needs more than 5 bits")
        );
        let (load, store) = (Some(Engine::Load), Some(Engine::Store));
        assert_eq!(refused(&[inst(3, load, &[]), inst(3, store, &[])]), None);
        for (first, second) in [(load, load), (None, load), (load, None)] {
            let twice = refused(&[inst(3, first, &[]), inst(3, second, &[])]);
            assert_eq!(twice, Some("operation number used twice"));
        }
    }

    #[test]
    fn fields_keep_their_sign_and_place() {
        let signed = field(Kind::Signed, 20, 24);
        assert_eq!((signed.min(), signed.max(), signed.mask()), (-8, 7, 0xf0_0000));
        for value in signed.min()..=signed.max() {
            assert_eq!(signed.extract(signed.place(value) | !signed.mask()), value);
        }
        let wide = field(Kind::Dram, 64, 128);
        assert_eq!(wide.extract(wide.place(u64::MAX.into())), u64::MAX.into());
    }
}
