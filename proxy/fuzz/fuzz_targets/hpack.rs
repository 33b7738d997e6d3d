//! Header blocks of HTTP/2.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::hpack(data));
