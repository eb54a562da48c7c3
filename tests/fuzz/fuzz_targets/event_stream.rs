//! Feeds the fuzzer's inputs to `interfuse_fuzz::fuzz::event_stream`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| interfuse_fuzz::fuzz::event_stream(data));
