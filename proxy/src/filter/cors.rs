//! What browsers may do with answers for scripts of other origins (Fetch standard section 3.3; the Gateway API's `CORS`
//! filter).

mod origin;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
        ORIGIN, VARY,
    },
};
use traffic::action::Cors;

/// How long a browser keeps an answer if nothing is said, in seconds (the Gateway API's default).
const MAX_AGE: u32 = 5;
const ALL: &str = "*";

/// The answer to the question that a request of `method` is, if it is one: an `OPTIONS` request with an origin and the method
/// that is to come ("preflight"). An origin that is not allowed is answered without permission, which a browser takes for no.
pub(super) fn preflight(cors: &Cors, method: &Method, headers: &HeaderMap) -> Option<HeaderMap> {
    let to_come = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    if *method != Method::OPTIONS || !headers.contains_key(ORIGIN) {
        return None;
    }
    let mut answer = HeaderMap::new();
    if let Some(origin) = allowed_origin(cors, headers) {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if cors.allow_credentials {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        let asked = headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        for (name, allowed, asked) in [
            (
                ACCESS_CONTROL_ALLOW_METHODS,
                &cors.allow_methods,
                Some(to_come),
            ),
            (ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers, asked),
        ] {
            if let Some(value) = granted(allowed, cors.allow_credentials, asked) {
                answer.insert(name, value);
            }
        }
        let age = cors.max_age.unwrap_or(MAX_AGE);
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(age));
    }
    if depends_on_origin(cors) {
        vary(&mut answer, &[ORIGIN]);
    }
    if cors.allow_credentials {
        // Wildcards are answered with what was asked.
        vary(
            &mut answer,
            &[
                ACCESS_CONTROL_REQUEST_METHOD,
                ACCESS_CONTROL_REQUEST_HEADERS,
            ],
        );
    }
    Some(answer)
}

/// What a browser may do with the answer to a request.
#[derive(Debug)]
pub(super) struct Grant {
    origin: Option<HeaderValue>,
    has_credentials: bool,
    expose: Option<HeaderValue>,
    varies: bool,
}

impl Grant {
    /// What `cors` grants to the origin that a request with `headers` comes from.
    pub(super) fn of(cors: &Cors, headers: &HeaderMap) -> Self {
        let origin = allowed_origin(cors, headers);
        let is_allowed = origin.is_some();
        let exposed = || granted(&cors.expose_headers, cors.allow_credentials, None);
        Self {
            origin,
            has_credentials: is_allowed && cors.allow_credentials,
            expose: is_allowed.then(exposed).flatten(),
            varies: depends_on_origin(cors),
        }
    }

    /// Says so in the `headers` of the answer, in place of what the version said.
    pub(super) fn give(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone()),
            (
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                self.has_credentials.then_some(TRUE),
            ),
            (ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.clone()),
        ] {
            match value {
                Some(value) => drop(headers.try_insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
        if self.varies {
            vary(headers, &[ORIGIN]);
        }
    }
}

const TRUE: HeaderValue = HeaderValue::from_static("true");

/// What `Access-Control-Allow-Origin` says to the origin that `headers` name: that origin, or nothing when it is not
/// allowed or there is none. Where it says that all are allowed, it says so to everybody: a cache may keep the answer.
fn allowed_origin(cors: &Cors, headers: &HeaderMap) -> Option<HeaderValue> {
    if !depends_on_origin(cors) {
        return Some(HeaderValue::from_static(ALL));
    }
    let origin = headers.get(ORIGIN)?;
    let text = origin.to_str().ok()?;
    cors.allow_origins
        .iter()
        .any(|allowed| origin::admits(allowed, text))
        .then(|| origin.clone())
}

/// Whether answers differ by the origin: unless all may read them, without credentials.
fn depends_on_origin(cors: &Cors) -> bool {
    cors.allow_credentials || !has_all(&cors.allow_origins)
}

fn has_all(list: &[Box<str>]) -> bool {
    list.iter().any(|entry| **entry == *ALL)
}

/// The list of what is `allowed`. With credentials a browser takes `*` for a name like others, so that it is replaced by
/// what was `asked`.
fn granted(
    allowed: &[Box<str>],
    has_credentials: bool,
    asked: Option<&HeaderValue>,
) -> Option<HeaderValue> {
    match (has_all(allowed), has_credentials) {
        (true, false) => Some(HeaderValue::from_static(ALL)),
        (true, true) if asked.is_some() => asked.cloned(),
        _ => {
            let names: Vec<&str> = allowed
                .iter()
                .map(|name| &**name)
                .filter(|name| *name != ALL)
                .collect();
            let list = (!names.is_empty()).then(|| names.join(", "))?;
            HeaderValue::try_from(list).ok()
        }
    }
}

/// Says that the answer depends on the request's `names`, where that is not said yet (RFC 9110 section 12.5.5).
fn vary(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        let is_said = crate::headers::has_token(headers, &VARY, name.as_str())
            || crate::headers::has_token(headers, &VARY, ALL);
        if !is_said {
            let _ = headers.try_append(VARY, HeaderValue::from_name(name.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
