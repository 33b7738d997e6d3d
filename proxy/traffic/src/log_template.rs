//! The template of an access log's lines: text with `%{field}` in the place of values.
//!
//! It is here, and not in the proxy, so that a document's template is checked by what will read it.

use http::HeaderName;
use std::fmt;

/// A template, parsed once. Writing a line is then a walk over its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTemplate(Vec<Part>);

/// One part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text that every line has.
    Text(Box<str>),
    /// The value of a field.
    Field(Field),
    /// `%{req.name}`: the first header of this name in the request as the client sent it.
    RequestHeader(HeaderName),
    /// `%{resp.name}`: the first header of this name in the response as the client gets it.
    ResponseHeader(HeaderName),
}

/// Declares the fields with the name of each, so that no list of them can be incomplete.
macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a line can tell of a request. The names are those of the JSON format, too.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Field {
            $($(#[$doc])* $variant,)*
        }

        impl Field {
            /// Every field, in the order in which the JSON format has them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The field's name in templates, and its key in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

fields! {
    /// When the request's head had come, in UTC with microseconds (RFC 3339).
    Time = "time",
    /// The client's address, as trusted peers tell it.
    Client = "client",
    /// The name of the listener.
    Listener = "listener",
    /// `http` or `https`.
    Scheme = "scheme",
    /// The version of HTTP that the client spoke, such as `HTTP/1.1` or `HTTP/2`.
    Protocol = "protocol",
    /// The request's method.
    Method = "method",
    /// The host that was asked for.
    Host = "host",
    /// The path with the query, as the client sent it.
    Path = "path",
    /// The status that the client got; 499 when it went away first.
    Status = "status",
    /// Why the proxy or the version failed the request, as `sluice_failures_total` and `sluice-error` spell it.
    Failure = "failure",
    /// The name of the route.
    Route = "route",
    /// The rollout, as `namespace/name`.
    Rollout = "rollout",
    /// The version's role in the rollout.
    Role = "role",
    /// The Service that the request went to, as `namespace/name`.
    Service = "service",
    /// The endpoint's address; that of the last attempt.
    Endpoint = "endpoint",
    /// How many times the request was sent.
    Attempts = "attempts",
    /// Bytes of the request's body that came.
    RequestBytes = "request_bytes",
    /// Bytes of the response's body that were sent.
    ResponseBytes = "response_bytes",
    /// Milliseconds from the request's head to the end of the response, to the microsecond.
    Duration = "duration_ms",
    /// Milliseconds from the request's head to the head of the response.
    FirstByte = "first_byte_ms",
    /// The `User-Agent` header.
    UserAgent = "user_agent",
    /// The `Referer` header.
    Referer = "referer",
    /// The request's id.
    RequestId = "request_id",
    /// The id of the trace that the request belongs to: 32 hexadecimal digits.
    TraceId = "trace_id",
    /// The gRPC status, a number.
    GrpcStatus = "grpc_status",
}

impl Field {
    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|f| f.as_str() == name)
    }
}

/// Why a template cannot be used. The message is for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// It has no part at all.
    Empty,
    /// No field has this name.
    UnknownField(Box<str>),
    /// What follows `req.` or `resp.` is no header name.
    HeaderName(Box<str>),
    /// A `%{` has no `}`. What follows it.
    Unclosed(Box<str>),
    /// A `%` is followed by neither `{` nor `%`. What follows it.
    Percent(Box<str>),
    /// A line of text would become two.
    LineBreak,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the template is empty; it needs at least one `%{field}`"),
            Self::UnknownField(name) => {
                write!(f, "there is no field `{name}`; there are ")?;
                for field in Field::ALL {
                    write!(f, "`{}`, ", field.as_str())?;
                }
                f.write_str("`req.<header>` and `resp.<header>`")
            }
            Self::HeaderName(name) => write!(f, "`{name}` is no name of a header"),
            Self::Unclosed(rest) => write!(f, "`%{{{rest}` has no closing `}}`"),
            Self::Percent(rest) => write!(
                f,
                "`%{rest}` is no field; a field is written `%{{name}}`, and a percent sign `%%`"
            ),
            Self::LineBreak => f.write_str("the template has a line break; a request is one line"),
        }
    }
}

