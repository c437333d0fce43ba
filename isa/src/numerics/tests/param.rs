use proptest::prelude::*;

use crate::numerics::param::{ParamEntry, ParamLayout};
use crate::numerics::{NumericsError, Requant};

const ENTRY: ParamEntry =
    ParamEntry { bias: -2, requant: Requant { multiplier: 0x2ab_cdef, shift: 37 } };

#[test]
fn fields_lie_where_the_manual_says() {
    let mut bytes = Vec::new();
    ParamLayout::Narrow.pack(&ENTRY, &mut bytes).unwrap();
    let word: u64 = 0xffff_fffe | 0x2ab_cdef << 32 | 37 << 58;
    assert_eq!(bytes, word.to_le_bytes());

    bytes.clear();
    ParamLayout::Wide.pack(&ENTRY, &mut bytes).unwrap();
    let word: u128 = 0xffff_ffff_ffff_fffe | 0x2ab_cdef << 64 | 37 << 96;
    assert_eq!(bytes, word.to_le_bytes());
}

#[test]
fn the_machine_chooses_the_layout() {
    assert_eq!(ParamLayout::for_widths(32, 26), ParamLayout::Narrow);
    assert_eq!(ParamLayout::for_widths(33, 26), ParamLayout::Wide);
    assert_eq!(ParamLayout::for_widths(32, 27), ParamLayout::Wide);
}

proptest! {
    #[test]
    fn entries_are_read_back(bias in any::<i32>(), multiplier in 0..1u32 << 26, shift in 0..=62u8, wide in any::<i64>()) {
        let requant = Requant { multiplier, shift };
        let narrow = ParamEntry { bias: bias.into(), requant };
        let entries = [(ParamLayout::Narrow, narrow), (ParamLayout::Wide, ParamEntry { bias: wide, requant })];
        for (layout, entry) in entries {
            let mut bytes = Vec::new();
            layout.pack(&entry, &mut bytes).unwrap();
            prop_assert_eq!(bytes.len(), layout.entry_bytes());
            prop_assert_eq!(layout.unpack(&bytes), Ok(entry));
        }
    }

    /// Whatever is accepted is the one way to write it.
    #[test]
    fn any_bytes_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 16), clear in any::<bool>()) {
        let mut wide = bytes.clone();
        if clear {
            wide[13..].fill(0);
            wide[11] &= 0x7f;
            wide[12] &= 0x3f;
        }
        for (layout, bytes) in [(ParamLayout::Narrow, &bytes[..8]), (ParamLayout::Wide, &wide[..])] {
            if let Ok(entry) = layout.unpack(bytes) {
                let mut again = Vec::new();
                layout.pack(&entry, &mut again).unwrap();
                prop_assert_eq!(&again, bytes);
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_no_bytes() {
    let mut out = vec![9];
    let mut refused = |layout: ParamLayout, bias, multiplier, shift| {
        let entry = ParamEntry { bias, requant: Requant { multiplier, shift } };
        let error = layout.pack(&entry, &mut out).unwrap_err();
        assert_eq!(out, [9]);
        error
    };
    let bias = i64::from(i32::MAX) + 1;
    assert_eq!(
        refused(ParamLayout::Narrow, bias, 1, 1),
        NumericsError::BiasTooWide { bias, bits: 32 }
    );
    let multiplier = 1 << 26;
    let error = refused(ParamLayout::Narrow, 0, multiplier, 1);
    assert_eq!(error, NumericsError::MultiplierTooWide { multiplier, bits: 26 });
    let multiplier = 1 << 31;
    let error = refused(ParamLayout::Wide, 0, multiplier, 1);
    assert_eq!(error, NumericsError::MultiplierTooWide { multiplier, bits: 31 });
    let error = refused(ParamLayout::Wide, 0, 1, 63);
    assert_eq!(error, NumericsError::ShiftTooLarge { shift: 63 });
}

#[test]
fn damaged_entries_are_refused() {
    let unpack = |layout: ParamLayout, bytes: &[u8]| layout.unpack(bytes).unwrap_err();
    assert_eq!(
        unpack(ParamLayout::Narrow, &[0; 7]),
        NumericsError::EntryLength { found: 7, expected: 8 }
    );
    assert_eq!(
        unpack(ParamLayout::Wide, &[0; 17]),
        NumericsError::EntryLength { found: 17, expected: 16 }
    );
    let shift63 = (63u64 << 58).to_le_bytes();
    assert_eq!(unpack(ParamLayout::Narrow, &shift63), NumericsError::ShiftTooLarge { shift: 63 });
    let reserved = (1u128 << 127).to_le_bytes();
    assert_eq!(unpack(ParamLayout::Wide, &reserved), NumericsError::ReservedBits { bits: 1 << 25 });
    let first_reserved = (1u128 << 102).to_le_bytes();
    assert_eq!(unpack(ParamLayout::Wide, &first_reserved), NumericsError::ReservedBits { bits: 1 });
    let wide_multiplier = (1u128 << 95).to_le_bytes();
    assert!(matches!(
        unpack(ParamLayout::Wide, &wide_multiplier),
        NumericsError::MultiplierTooWide { .. }
    ));
}
