//! Paths that change on the way.

use http::{Uri, uri::PathAndQuery};
use traffic::action::PathRewrite;

/// The target of `uri` with the path that `rewrite` makes of it; the query stays. `matched_prefix` is the prefix that the
/// route was matched by: without one, no prefix is replaced. Nothing, when the result is longer than a target can be.
pub(super) fn rewritten(
    uri: &Uri,
    rewrite: &PathRewrite,
    matched_prefix: Option<&str>,
) -> Option<PathAndQuery> {
    let mut target = path(uri.path(), rewrite, matched_prefix);
    if let Some(query) = uri.query() {
        target.push('?');
        target.push_str(query);
    }
    PathAndQuery::try_from(target).ok()
}

/// What `rewrite` makes of `path`; it begins with a slash.
pub(super) fn path(path: &str, rewrite: &PathRewrite, matched_prefix: Option<&str>) -> String {
    let mut new = match (rewrite, matched_prefix) {
        (PathRewrite::ReplaceFullPath(full), _) => full.to_string(),
        (PathRewrite::ReplacePrefixMatch(by), Some(prefix)) => {
            // A prefix ends where a path element does, with or without a slash.
            let prefix = prefix.trim_end_matches('/');
            let rest = path.strip_prefix(prefix).unwrap_or(path);
            match by.trim_end_matches('/') {
                // `//x` would be read as a host by some.
                "" => ["/", rest.trim_start_matches('/')].concat(),
                by => [by, rest].concat(),
            }
        }
        (PathRewrite::ReplacePrefixMatch(_), None) => path.to_owned(),
    };
    if !new.starts_with('/') {
        new.insert(0, '/');
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_prefix_is_replaced_as_the_gateway_api_says() {
        for (asked, prefix, by, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo//bar", "/foo", "/", "/bar"),
            ("/foo//bar", "/foo", "/xyz", "/xyz//bar"),
            ("/foo?q=/foo", "/foo", "/xyz", "/xyz?q=/foo"),
            ("/foo/bar", "/", "/xyz", "/xyz/foo/bar"),
            ("/", "/", "/xyz", "/xyz/"),
            ("/a%2Fb/c", "/a%2Fb", "/d", "/d/c"),
        ] {
            let rewrite = PathRewrite::ReplacePrefixMatch(by.into());
            let uri: Uri = asked.parse().unwrap();
            let new = rewritten(&uri, &rewrite, Some(prefix)).unwrap();
            assert_eq!(new, expected, "{asked}: {prefix} by {by}");
        }
    }

    #[test]
    fn a_whole_path_is_replaced_and_the_query_stays() {
        for (asked, full, expected) in [
            ("/foo/bar?a=b", "/x", "/x?a=b"),
            ("/foo", "x", "/x"),
            ("/foo", "", "/"),
            ("*", "/x", "/x"),
        ] {
            let rewrite = PathRewrite::ReplaceFullPath(full.into());
            let uri: Uri = asked.parse().unwrap();
            assert_eq!(
                rewritten(&uri, &rewrite, None).unwrap(),
                expected,
                "{asked}"
            );
        }
    }

    #[test]
    fn without_a_prefix_none_is_replaced_and_what_grows_too_long_is_told() {
        let rewrite = PathRewrite::ReplacePrefixMatch("/xyz".into());
        let uri: Uri = "/foo?a".parse().unwrap();
        assert_eq!(rewritten(&uri, &rewrite, None).unwrap(), "/foo?a");
        let long: Uri = format!("/{}", "a".repeat(65_000)).parse().unwrap();
        let rewrite = PathRewrite::ReplacePrefixMatch("/x".repeat(500).into());
        assert_eq!(rewritten(&long, &rewrite, Some("/")), None);
    }

    proptest! {
        #[test]
        fn a_new_path_begins_with_a_slash(
            asked in "/[a-z/%.]{0,20}",
            prefix in "/?[a-z/]{0,5}",
            by in "\\PC{0,10}",
            full: bool,
        ) {
            let rewrite = if full {
                PathRewrite::ReplaceFullPath(by.into())
            } else {
                PathRewrite::ReplacePrefixMatch(by.into())
            };
            prop_assert!(path(&asked, &rewrite, Some(&prefix)).starts_with('/'));
            let uri = asked.parse::<Uri>();
            if let Ok(uri) = uri
                && let Some(target) = rewritten(&uri, &rewrite, Some(&prefix))
            {
                prop_assert!(target.path().starts_with('/'));
            }
        }
    }
}
