//! Pingora, as the program in `bench/pingora` sets it up. It counts nothing.

use super::{Setup, Written, weights};
use crate::{
    rivals::{
        case::USER,
        tls::{CHAIN, KEY},
    },
    sluice::HOST,
};

pub(crate) fn pingora(setup: &Setup<'_>) -> Written {
    let [_, share] = weights();
    let mut arguments: Vec<String> = [
        ("--listen", setup.listen.to_string()),
        ("--host", HOST.to_owned()),
        ("--stable", setup.stable.to_string()),
        ("--canary", setup.canary.to_string()),
        ("--share", share.to_string()),
    ]
    .into_iter()
    .chain(setup.case.prefixes().map(|prefix| ("--prefix", prefix)))
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect();
    if setup.case.is_sticky {
        arguments.extend(["--sticky", USER].map(str::to_owned));
    }
    if setup.is_tls() {
        arguments.extend(["--tls".to_owned(), setup.file(CHAIN), setup.file(KEY)]);
    }
    if setup.is_http2() {
        arguments.push("--http2".to_owned());
    }
    Written {
        files: Vec::new(),
        arguments,
    }
}
