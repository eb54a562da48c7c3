//! Feeds the fuzzer's inputs to `interfuse_tests::fuzz::judge`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| interfuse_tests::fuzz::judge(data));
