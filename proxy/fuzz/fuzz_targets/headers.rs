//! Heads on their way to an endpoint.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::headers(data));
