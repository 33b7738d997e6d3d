//! Responses of HTTP/1: any bytes from an endpoint.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::http1_response(data));
