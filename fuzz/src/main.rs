//! One target, named by `PORTCULLIS_FUZZ_TARGET`, driven by libFuzzer.
#![no_main]

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::fuzzing::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = env::var("PORTCULLIS_FUZZ_TARGET").expect("PORTCULLIS_FUZZ_TARGET names a target");
    let found = TARGETS.into_iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("{wanted} is none of {:?}", TARGETS.map(|(name, _)| name)))
});

fuzz_target!(|data: &[u8]| (TARGET.1)(data));
