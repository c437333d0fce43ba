//! Presets, TOML, settings, rules, and that no text panics.

use proptest::prelude::*;

use super::*;
use crate::numerics::Rounding;

fn set(name: &str, value: &str) -> Result<Hardware, HardwareError> {
    let mut hardware = Hardware::default();
    hardware.set(name, value)?;
    Ok(hardware)
}

fn message(result: Result<Hardware, HardwareError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn every_preset_is_valid_and_edge16_is_the_default() {
    for name in PRESETS {
        assert_eq!(Hardware::preset(name).unwrap().validate(), Ok(()), "{name}");
    }
    assert_eq!(Hardware::preset("edge16"), Some(Hardware::default()));
    assert_eq!(Hardware::preset("edge64"), None);
}

#[test]
fn presets_have_the_sizes_of_the_design() {
    let size = |name| {
        let hw = Hardware::preset(name).unwrap();
        let array = (hw.array_rows, hw.array_cols, hw.vector_lanes, hw.depthwise_taps);
        (array, hw.scratchpad_kib, hw.acc_rows, hw.dram_bytes_per_cycle, hw.dram_latency_cycles)
    };
    assert_eq!(size("tiny8"), ((8, 8, 8, 3), 32, 64, 4, 50));
    assert_eq!(size("edge16"), ((16, 16, 16, 9), 384, 256, 12, 100));
    assert_eq!(size("edge32"), ((32, 32, 32, 9), 512, 256, 24, 100));
    assert_eq!(size("tpu128"), ((128, 128, 128, 9), 8192, 1024, 64, 200));
    assert_eq!(size("tpu256"), ((256, 256, 256, 9), 24576, 1024, 128, 200));
}

#[test]
fn derived_sizes() {
    let hw = Hardware::default();
    assert_eq!((hw.scratchpad_bytes(), hw.row_bytes()), (393_216, 16));
    assert_eq!((hw.scratchpad_rows(), hw.rows_per_bank()), (24_576, 1536));
    assert_eq!(hw.param_entry_bytes(), 8);
    assert_eq!(set("acc_bits", "48").unwrap().param_entry_bytes(), 16);
    assert_eq!(set("multiplier_bits", "27").unwrap().param_entry_bytes(), 16);
    for layout in [ParamLayout::Narrow, ParamLayout::Wide] {
        let hw = set("acc_bits", if layout == ParamLayout::Wide { "33" } else { "32" }).unwrap();
        assert_eq!(hw.param_layout(), layout);
        assert_eq!(hw.param_entry_bytes() as usize, layout.entry_bytes());
    }
    let widths = [(2, 8), (4, 16), (5, 8), (8, 16)];
    let rates = widths.map(|(w, a)| (k_rows_per_pe(w), activation_passes(a)));
    assert_eq!(rates, [(2, 1), (2, 2), (1, 1), (1, 2)]);
}

#[test]
fn test_machines_may_be_tiny() {
    for (rows, cols) in [("1", "1"), ("2", "8"), ("4", "16")] {
        let mut hw = Hardware::default();
        for (name, value) in [
            ("array_rows", rows),
            ("array_cols", cols),
            ("scratchpad_kib", "1"),
            ("scratchpad_banks", "1"),
            ("acc_rows", "8"),
            ("vector_lanes", "1"),
            ("depthwise_taps", "1"),
        ] {
            hw.set(name, value).unwrap();
        }
        assert_eq!(hw.validate(), Ok(()));
    }
}

#[test]
fn a_refused_value_says_what_was_expected() {
    assert_eq!(message(set("array_rows", "12")), "`array_rows` = 12: must be a power of two");
    assert_eq!(message(set("array_rows", "512")), "`array_rows` = 512: must be in 1..=256 (PEs)");
    assert_eq!(
        message(set("acc_rows", "many")),
        "`acc_rows` = many: must be an integer in 8..=2047 (rows per bank)"
    );
    assert_eq!(
        message(set("clock_mhz", "-1")),
        "`clock_mhz` = -1: must be an integer in 1..=10000 (MHz)"
    );
    assert_eq!(
        message(set("rounding", "nearest")),
        "`rounding`: unknown rounding mode `nearest`: must be half-even, half-up, half-away or floor"
    );
    assert!(message(set("array_rows", "18446744073709551615")).contains("must be in 1..=256"));
}

#[test]
fn a_misspelt_name_is_put_right() {
    for (wrong, right) in [
        ("array_row", "did you mean `array_rows`"),
        ("dram_latency", "did you mean `dram_latency_cycles`"),
        ("dram_byte_per_cycle", "did you mean `dram_bytes_per_cycle`"),
        ("roundign", "did you mean `rounding`"),
        ("frobnicate", "the manual lists them all"),
        ("", "the manual lists them all"),
    ] {
        let found = message(set(wrong, "1"));
        assert!(found.starts_with(&format!("unknown hardware parameter `{wrong}`")), "{found}");
        assert!(found.contains(right), "{found}");
    }
    assert!(message(set(&"x".repeat(100_000), "1")).ends_with("the manual lists them all"));
}

#[test]
fn set_changes_what_get_reads() {
    for info in Hardware::PARAMS {
        for value in [info.min, info.max] {
            // The largest power of two in range where only those count.
            let value = if info.pow2 { 1 << value.ilog2() } else { value };
            let hw = set(info.name, &value.to_string()).unwrap();
            assert_eq!(hw.get(info.name), Some(u64::from(value)), "{}", info.name);
            let others = Hardware::names().filter(|name| *name != info.name);
            for other in others {
                assert_eq!(hw.value_text(other), Hardware::default().value_text(other));
            }
        }
    }
    assert_eq!(set("rounding", "half-up").unwrap().rounding, Rounding::HalfUp);
    assert_eq!(set("energy_dram_byte_fj", " 162_000 ").unwrap().energy_dram_byte_fj, 162_000);
    assert_eq!(Hardware::default().get("rounding"), None);
    assert_eq!(Hardware::default().get("nothing"), None);
}

#[test]
fn the_list_is_consistent() {
    for info in Hardware::PARAMS {
        assert!((info.min..=info.max).contains(&info.default), "{}", info.name);
        assert!(!info.pow2 || (info.min.is_power_of_two() && info.default.is_power_of_two()));
        assert!(!info.doc.trim().is_empty() && !info.doc.contains('|'), "{}", info.name);
        assert_eq!(Hardware::default().get(info.name), Some(info.default.into()));
    }
}

#[test]
fn a_file_names_a_base_or_every_parameter() {
    let hw =
        Hardware::from_toml("preset = \"tiny8\"\narray_cols = 16\nrounding = \"half-up\"").unwrap();
    assert_eq!((hw.array_rows, hw.array_cols, hw.rounding), (8, 16, Rounding::HalfUp));

    let full = Hardware::default().to_toml();
    assert_eq!(Hardware::from_toml(&full), Ok(Hardware::default()));

    let partial: String = full
        .lines()
        .filter(|l| !l.starts_with("acc_rows") && !l.starts_with("rounding"))
        .fold(String::new(), |text, line| text + line + "\n");
    let error = Hardware::from_toml(&partial).unwrap_err();
    assert_eq!(error, HardwareError::Missing { names: vec!["acc_rows", "rounding"] });
    assert!(error.to_string().contains("preset = \"edge16\""), "{error}");
}

#[test]
fn a_wrong_file_is_refused() {
    let read = |text| message(Hardware::from_toml(text));
    assert!(read("preset = \"edge17\"").starts_with("unknown hardware preset `edge17`"));
    assert!(read("preset = 16").contains("not a TOML integer"));
    assert!(read("preset = \"edge16\"\narray_rows = 16.0").contains("not a TOML float"));
    assert!(read("preset = \"edge16\"\narray_rows = \"16\"").contains("not a TOML string"));
    assert!(read("preset = \"edge16\"\nrounding = 1").contains("not a TOML integer"));
    assert!(
        read("preset = \"edge16\"\narray_rows = -16").contains("must be an integer in 1..=256")
    );
    assert!(read("preset = \"edge16\"\narray_rosw = 16").contains("did you mean `array_rows`"));
    assert!(read("array_rosw = 16").contains("did you mean `array_rows`"));
    assert!(read("array_rows = ").starts_with("not a TOML file"));
    assert!(read("preset = \"edge16\"\nscratchpad_kib = 65536").contains("fewer than 2^20 rows"));
}

#[test]
fn each_rule_is_kept() {
    for (rule, settings) in [
        ("banks_hold_whole_rows", [("scratchpad_banks", "7"), ("scratchpad_kib", "383")]),
        ("rows_are_addressable", [("array_rows", "1"), ("scratchpad_kib", "1024")]),
        ("fetch_holds_two_bursts", [("fetch_words", "8"), ("dram_burst_bytes", "128")]),
        ("params_cover_the_array", [("array_cols", "256"), ("param_entries", "255")]),
    ] {
        let mut hw = Hardware::default();
        for (name, value) in settings {
            hw.set(name, value).unwrap();
        }
        let error = hw.validate().unwrap_err();
        let HardwareError::Constraint { rule: found, .. } = error else { panic!("{error}") };
        assert_eq!(found, rule);
    }
    assert_eq!(CONSTRAINTS.len(), 4, "a rule without a case");
    let hw = set("param_entries", "16").unwrap();
    let hw = Hardware { array_cols: 32, ..hw };
    assert_eq!(
        hw.validate().unwrap_err().to_string(),
        "a parameter slot must hold an entry for each column of the array (`param_entries` = 16, `array_cols` = 32)"
    );
}

#[test]
fn only_timing_may_differ_between_compiling_and_running() {
    let edge = Hardware::default();
    let slow = set("dram_bytes_per_cycle", "1").unwrap();
    assert_eq!(edge.incompatible_with(&slow), Vec::<&str>::new());
    let other = Hardware { acc_bits: 48, rounding: Rounding::Floor, ..slow };
    assert_eq!(edge.incompatible_with(&other), ["acc_bits", "rounding"]);
}

#[test]
fn the_hash_is_of_the_values() {
    let mut hashes: Vec<u64> =
        PRESETS.iter().map(|n| Hardware::preset(n).unwrap().hash()).collect();
    hashes.push(set("rounding", "floor").unwrap().hash());
    hashes.push(set("clock_mhz", "999").unwrap().hash());
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
    let copy = Hardware::from_toml(&Hardware::default().to_toml()).unwrap();
    assert_eq!(copy.hash(), Hardware::default().hash());
}

#[test]
fn json_is_checked_like_toml() {
    let hw = Hardware::preset("tpu128").unwrap();
    let json = serde_json::to_string(&hw).unwrap();
    assert_eq!(serde_json::from_str::<Hardware>(&json).unwrap(), hw);
    let read = |text: &str| serde_json::from_str::<Hardware>(text).unwrap_err().to_string();
    assert!(
        read(&json.replace("\"array_rows\":128", "\"array_rows\":12")).contains("power of two")
    );
    assert!(read(&json.replace('{', "{\"extra\":1,")).contains("unknown field"));
    assert!(read(&json.replace("\"array_rows\":128,", "")).contains("missing field"));
}

#[test]
fn the_manual_names_everything() {
    let text = manual();
    for name in Hardware::names() {
        assert_eq!(text.matches(&format!("| `{name}` |")).count(), 2, "{name}");
    }
    for word in PRESETS.iter().copied().chain(CONSTRAINTS.iter().map(|rule| rule.message)) {
        assert!(text.contains(word), "{word}");
    }
    assert!(text.contains("| 5..=8 | 16 | 1 | 2 | 1/2 |"));
}

#[test]
fn the_committed_manual_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/generated/hardware.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, manual()).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == manual(), "stale: run this test with UPDATE_DOCS=1 and commit {path}");
}

