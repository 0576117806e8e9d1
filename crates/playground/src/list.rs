//! Lists: consistent pages at one revision, and the rules of `resourceVersion` and `continue`.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Target};
use crate::request::Query;
use crate::selector::Selector;
use crate::status::{ApiError, Cause};
use crate::store::{Object, key_of};

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Arc<Object>>,
    pub(crate) revision: u64,
    pub(crate) next: Option<String>,
    pub(crate) remaining: Option<usize>,
}

/// The selector of a request; one object's watch or list by name counts as a field selector.
pub(crate) fn selector(target: &Target, query: &Query) -> Result<Selector, ApiError> {
    let fields = query.text("fieldSelector");
    let fields = match (target.name.is_empty(), fields.is_empty()) {
        (true, _) => fields.to_owned(),
        (false, true) => format!("metadata.name={}", target.name),
        (false, false) => format!("{fields},metadata.name={}", target.name),
    };
    Selector::parse(query.text("labelSelector"), &fields, &target.def)
}

/// A revision as clients write it; `None` for none.
pub(crate) fn version(text: &str) -> Result<Option<u64>, ApiError> {
    match text {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            let why = format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
            ApiError::bad_request(format!("invalid resource version: {why}"))
        }),
    }
}

const EXPIRED_PAGE: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the \
    continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token \
    results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may \
    show up in the list.";

fn refuse_match(message: &str) -> ApiError {
    let about = crate::status::About { group: "meta.k8s.io", resource: "ListOptions", name: "" };
    ApiError::invalid(about, &[Cause::forbidden("resourceVersionMatch", message)])
}

struct Start {
    revision: u64,
    after: Option<String>,
}

fn start(cluster: &Cluster, query: &Query) -> Result<Start, ApiError> {
    let current = cluster.store.revision();
    let wanted = version(query.text("resourceVersion"))?;
    let matching = query.text("resourceVersionMatch");
    if !query.text("continue").is_empty() {
        if !matching.is_empty() {
            return Err(refuse_match("resourceVersionMatch is forbidden when continue is provided"));
        }
        if wanted.is_some_and(|wanted| wanted != 0) {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        return token(query.text("continue"), cluster);
    }
    if !matching.is_empty() && wanted.is_none() {
        return Err(refuse_match("resourceVersionMatch is forbidden unless resourceVersion is provided"));
    }
    match (matching, wanted) {
        ("Exact", Some(0)) => Err(refuse_match("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")),
        (_, Some(wanted)) if wanted > current => Err(ApiError::too_large_version(wanted, current)),
        ("Exact", Some(wanted)) => Ok(Start { revision: wanted, after: None }),
        ("" | "NotOlderThan", _) => Ok(Start { revision: current, after: None }),
        (other, _) => {
            let about = crate::status::About { group: "meta.k8s.io", resource: "ListOptions", name: "" };
            Err(ApiError::invalid(about, &[Cause::unsupported("resourceVersionMatch", &other.into(), &["Exact", "NotOlderThan", ""])]))
        }
    }
}

fn token(text: &str, cluster: &Cluster) -> Result<Start, ApiError> {
    let wrong = |why: &str| ApiError::bad_request(format!("continue key is not valid: {why}"));
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|error| wrong(&error.to_string()))?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))?;
    let after = token.get("start").and_then(Value::as_str).ok_or_else(|| wrong("it has no start"))?.to_owned();
    match token.get("rv").and_then(Value::as_i64) {
        // A token without a consistent revision goes on with what is there now.
        Some(-1) => Ok(Start { revision: cluster.store.revision(), after: Some(after) }),
        Some(revision) => Ok(Start { revision: u64::try_from(revision).unwrap_or(0), after: Some(after) }),
        None => Err(wrong("it has no revision")),
    }
}

fn continue_token(revision: i64, after: &str) -> String {
    URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": format!("{after}\u{0}")}).to_string())
}

fn expired_page(after: &str) -> ApiError {
    let mut refusal = ApiError::expired(EXPIRED_PAGE);
    refusal.next = Some(continue_token(-1, after.trim_end_matches('\u{0}')));
    refusal
}

/// One page of the objects of a target.
pub(crate) fn page(cluster: &Cluster, target: &Target, query: &Query) -> Result<Page, ApiError> {
    let selector = selector(target, query)?;
    let limit = query.number("limit")?.unwrap_or(0);
    let start = start(cluster, query)?;
    // Lists from the cache ("0") were never paged.
    let limit = if query.text("resourceVersion") == "0" { 0 } else { usize::try_from(limit).unwrap_or(0) };
    let table = &target.def.table;
    let past = if start.revision == cluster.store.revision() {
        None
    } else {
        Some(cluster.store.at(table, start.revision).ok_or_else(|| match &start.after {
            Some(after) => expired_page(after),
            None => ApiError::expired("The resourceVersion for the provided list is too old."),
        })?)
    };
    let prefix = if target.namespace.is_empty() { String::new() } else { format!("{}/", target.namespace) };
    let chosen: Vec<Arc<Object>> = match &past {
        None => cluster.store.scan(table, &target.namespace).cloned().collect(),
        Some(past) => past.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(_, object)| object.clone()).collect(),
    };
    let behind = |object: &Arc<Object>| {
        start.after.as_ref().is_none_or(|after| format!("{}\u{0}", key_of(object.namespace(), object.name())) > *after)
    };
    let mut left = chosen.into_iter().filter(behind).filter(|object| selector.matches(object.value()));
    let items: Vec<Arc<Object>> = if limit == 0 { left.by_ref().collect() } else { left.by_ref().take(limit).collect() };
    let remaining = left.count();
    let next = match items.last() {
        Some(last) if remaining > 0 => {
            let revision = i64::try_from(start.revision).unwrap_or(i64::MAX);
            Some(continue_token(revision, &key_of(last.namespace(), last.name())))
        }
        _ => None,
    };
    let told = next.is_some() && selector.is_empty();
    Ok(Page { items, revision: start.revision, next, remaining: told.then_some(remaining) })
}

impl Page {
    /// The `metadata` of the list object.
    pub(crate) fn metadata(&self, custom: bool) -> Value {
        let mut out = json!({"resourceVersion": self.revision.to_string()});
        if custom {
            out["continue"] = "".into();
        }
        if let Some(next) = &self.next {
            out["continue"] = next.clone().into();
        }
        if let Some(remaining) = self.remaining {
            out["remainingItemCount"] = remaining.into();
        }
        out
    }
}
