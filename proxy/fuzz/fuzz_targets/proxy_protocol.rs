//! The beginning of a connection that is to have a PROXY header.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::fuzzing::proxy_protocol(data));
