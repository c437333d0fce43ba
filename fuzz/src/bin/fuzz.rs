//! The targets under libFuzzer: `QCC_FUZZ_TARGET` names one. Build and run it with `fuzz/run.sh`, which adds coverage.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's interface is one of C")]

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use qcc_fuzz::{Rng, Target, memory};
use rand::SeedableRng;

/// Room for what a change adds, as libFuzzer changes bytes in place.
const ROOM: usize = 256;

fn target() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("QCC_FUZZ_TARGET").unwrap_or_default();
        Target::find(&name).expect("QCC_FUZZ_TARGET names a target")
    })
}

/// The float library may panic; the runtime turns that into an error. Every other panic ends the process.
fn abort_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some("float") {
            print(panic);
        }
    }));
}

/// With `QCC_FUZZ_SEEDS`, a folder, its whole work is to write the seeds there.
fn begin() {
    abort_on_panic();
    if let Some(folder) = std::env::var_os("QCC_FUZZ_SEEDS") {
        target().write_seeds(Path::new(&folder)).expect("the folder can be written");
        std::process::exit(0);
    }
}

fuzz_target!(init: begin(), |bytes: &[u8]| {
    memory::bounded(bytes.len(), || (target().run)(bytes));
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut file = data[..size].to_vec();
    let mut change = |bytes: &mut Vec<u8>| {
        let size = bytes.len();
        bytes.resize(size + ROOM, 0);
        let size = fuzzer_mutate(bytes, size, size + ROOM);
        bytes.truncate(size);
    };
    (target().mutate)(&mut file, &mut Rng::seed_from_u64(seed.into()), &mut change);
    let size = file.len().min(max_size);
    data[..size].copy_from_slice(&file[..size]);
    size
});
