//! Requests of HTTP/1: any bytes from a client.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::http1_request(data));
