//! Creating and replacing objects, by the rules of the real API server.
//!
//! Synchronous and without a clock: the time comes with the writer. Deleting is in `remove`, patches are turned into whole objects in `patch`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Target, Writer};
use crate::managed::{self, Who};
use crate::status::{ApiError, Cause};
use crate::store::Object;
use crate::{convert, defaults, prepare, tree, validate};

/// What a write left behind.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Arc<Object>,
    pub(crate) created: bool,
}

/// The object in its storage dialect, with the envelope checked against the endpoint.
pub(crate) fn decode(target: &Target, mut body: Value) -> Result<Value, ApiError> {
    if !body.is_object() {
        return Err(ApiError::bad_request("the body of the request is no object: expected a JSON or YAML object"));
    }
    let expected = target.def.api_version(&target.version);
    let (version, kind) = (tree::text(&body, "/apiVersion").to_owned(), tree::text(&body, "/kind").to_owned());
    let envelope = mismatch(target, &version, &kind, &expected);
    if let Some(refusal) = envelope {
        return Err(refusal);
    }
    tree::put(&mut body, &["apiVersion"], expected);
    tree::put(&mut body, &["kind"], target.def.kind.clone());
    if !body.get("metadata").is_some_and(Value::is_object) {
        tree::put(&mut body, &["metadata"], json!({}));
    }
    if !target.def.is_custom() {
        tree::drop_nulls(&mut body);
    }
    Ok(convert::to_storage(&target.def, &target.version, body))
}

/// What is wrong with the envelope of an object for this endpoint.
fn mismatch(target: &Target, version: &str, kind: &str, expected: &str) -> Option<ApiError> {
    let wanted = &target.def.kind;
    let wrong_version = !version.is_empty() && version != expected;
    if wrong_version
        && (target.def.is_custom()
            || target.def.kind == kind && version.contains('/') == expected.contains('/') && target.def.group == "events.k8s.io")
    {
        let message = format!("the API version in the data ({version}) does not match the expected API version ({expected})");
        return Some(ApiError::bad_request(message));
    }
    if wrong_version {
        let why = format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"");
        return Some(ApiError::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {wanted}: {why}",
            version_part(version)
        )));
    }
    if !kind.is_empty() && kind != wanted {
        let group = if target.def.group.is_empty() { "core" } else { target.def.group.split('.').next().unwrap_or_default() };
        let why = format!("converting ({0}.{kind}) to ({group}.{wanted}): unknown conversion", target.version);
        return Some(ApiError::bad_request(format!("{kind} in version {:?} cannot be handled as a {wanted}: {why}", target.version)));
    }
    None
}

fn version_part(api_version: &str) -> &str {
    api_version.rsplit('/').next().unwrap_or(api_version)
}

fn check_namespace(target: &Target, value: &mut Value) -> Result<(), ApiError> {
    let stated = tree::text(value, "/metadata/namespace");
    if !target.def.namespaced {
        tree::take(value, &["metadata", "namespace"]);
        return Ok(());
    }
    if !stated.is_empty() && stated != target.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    tree::put(value, &["metadata", "namespace"], target.namespace.clone());
    Ok(())
}

/// Length of the random part of generated names.
const SUFFIX_LENGTH: usize = 5;
/// Longest beginning of a generated name: 63 less the suffix.
const GENERATED_BASE: usize = 58;

impl Cluster {
    fn who(&self, target: &Target, writer: &Writer, apply: bool) -> Who {
        let subresource =
            if target.subresource == "scale" || target.subresource == "status" { target.subresource.clone() } else { String::new() };
        Who { manager: writer.manager.clone(), apply, api_version: target.def.api_version(&target.version), subresource }
    }

    fn check_namespace_alive(&self, target: &Target) -> Result<(), ApiError> {
        if !target.def.namespaced {
            return Ok(());
        }
        let Some(namespace) = self.object("", "namespaces", "", &target.namespace) else {
            return Err(ApiError::not_found(crate::status::About { group: "", resource: "namespaces", name: &target.namespace }));
        };
        if namespace.is_terminating() && !target.def.is_event() {
            let why = format!("unable to create new content in namespace {} because it is being terminated", target.namespace);
            let mut refusal = ApiError::forbidden(target.about(), &why);
            let cause = json!([{
                "reason": "NamespaceTerminating",
                "message": format!("namespace {} is being terminated", target.namespace),
                "field": "metadata.namespace",
            }]);
            if let Some(details) = refusal.details.as_mut() {
                details["causes"] = cause;
            }
            return Err(refusal);
        }
        Ok(())
    }