proptest! {
    #[test]
    fn no_text_panics(name in "[a-z_0-9]{0,24}|\\PC{0,12}", value in "-?[0-9_]{0,24}|\\PC{0,8}", text in "\\PC{0,80}") {
        let mut hw = Hardware::default();
        let _ = hw.set(&name, &value);
        for info in Hardware::PARAMS {
            let _ = hw.set(info.name, &value);
        }
        prop_assert!(hw.validate().is_ok() || CONSTRAINTS.iter().any(|rule| !(rule.holds)(&hw)));
        let _ = Hardware::from_toml(&text);
        let _ = Hardware::from_toml(&format!("preset = \"edge16\"\n{name} = {value}"));
    }

    /// Any machine within the ranges is either refused with a reason or survives the round trip.
    #[test]
    fn machines_are_read_back(values in prop::collection::vec(any::<u32>(), Hardware::PARAMS.len()), mode in 0usize..4) {
        let mut hw = Hardware { rounding: Rounding::ALL[mode], ..Hardware::default() };
        for (info, value) in Hardware::PARAMS.iter().zip(values) {
            let value = info.min + value % (info.max - info.min + 1);
            let value = if info.pow2 { 1 << value.ilog2() } else { value };
            hw.set(info.name, &value.to_string()).unwrap();
        }
        match hw.validate() {
            Ok(()) => prop_assert_eq!(Hardware::from_toml(&hw.to_toml()), Ok(hw)),
            Err(error) => prop_assert_eq!(Hardware::from_toml(&hw.to_toml()), Err(error)),
        }
    }
}

/// The validity of derived sizes does not depend on `validate` having been called.
#[test]
fn derived_sizes_of_nonsense_are_defined() {
    let hw = Hardware {
        array_rows: 0,
        scratchpad_banks: 0,
        scratchpad_kib: u32::MAX,
        ..Hardware::default()
    };
    assert!(hw.validate().is_err());
    assert_eq!((hw.scratchpad_rows(), hw.rows_per_bank()), (u32::MAX, u32::MAX));
}
