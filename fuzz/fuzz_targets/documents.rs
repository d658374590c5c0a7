#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| translate_fuzz::documents(data));
