//! The filters of a route as what they do.

use super::{Fault, MirrorSpec, header_name};
use crds::{
    FieldPath,
    proxy::{self, Filter, Header, HeaderModifier, PathModifier, RequestMirror},
};
use http::{HeaderName, HeaderValue};
use traffic::{
    Actions, BackendId, Weight,
    action::{Cors, HeaderEdits, PathRewrite, Rewrite},
};

/// Adds what `filters` do to `actions`, apart from mirroring and redirecting.
pub(super) fn apply(
    filters: &[Filter],
    at: &FieldPath,
    actions: &mut Actions,
    faults: &mut Vec<Fault>,
) {
    for (i, filter) in filters.iter().enumerate() {
        let at = at.index(i);
        if let Some(written) = &filter.request_header_modifier {
            let at = at.key("requestHeaderModifier");
            actions.request_headers = header_edits(written, &at, faults);
        }
        if let Some(written) = &filter.response_header_modifier {
            let at = at.key("responseHeaderModifier");
            actions.response_headers = header_edits(written, &at, faults);
        }
        if let Some(written) = &filter.url_rewrite {
            let hostname = written.hostname.as_deref();
            let at = at.key("urlRewrite").key("hostname");
            actions.rewrite = Some(Rewrite {
                hostname: hostname.and_then(|host| header_value(host, at, faults)),
                path: written.path.as_ref().and_then(path_rewrite),
            });
        }
        if let Some(written) = &filter.cors {
            actions.cors = Some(cors(written));
        }
    }
}

/// Who gets copies, by `filters` of a route in `namespace`.
pub(super) fn mirrors(filters: &[Filter], namespace: &str) -> Vec<MirrorSpec> {
    let mirror = |written: &RequestMirror| {
        let percent = written.percent.unwrap_or(RequestMirror::DEFAULT_PERCENT);
        let concurrent = written.max_concurrent;
        let body = written.max_body_bytes;
        let all = MirrorSpec::to(BackendId::new(namespace, &written.service));
        MirrorSpec {
            // That it is no more than 100 is checked with the document.
            share: u8::try_from(percent)
                .ok()
                .and_then(Weight::from_percent)
                .unwrap_or(Weight::FULL),
            max_concurrent: concurrent.unwrap_or(all.max_concurrent),
            max_body_bytes: body.map_or(all.max_body_bytes, |body| body as usize),
            ..all
        }
    };
    let written = filters.iter().filter_map(|f| f.request_mirror.as_ref());
    written.map(mirror).collect()
}

/// How a path changes; none where the document does not say it, which was told already.
pub(super) fn path_rewrite(written: &PathModifier) -> Option<PathRewrite> {
    use crds::proxy::PathModifierType::{ReplaceFullPath, ReplacePrefixMatch};
    Some(match written.kind {
        ReplaceFullPath => {
            PathRewrite::ReplaceFullPath(written.replace_full_path.as_deref()?.into())
        }
        ReplacePrefixMatch => {
            PathRewrite::ReplacePrefixMatch(written.replace_prefix_match.as_deref()?.into())
        }
    })
}

fn header_edits(written: &HeaderModifier, at: &FieldPath, faults: &mut Vec<Fault>) -> HeaderEdits {
    let remove = written.remove.iter().enumerate();
    let remove_at = at.key("remove");
    HeaderEdits {
        remove: remove
            .filter_map(|(i, name)| header_name(name, remove_at.index(i), faults))
            .collect(),
        set: headers(&written.set, &at.key("set"), faults),
        add: headers(&written.add, &at.key("add"), faults),
    }
}

fn headers(
    written: &[Header],
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Vec<(HeaderName, HeaderValue)> {
    let header = |(i, header): (usize, &Header)| {
        let at = at.index(i);
        let name = header_name(&header.name, at.key("name"), faults);
        name.zip(header_value(&header.value, at.key("value"), faults))
    };
    written.iter().enumerate().filter_map(header).collect()
}

fn header_value(written: &str, at: FieldPath, faults: &mut Vec<Fault>) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(written).ok();
    if value.is_none() {
        let allowed = "visible ASCII characters and spaces";
        faults.push((at, format!("found {written:?}, allowed {allowed}")));
    }
    value
}

fn cors(written: &proxy::Cors) -> Cors {
    let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    Cors {
        allow_origins: boxed(&written.allow_origins),
        allow_credentials: written.allow_credentials.unwrap_or_default(),
        allow_methods: boxed(&written.allow_methods),
        allow_headers: boxed(&written.allow_headers),
        expose_headers: boxed(&written.expose_headers),
        max_age: written.max_age,
    }
}
