//! Endpoints of HTTP/1 behind a worker.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::http1_answers(data));
