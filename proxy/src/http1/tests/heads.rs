//! Heads with a few bytes changed, which are read as `httparse` reads them.

use super::{transcript::*, *};
use proptest::{collection::vec, prelude::*, sample::select};

const REQUESTS: [&str; 6] = [
    "GET /cart HTTP/1.1\r\nhost: shop.example\r\naccept: */*\r\nuser-agent: bench/1.0\r\n\r\n",
    "POST /a?b=c HTTP/1.0\r\nHost:a\r\nContent-Length:\t5 \r\nx-b3-traceid: \u{e9}\t \r\n\r\nhello",
    "M-SEARCH * HTTP/1.1\r\n_a: \r\nb!_:\r\nTe: trailers, x\r\nConnection: close, te\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nKeep-Alive: y\r\nc: d\r\nTransfer-Encoding: chunked\r\n\r\n",
    "OPTIONS http://a/\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/2.0\r\na: b\r\n\r\n",
];

const RESPONSES: [&str; 5] = [
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\ndate: Mon\r\nserver: e\r\n\r\nhello",
    "HTTP/1.0 404 \u{e9}\t \r\nContent-Length: 05\r\nX_a:\r\n\r\n",
    "HTTP/1.1 299\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 503 \r\nConnection:\t x \t\r\na:b\r\nKeep-Alive: 5\r\nb:c\r\nProxy-Connection: d\r\n\r\n",
    "HTTP/1.1 600 A b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
];

const TRAILERS: [&str; 3] = [
    "a: b\r\nC_d:\t \u{e9} \r\nHost: e\r\n\r\n",
    "x-f!g:\r\nx: y\tz\r\nx: y\r\nx: y\r\n\r\n",
    "\r\n",
];

/// One of `heads`, in which a few bytes are taken out and others put in.
fn changed(heads: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        2 => select(b"\r\n\t :_-0@[`{/,\x1f\x7f\x80\xff\0".to_vec()),
        1 => any::<u8>(),
    ];
    let change = (any::<prop::sample::Index>(), 0..3_usize, vec(byte, 0..3));
    (select(heads.to_vec()), vec(change, 0..4)).prop_map(|(head, changes)| {
        let mut head = head.as_bytes().to_vec();
        for (at, out, put) in changes {
            let from = at.index(head.len() + 1);
            let to = (from + out).min(head.len());
            head.splice(from..to, put);
        }
        head
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn requests_are_read_as_httparse_reads_them(bytes in changed(&REQUESTS), headers in 2..5_usize) {
        check_requests(&bytes, 7, &HeadLimits { headers, ..LIMITS });
    }

    #[test]
    fn responses_are_read_as_httparse_reads_them(bytes in changed(&RESPONSES), headers in 2..6_usize) {
        check_responses(&bytes, 7, &Method::GET, &HeadLimits { headers, ..LIMITS });
    }

    #[test]
    fn trailers_are_read_as_httparse_reads_them(bytes in changed(&TRAILERS), headers in 2..6_usize) {
        check_chunks(&bytes, 7, &HeadLimits { headers, ..LIMITS });
    }
}

#[test]
fn every_byte_in_every_place_is_read_as_httparse_reads_it() {
    let places = |heads: &'static [&'static str]| {
        heads.iter().flat_map(|head| {
            (0..head.len()).flat_map(move |at| {
                (0..=u8::MAX).map(move |byte| {
                    let mut head = head.as_bytes().to_vec();
                    head[at] = byte;
                    head
                })
            })
        })
    };
    places(&REQUESTS).for_each(|bytes| reference::check_request(&bytes, &LIMITS));
    places(&TRAILERS).for_each(|bytes| reference::check_trailers(&bytes, &LIMITS));
    places(&RESPONSES).for_each(|bytes| reference::check_response(&bytes, &LIMITS));
}

#[test]
fn heads_end_where_they_may_be_longest() {
    for heads in [&REQUESTS[..], &RESPONSES[..]] {
        for head in heads {
            let head = head.as_bytes();
            for head_bytes in 0..=head.len() + 1 {
                let limits = HeadLimits {
                    head_bytes,
                    ..LIMITS
                };
                reference::check_request(head, &limits);
                reference::check_response(head, &limits);
            }
        }
    }
}
