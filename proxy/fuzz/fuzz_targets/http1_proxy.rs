//! A client of HTTP/1 before a worker and endpoints.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::http1_proxy(data));
