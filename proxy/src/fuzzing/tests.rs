//! The corpus, through a worker.

use super::*;

#[allow(clippy::duplicate_mod, reason = "the corpus is read in several places")]
#[path = "../../tests/corpus/reader.rs"]
#[allow(unreachable_pub, dead_code, reason = "it is included elsewhere, too")]
mod corpus;

#[test]
fn every_request_of_the_corpus_reaches_endpoints_as_it_is_meant() {
    for case in corpus::read("http1/requests") {
        for size in [case.bytes.len(), 7] {
            println!("{} in pieces of {size}", case.name);
            plays::requests(&case.bytes, size);
        }
    }
}

#[test]
fn no_answer_of_the_corpus_reaches_another_client() {
    for case in corpus::read("http1/responses") {
        for closing in [0, 0xff, 5] {
            println!("{}, closing {closing}", case.name);
            plays::answers(&case.bytes, closing);
        }
    }
}

#[test]
fn requests_by_http2_reach_endpoints() {
    // GET, then POST with its body in two frames, and a ping.
    frames_of(&[
        &[1, 5, 0, 0],
        &[1, 4, 1, 1, 0],
        &[0, 0, 1, 1, b'x'],
        &[6, 0, 0x80, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 1, 1, 1, b'y'],
    ]);
}

fn frames_of(frames: &[&[u8]]) {
    let script = frames.concat();
    http2_frames(&script);
    for size in 0..20 {
        http2_session(&[&[size], &script[..]].concat());
    }
}