    fn name_new(&mut self, target: &mut Target, value: &mut Value) -> Result<(), ApiError> {
        let stated = tree::text(value, "/metadata/name").to_owned();
        let base = tree::text(value, "/metadata/generateName").to_owned();
        if !target.name.is_empty() && !stated.is_empty() && stated != target.name {
            let message = format!("the name of the object ({stated}) does not match the name on the URL ({})", target.name);
            return Err(ApiError::bad_request(message));
        }
        if !stated.is_empty() {
            target.name = stated;
        } else if target.name.is_empty() && !base.is_empty() {
            let base: String = base.chars().take(GENERATED_BASE).collect();
            target.name = format!("{base}{}", self.ids.suffix(SUFFIX_LENGTH));
        } else if target.name.is_empty() {
            let cause = Cause::required("metadata.name", "name or generateName is required");
            return Err(ApiError::invalid(target.about_kind(), &[cause]));
        }
        tree::put(value, &["metadata", "name"], target.name.clone());
        Ok(())
    }

    /// Creates an object from what a client sent.
    pub(crate) fn create(&mut self, target: &Target, body: Value, writer: &Writer) -> Result<Written, ApiError> {
        let value = decode(target, body)?;
        self.create_decoded(target, value, writer, |cluster, target, value| {
            let who = cluster.who(target, writer, false);
            tree::take(value, &["metadata", "managedFields"]);
            managed::record_update(None, value, &target.def, &target.version, &who, writer.now);
        })
    }

