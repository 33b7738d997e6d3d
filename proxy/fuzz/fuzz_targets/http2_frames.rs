//! A client of HTTP/2 before a worker.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::http2_frames(data));
