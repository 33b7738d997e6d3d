//! Chunked bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::http1_chunked(data));
