//! Feeds the fuzzer's inputs to `interfuse_tests::fuzz::chunks`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| interfuse_tests::fuzz::chunks(data));