    /// Creates an object; `own` writes its managed fields.
    pub(crate) fn create_decoded(
        &mut self,
        target: &Target,
        mut value: Value,
        writer: &Writer,
        own: impl FnOnce(&Self, &Target, &mut Value),
    ) -> Result<Written, ApiError> {
        let mut target = target.clone();
        check_namespace(&target, &mut value)?;
        if !tree::text(&value, "/metadata/resourceVersion").is_empty() && tree::text(&value, "/metadata/resourceVersion") != "0" {
            return Err(ApiError::unclassed("resourceVersion should not be set on objects to be created"));
        }
        self.name_new(&mut target, &mut value)?;
        self.check_namespace_alive(&target)?;
        let (uid, now) = (self.ids.uid(), crate::time::seconds(writer.now));
        let meta = tree::object(tree::object(&mut value).entry("metadata").or_insert(Value::Null));
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink", "resourceVersion"] {
            meta.remove(field);
        }
        meta.insert("uid".to_owned(), uid.into());
        meta.insert("creationTimestamp".to_owned(), now.into());
        if target.def.traits.generation {
            meta.insert("generation".to_owned(), 1.into());
        }
        defaults::apply(&target.def, &target.version, &mut value);
        own(self, &target, &mut value);
        prepare::for_create(self, &target, &mut value, writer);
        validate::on_create(&target, &value)?;
        if self.store.get(&target.def.table, &target.key()).is_some() {
            return Err(ApiError::already_exists(target.about()));
        }
        let object = self.keep(&target, value, writer);
        Ok(Written { object, created: true })
    }

    /// Commits a version, or pretends to.
    fn keep(&mut self, target: &Target, value: Value, writer: &Writer) -> Arc<Object> {
        if writer.dry_run {
            return Arc::new(Object::new(value, self.store.revision()));
        }
        match self.store.commit(&target.def.table, &target.key(), Some(value.clone())) {
            Some(object) => object,
            None => Arc::new(Object::new(value, self.store.revision())),
        }
    }

    /// Replaces an object (or the part that the subresource writes) by what a client sent. A missing object is created where its type
    /// allows that.
    pub(crate) fn update(&mut self, target: &Target, body: Value, writer: &Writer) -> Result<Written, ApiError> {
        let value = decode(target, body)?;
        let stated = tree::text(&value, "/metadata/name");
        if stated.is_empty() {
            return Err(ApiError::invalid(target.about_kind(), &[Cause::required("metadata.name", "name is required")]));
        }
        if stated != target.name {
            let message = format!("the name of the object ({stated}) does not match the name on the URL ({})", target.name);
            return Err(ApiError::bad_request(message));
        }
        let Some(existing) = self.store.get(&target.def.table, &target.key()).cloned() else {
            let creates = matches!(target.def.kind.as_str(), "Lease" | "Endpoints" | "Event" | "EndpointSlice" | "LimitRange" | "Role");
            if creates && target.subresource.is_empty() {
                return self.create(target, value, writer);
            }
            return Err(ApiError::not_found(target.about()));
        };
        let version = tree::text(&value, "/metadata/resourceVersion");
        if version.is_empty() && requires_version(target) {
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(ApiError::invalid(target.about(), &[cause]));
        }
        self.replace(target, &existing, value, writer)
    }

    /// Replaces a stored version by a decoded one, as an ordinary write.
    pub(crate) fn replace(&mut self, target: &Target, existing: &Arc<Object>, value: Value, writer: &Writer) -> Result<Written, ApiError> {
        let who = self.who(target, writer, false);
        let now = writer.now;
        let clears = value.pointer("/metadata/managedFields").and_then(Value::as_array).is_some_and(|list| {
            // One empty entry is the documented way to reset the list.
            list.len() == 1 && list.iter().all(|entry| entry.as_object().is_some_and(serde_json::Map::is_empty))
        });
        self.replace_with(target, existing, value, writer, |target, before, value| {
            if clears {
                tree::take(value, &["metadata", "managedFields"]);
                return;
            }
            managed::record_update(Some(before), value, &target.def, &target.version, &who, now);
        })
    }

    /// Replaces a stored version; `own` writes the managed fields, given the version before.
    pub(crate) fn replace_with(
        &mut self,
        target: &Target,
        existing: &Arc<Object>,
        mut value: Value,
        writer: &Writer,
        own: impl FnOnce(&Target, &Value, &mut Value),
    ) -> Result<Written, ApiError> {
        let before = existing.value();
        check_namespace(target, &mut value)?;
        let version = tree::text(&value, "/metadata/resourceVersion");
        if !version.is_empty() && version != "0" && version != existing.revision().to_string() {
            let why = "the object has been modified; please apply your changes to the latest version and try again";
            return Err(ApiError::conflict(target.about(), why));
        }
        let uid = tree::text(&value, "/metadata/uid");
        if !uid.is_empty() && uid != existing.uid() {
            let place =
                if target.def.is_custom() { format!("{}/{}", target.def.group, target.def.plural) } else { target.def.plural.clone() };
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{place}/{}, ResourceVersion: 0, AdditionalErrorMsg: \
                 Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                target.key(),
                existing.uid()
            );
            return Err(ApiError::conflict(target.about(), &why));
        }
        prepare::for_update(target, before, &mut value);
        defaults::apply(&target.def, &target.version, &mut value);
        bump_generation(target, before, &mut value);
        validate::on_update(target, before, &value)?;
        own(target, before, &mut value);
        if is_same(before, &value) {
            return Ok(Written { object: existing.clone(), created: false });
        }
        let finished = existing.is_terminating() && crate::remove::is_free(&value);
        let object = self.keep(target, value, writer);
        if finished && !writer.dry_run {
            let last = self.store.commit(&target.def.table, &target.key(), None).unwrap_or(object);
            return Ok(Written { object: last, created: false });
        }
        Ok(Written { object, created: false })
    }
}

/// Types that refuse a replacement that does not say which version it replaces.
fn requires_version(target: &Target) -> bool {
    target.def.is_custom() || matches!(target.def.kind.as_str(), "Lease" | "CustomResourceDefinition" | "APIService" | "VolumeAttachment")
}

fn bump_generation(target: &Target, before: &Value, value: &mut Value) {
    let old = tree::number(before, "/metadata/generation").unwrap_or(0);
    if !target.def.traits.generation {
        tree::take(value, &["metadata", "generation"]);
        return;
    }
    let desired = |value: &Value| -> Vec<(String, Value)> {
        value
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != "metadata" && !(*key == "status" && target.def.traits.status))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let starts_deleting = before.pointer("/metadata/deletionTimestamp").is_none() && value.pointer("/metadata/deletionTimestamp").is_some();
    let next = if desired(before) != desired(value) || starts_deleting { old + 1 } else { old };
    tree::put(value, &["metadata", "generation"], next);
}

/// True when nothing but times of managed fields differs; such a write is not committed.
fn is_same(before: &Value, after: &Value) -> bool {
    let plain = |value: &Value| {
        let mut out = value.clone();
        tree::take(&mut out, &["metadata", "resourceVersion"]);
        for entry in tree::list_mut(&mut out, &["metadata", "managedFields"]) {
            tree::take(entry, &["time"]);
        }
        out
    };
    plain(before) == plain(after)
}
