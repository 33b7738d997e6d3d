//! What is measured: cases, each of which differs from the plain one in what its name says.

use crate::sluice::HOST;
use anyhow::{Context as _, ensure};
use std::fmt::Write as _;

/// How clients speak to a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1 in plain text.
    Http1,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
    /// HTTP/2 in plain text, by prior knowledge.
    Http2,
}

/// One load on one set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it is selected by.
    pub name: &'static str,
    /// What it is, for readers.
    pub title: &'static str,
    /// How clients speak to the contenders. The floor and the direct connection are spoken to in plain HTTP/1.1 always.
    pub transport: Transport,
    /// Client connections at any time.
    pub connections: usize,
    /// Requests under way on each of them in a closed loop.
    pub streams: usize,
    /// Whether connections are kept, or carry one request each.
    pub is_kept: bool,
    /// The size of the request's body in bytes; none is a GET.
    pub upload: Option<usize>,
    /// The size of the response's body in bytes.
    pub body: usize,
    /// Whether the header `x-user` decides which version a request goes to.
    pub is_sticky: bool,
    /// How many rules on the path there are. The request meets the one with the shortest path.
    pub rules: usize,
}

/// The header that names the user where the split is sticky.
pub(crate) const USER: &str = "x-user";

/// What the other cases differ from.
const PLAIN: Case = Case {
    name: "plain",
    title: "32 connections, 63-byte body",
    transport: Transport::Http1,
    connections: 32,
    streams: 1,
    is_kept: true,
    upload: None,
    body: 63,
    is_sticky: false,
    rules: 1,
};

/// All cases.
pub const CASES: [Case; 12] = [
    PLAIN,
    Case {
        name: "many",
        title: "256 connections",
        connections: 256,
        ..PLAIN
    },
    Case {
        name: "large",
        title: "64 KiB body",
        body: 65_536,
        ..PLAIN
    },
    Case {
        name: "post",
        title: "POST of 1 KiB",
        upload: Some(1_024),
        ..PLAIN
    },
    Case {
        name: "new",
        title: "new connection for each request",
        is_kept: false,
        ..PLAIN
    },
    Case {
        name: "http2",
        title: "HTTP/2 in, 4 connections of 8 streams",
        transport: Transport::Http2,
        connections: 4,
        streams: 8,
        ..PLAIN
    },
    Case {
        name: "tls",
        title: "TLS in",
        transport: Transport::Tls,
        ..PLAIN
    },
    Case {
        name: "tls-large",
        title: "TLS in, 64 KiB body",
        transport: Transport::Tls,
        body: 65_536,
        ..PLAIN
    },
    Case {
        name: "tls-upload",
        title: "TLS in, POST of 64 KiB",
        transport: Transport::Tls,
        upload: Some(65_536),
        ..PLAIN
    },
    Case {
        name: "handshakes",
        title: "TLS in, new connection for each request",
        transport: Transport::Tls,
        is_kept: false,
        ..PLAIN
    },
    Case {
        name: "sticky",
        title: "sticky by header",
        is_sticky: true,
        ..PLAIN
    },
    Case {
        name: "rules",
        title: "50 rules",
        rules: 50,
        ..PLAIN
    },
];

/// The cases of these names.
///
/// # Errors
/// When a name is no case's, or there are none.
pub fn select(names: &[String]) -> anyhow::Result<Vec<Case>> {
    ensure!(!names.is_empty(), "no case is named");
    let find = |name: &String| {
        let case = CASES.into_iter().find(|case| case.name == name);
        case.with_context(|| {
            let names = CASES.map(|case| case.name).join(", ");
            format!("there is no case {name:?}; there are {names}")
        })
    };
    names.iter().map(find).collect()
}

impl Case {
    /// The same load as the floor and a direct connection get it: plain HTTP/1.1 with as many requests under way.
    pub(crate) fn in_plain_http1(self) -> Self {
        Self {
            transport: Transport::Http1,
            connections: self.lanes(),
            streams: 1,
            ..self
        }
    }

    /// Requests under way at any time in a closed loop.
    pub(crate) fn lanes(&self) -> usize {
        self.connections * self.streams
    }

    /// Paths that rules lead to the same place as the one that the request meets.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = String> {
        (1..self.rules).map(|rule| format!("/area-{rule}"))
    }

    /// The request of user `user` on HTTP/1.1: as short as a client's with a few headers.
    pub(crate) fn request(&self, user: usize) -> String {
        let method = if self.upload.is_some() { "POST" } else { "GET" };
        let mut text = format!("{method} {PATH} HTTP/1.1\r\nhost: {HOST}\r\n");
        for (name, value) in self.headers(user) {
            // Writing to a string does not fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if !self.is_kept {
            text += "connection: close\r\n";
        }
        text += "\r\n";
        text + &"x".repeat(self.upload.unwrap_or(0))
    }

    /// The headers of a request but for the host and those of the connection.
    pub(crate) fn headers(&self, user: usize) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("user-agent", "bench".to_owned()),
            ("accept", "*/*".to_owned()),
        ];
        if self.is_sticky {
            headers.push((USER, format!("user-{user}")));
        }
        if let Some(bytes) = self.upload {
            headers.push(("content-length", bytes.to_string()));
        }
        headers
    }
}

/// The path that requests ask for.
pub(crate) const PATH: &str = "/cart";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_found_by_name() {
        for case in CASES {
            assert_eq!(select(&[case.name.to_owned()]).unwrap(), [case]);
        }
        let error = select(&["plane".to_owned()]).unwrap_err().to_string();
        assert!(error.starts_with("there is no case \"plane\"; there are plain, many, "));
        assert!(select(&[]).is_err());
    }

    #[test]
    fn a_request_holds_what_its_case_says() {
        let post = Case {
            upload: Some(3),
            is_sticky: true,
            is_kept: false,
            ..PLAIN
        };
        for (case, expected) in [
            (
                PLAIN,
                "GET /cart HTTP/1.1\r\nhost: shop.example\r\nuser-agent: bench\r\naccept: */*\r\n\r\n",
            ),
            (
                post,
                "POST /cart HTTP/1.1\r\nhost: shop.example\r\nuser-agent: bench\r\naccept: */*\r\nx-user: user-7\r\n\
                 content-length: 3\r\nconnection: close\r\n\r\nxxx",
            ),
        ] {
            assert_eq!(case.request(7), expected);
        }
    }

    #[test]
    fn the_floor_has_as_many_requests_under_way() {
        for case in CASES {
            let floor = case.in_plain_http1();
            assert_eq!(floor.lanes(), case.lanes(), "{case:?}");
            assert_eq!(floor.transport, Transport::Http1, "{case:?}");
        }
    }
}
