//! What a request asks for: path and query, parsed. Nothing is looked up here.

use ::http::Uri;

use crate::status::ApiError;

/// A path below `/api` or `/apis` that names a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    /// `status`, `scale`, `log`, …; `""` for none.
    pub(crate) subresource: String,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/{group}`
    Group(String),
    /// `/api/{version}` (group `""`) or `/apis/{group}/{version}`
    Resources(String, String),
    /// Objects.
    Resource(ResourcePath),
    /// Everything that is not under `/api` or `/apis`, by its segments.
    Other(Vec<String>),
}

fn decoded(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = (*byte == b'%').then(|| segment.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok())).flatten();
        match escape {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads a path.
pub(crate) fn place(path: &str) -> Option<Place> {
    let segments: Vec<String> = path.split('/').filter(|segment| !segment.is_empty()).map(decoded).collect();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api"] => return Some(Place::CoreVersions),
        ["apis"] => return Some(Place::Groups),
        ["apis", group] => return Some(Place::Group((*group).to_owned())),
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Some(Place::Other(segments)),
    };
    let (namespace, rest) = match rest {
        [] => return Some(Place::Resources(group.to_owned(), version.to_owned())),
        ["namespaces", _, "status" | "finalize"] if group.is_empty() => ("", rest),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        _ => ("", rest),
    };
    let (resource, name, subresource) = match rest {
        [resource] => (*resource, "", String::new()),
        [resource, name] => (*resource, *name, String::new()),
        [resource, name, below @ ..] => (*resource, *name, below.join("/")),
        [] => return None,
    };
    Some(Place::Resource(ResourcePath {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        subresource,
    }))
}

/// The query of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the query of an address.
    pub(crate) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| ApiError::bad_request(format!("unable to decode query parameters: {error}")))?;
        Ok(Self { pairs: pairs.0 })
    }

    /// The first value of a parameter, `""` where there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// True when the parameter is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(key, _)| key == name)
    }

    /// A truth value: present and neither `0` nor `false`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.has(name) && !matches!(self.text(name), "0" | "false")
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.text(name) {
            "" => Ok(None),
            text => {
                text.parse().map(Some).map_err(|_| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
            }
        }
    }
}

/// The form a client wants objects in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Object,
    /// Rows for people.
    Table,
    /// Metadata only.
    Metadata,
}

/// What an `Accept` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) form: Form,
    pub(crate) yaml: bool,
    /// Whether aggregated discovery is understood, in its v2 form.
    pub(crate) aggregated: bool,
}

/// Reads an `Accept` header: the first form that we can give.
pub(crate) fn accepted(header: &str) -> Result<Accepted, ApiError> {
    let plain = Accepted { form: Form::Object, yaml: false, aggregated: false };
    if header.trim().is_empty() {
        return Ok(plain);
    }
    for entry in header.split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let media = parts.next().unwrap_or("");
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let value = |name: &str| parameters.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| *value);
        let yaml = media == "application/yaml";
        if !yaml && !matches!(media, "application/json" | "*/*" | "application/*" | "text/plain" | "text/*" | "text/html") {
            continue;
        }
        let form = match value("as") {
            "Table" if value("v") == "v1" => Form::Table,
            "PartialObjectMetadata" | "PartialObjectMetadataList" if value("v") == "v1" => Form::Metadata,
            "APIGroupDiscoveryList" if value("v") == "v2" => return Ok(Accepted { aggregated: true, yaml, ..plain }),
            "" => Form::Object,
            _ => continue,
        };
        return Ok(Accepted { form, yaml, aggregated: false });
    }
    Err(ApiError::not_acceptable())
}

/// What a `User-Agent` says of the program that writes: its part before the first `/`.
pub(crate) fn manager(user_agent: &str) -> String {
    let name: String = user_agent.split('/').next().unwrap_or("").chars().filter(|c| !c.is_control()).take(128).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn tells_a_namespace_from_what_is_in_it() {
        let of = |path: &str| match place(path) {
            Some(Place::Resource(path)) => {
                format!("{}|{}|{}|{}|{}", path.group, path.namespace, path.resource, path.name, path.subresource)
            }
            other => format!("{other:?}"),
        };
        assert_eq!(of("/api/v1/namespaces"), "||namespaces||");
        assert_eq!(of("/api/v1/namespaces/shop"), "||namespaces|shop|");
        assert_eq!(of("/api/v1/namespaces/shop/finalize"), "||namespaces|shop|finalize");
        assert_eq!(of("/api/v1/namespaces/shop/pods/a/log"), "|shop|pods|a|log");
        assert_eq!(of("/apis/apps/v1/namespaces/shop/deployments"), "apps|shop|deployments||");
        assert_eq!(
            of("/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode"),
            "rbac.authorization.k8s.io||clusterroles|system:node|"
        );
    }

    #[test]
    fn takes_the_first_form_that_it_can_give() {
        let of = |text: &str| accepted(text).unwrap();
        assert_eq!(of("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").form, Form::Table);
        assert_eq!(of("application/vnd.kubernetes.protobuf, */*").form, Form::Object);
        assert!(accepted("application/vnd.kubernetes.protobuf").is_err());
    }
}
