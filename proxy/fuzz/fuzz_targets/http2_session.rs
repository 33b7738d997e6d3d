//! A connection of HTTP/2 with a client.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::http2_session(data));
