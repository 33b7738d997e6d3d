use super::{base_url, bearer};

#[test]
fn addresses_are_taken_with_and_without_scheme() {
    let check = |address: &str, expected: Result<&str, ()>| {
        let actual = base_url(address);
        assert_eq!(
            actual.as_deref().map_err(|_| ()),
            expected,
            "{address}: {actual:?}"
        );
    };
    check("127.0.0.1:9901", Ok("http://127.0.0.1:9901"));
    check("http://[::1]:9901/", Ok("http://[::1]:9901"));
    check("https://127.0.0.1:9901", Err(()));
    check("http://", Err(()));
    check("", Err(()));
    check("127.0.0.1:9901/api", Err(()));
}

#[test]
fn a_token_file_holds_one_printable_token() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let check = |content: &str, expected: Option<&str>| {
        std::fs::write(&file, content).unwrap();
        assert_eq!(bearer(&file).ok().as_deref(), expected, "{content:?}");
    };
    check("s3cret\n", Some("Bearer s3cret"));
    check("\n", None);
    check("two words", None);
    check("line\nline", None);
    let missing = bearer(&directory.path().join("none")).unwrap_err();
    assert!(
        missing.starts_with("--token-file: cannot read "),
        "{missing}"
    );
}
