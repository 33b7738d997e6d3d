//! curl, with whatever of HTTP it speaks.

use crate::{
    asked_for,
    site::{PLAIN, PROXIED, Site, TLS},
};
use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
};

/// What curl says for `path` at a listener: the version of HTTP and the status, and the body.
fn curl(
    site: &Site,
    listener: usize,
    path: &str,
    options: &[&str],
    body: &[u8],
) -> (String, Vec<u8>) {
    let address = site.world.proxy.addresses()[listener];
    let scheme = if listener == TLS { "https" } else { "http" };
    let port = address.port();
    let mut child = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60"])
        .args(["--write-out", "%{stderr}%{http_version} %{http_code}"])
        .arg("--cacert")
        .arg(site.authority.file())
        .arg("--resolve")
        .arg(format!("shop.example:{port}:127.0.0.1"))
        .args(options)
        .arg(format!("{scheme}://shop.example:{port}{path}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("curl, which .ci/install installs: {e}"));
    let mut input = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || input.write_all(body));
        child.wait_with_output().unwrap()
    });
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (said, output.stdout)
}

#[test]
fn curl_gets_what_it_asks_for_by_every_version() {
    if !asked_for() {
        return;
    }
    let site = Site::start();
    let large = vec![b'x'; 8 << 20];
    for (listener, version, expected) in [
        (PLAIN, "--http1.0", "1.1 200"),
        (PLAIN, "--http1.1", "1.1 200"),
        (PLAIN, "--http2-prior-knowledge", "2 200"),
        (TLS, "--http1.1", "1.1 200"),
        (TLS, "--http2", "2 200"),
        (PROXIED, "--http1.1", "1.1 200"),
        (PROXIED, "--http2-prior-knowledge", "2 200"),
    ] {
        let mut options = vec![version];
        if listener == PROXIED {
            options.push("--haproxy-protocol");
        }
        let what = format!("listener {listener} {version}");
        let ask = |path, more: &[&str], body| {
            let options = [&options[..], more].concat();
            curl(&site, listener, path, &options, body)
        };
        let said = ask("/headers", &[], b"");
        assert_eq!(said.0, expected, "{what}");
        let head = String::from_utf8_lossy(&said.1);
        assert!(
            head.contains("x-forwarded-for: 127.0.0.1\n"),
            "{what}: {head}"
        );
        let (said, body) = ask("/", &["--head"], b"");
        assert_eq!(said, expected, "{what} HEAD");
        assert!(String::from_utf8_lossy(&body).contains("content-length: "));
        let upload = ["--data-binary", "@-"];
        let (said, body) = ask("/echo", &upload, &large);
        assert_eq!((&*said, body.len()), (expected, large.len()), "{what}");
        let expects = ["--upload-file", "-", "--header", "Expect: 100-continue"];
        // curl does not know the length, which HTTP/1.0 cannot do without.
        if version != "--http1.0" {
            let (said, body) = ask("/echo", &expects, &large);
            assert_eq!((&*said, body.len()), (expected, large.len()), "{what}");
        }
    }
}