impl std::error::Error for TemplateError {}

impl LogTemplate {
    /// Parses `template`.
    ///
    /// # Errors
    /// The first thing in it that means nothing.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        if template.contains(['\n', '\r']) {
            return Err(TemplateError::LineBreak);
        }
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let Some(inner) = after.strip_prefix('{') else {
                return Err(TemplateError::Percent(beginning(after)));
            };
            let Some((name, after)) = inner.split_once('}') else {
                return Err(TemplateError::Unclosed(beginning(inner)));
            };
            push_text(&mut parts, &mut text);
            parts.push(value(name)?);
            rest = after;
        }
        text.push_str(rest);
        push_text(&mut parts, &mut text);
        if parts.is_empty() {
            return Err(TemplateError::Empty);
        }
        Ok(Self(parts))
    }

    /// The parts in their order.
    pub fn parts(&self) -> &[Part] {
        &self.0
    }
}

/// Whether `template` can be used.
///
/// # Errors
/// What is wrong, and what is allowed, for whoever wrote it.
pub fn validate(template: &str) -> Result<(), String> {
    LogTemplate::parse(template)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn push_text(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text).into()));
    }
}

fn value(name: &str) -> Result<Part, TemplateError> {
    let header = |name: &str| {
        HeaderName::try_from(name).map_err(|_| TemplateError::HeaderName(beginning(name)))
    };
    if let Some(name) = name.strip_prefix("req.") {
        return header(name).map(Part::RequestHeader);
    }
    if let Some(name) = name.strip_prefix("resp.") {
        return header(name).map(Part::ResponseHeader);
    }
    Field::named(name)
        .map(Part::Field)
        .ok_or_else(|| TemplateError::UnknownField(beginning(name)))
}

/// As much of `text` as a message needs.
fn beginning(text: &str) -> Box<str> {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn text(text: &str) -> Part {
        Part::Text(text.into())
    }

    #[test]
    fn templates_are_parsed_into_parts() {
        let header = |name: &'static str| HeaderName::from_static(name);
        for (template, expected) in [
            ("plain", vec![text("plain")]),
            ("%{status}", vec![Part::Field(Field::Status)]),
            (
                "%{client} \"%{path}\"",
                vec![
                    Part::Field(Field::Client),
                    text(" \""),
                    Part::Field(Field::Path),
                    text("\""),
                ],
            ),
            ("100%%", vec![text("100%")]),
            ("%%{status}", vec![text("%{status}")]),
            ("{}", vec![text("{}")]),
            (
                "%{req.X-User}%{resp.server}",
                vec![
                    Part::RequestHeader(header("x-user")),
                    Part::ResponseHeader(header("server")),
                ],
            ),
        ] {
            let parsed = LogTemplate::parse(template);
            assert_eq!(parsed, Ok(LogTemplate(expected)), "{template}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused_with_what_does() {
        for (template, expected) in [
            ("", "empty"),
            (
                "%{stauts}",
                "no field `stauts`; there are `time`, `client`,",
            ),
            ("%{}", "no field ``"),
            ("%{req.}", "no name of a header"),
            ("%{resp.a b}", "`a b` is no name of a header"),
            ("%{status", "`%{status` has no closing `}`"),
            ("50% of", "`% of` is no field"),
            ("%", "`%` is no field"),
            ("a\nb", "line break"),
            ("a\rb", "line break"),
        ] {
            let error = validate(template).unwrap_err();
            assert!(error.contains(expected), "{template:?}: {error}");
        }
    }

    #[test]
    fn every_field_has_a_name_of_its_own() {
        let names: HashSet<_> = Field::ALL.iter().map(|f| f.as_str()).collect();
        assert_eq!(names.len(), Field::ALL.len());
        for field in Field::ALL {
            assert_eq!(Field::named(field.as_str()), Some(*field));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(template in "[%{}a-z. \n\"é]{0,40}") {
            let _ = validate(&template);
        }

        #[test]
        fn text_without_percent_signs_stays_as_it_is(template in "[^%\r\n]{1,40}") {
            prop_assert_eq!(LogTemplate::parse(&template), Ok(LogTemplate(vec![text(&template)])));
        }
    }
}
