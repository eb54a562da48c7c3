//! Feeds the fuzzer's inputs to `interfuse_fuzz::fuzz::config`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| interfuse_fuzz::fuzz::config(data));
