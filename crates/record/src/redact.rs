//! Takes secrets out of an object before anything else sees it.
//!
//! A value becomes a keyed tag, so that a change still shows; what may be said of it safely is derived first (`facts`). Invariants: no
//! byte of a Secret's value, of an annotation that embeds a former object, or of an environment value with a telling name passes
//! through here; redacting twice is redacting once.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use proreus_model::{ClusterId, Uid};
use zeroize::Zeroizing;

use crate::facts;
use crate::json::{self, JsonError, MAX_DEPTH, Node};
use crate::redaction_key::{KEY_BYTES, RedactionKey};

/// Words that make a name one of a secret, in lower case: of environment variables unless configured otherwise, and of what logs tell.
pub(crate) const SECRET_NAMES: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "_key",
    "-key",
    "privatekey",
    "_auth",
    "dsn",
];

/// What is secret beside Secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactionSettings {
    /// Annotations (exact names) that embed a former object. They are removed from every object and from every template inside one.
    pub embedded_annotations: Vec<String>,
    /// Environment variables whose name contains one of these (case does not matter) have their value tagged.
    pub env_name_patterns: Vec<String>,
}

impl Default for RedactionSettings {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            embedded_annotations: owned(&[
                "kubectl.kubernetes.io/last-applied-configuration",
                "objectset.rio.cattle.io/applied",
                "kapp.k14s.io/original",
                "banzaicloud.com/last-applied",
                "kopf.zalando.org/last-handled-configuration",
            ]),
            env_name_patterns: owned(&SECRET_NAMES),
        }
    }
}

/// Redacts objects of any cluster under one key.
#[derive(Clone, Debug)]
pub struct Redactor {
    key: Arc<RedactionKey>,
    settings: Arc<RedactionSettings>,
}

/// The object that is being redacted, for its tags.
#[derive(Clone, Copy)]
struct Owner<'o> {
    cluster: &'o ClusterId,
    uid: &'o Uid,
}

impl Redactor {
    /// A redactor with its key.
    pub fn new(key: Arc<RedactionKey>, settings: RedactionSettings) -> Self {
        Self { key, settings: Arc::new(settings) }
    }

    /// A redactor for objects that nobody recorded, such as those of scenarios: with a key that is no secret, so that the same object gives
    /// the same tags everywhere.
    pub fn rehearsal() -> Self {
        Self::new(Arc::new(RedactionKey::from_bytes(Zeroizing::new([0; KEY_BYTES]))), RedactionSettings::default())
    }

    /// The object in `json` as a recording would hold it.
    ///
    /// # Errors
    /// JSON that cannot be parsed, or nests too deeply.
    pub fn redacted(&self, cluster: &ClusterId, uid: &Uid, json: &[u8]) -> Result<Vec<u8>, JsonError> {
        let mut object = json::parse(json, MAX_DEPTH)?;
        self.redact(cluster, uid, &mut object);
        let mut body = Vec::new();
        object.print(&mut body);
        Ok(body)
    }

    /// Public name of the key.
    pub fn key_id(&self) -> &str {
        self.key.id()
    }

    /// Takes the secrets out of `object`, whose `kind` is filled in.
    pub(crate) fn redact(&self, cluster: &ClusterId, uid: &Uid, object: &mut Node<'_>) {
        self.walk(Owner { cluster, uid }, object);
    }

    fn walk(&self, owner: Owner<'_>, node: &mut Node<'_>) {
        match node {
            Node::Map(_) => {
                if is_secret(node) {
                    self.redact_secret(owner, node);
                }
                if let Node::Map(members) = node {
                    for (key, value) in members.iter_mut() {
                        match (&**key, &mut *value) {
                            ("annotations", Node::Map(annotations)) => {
                                annotations.retain(|(name, value)| !self.embeds_an_object(name, value));
                            }
                            ("env", Node::List(variables)) => self.redact_environment(owner, variables),
                            _ => {}
                        }
                        self.walk(owner, value);
                    }
                }
            }
            Node::List(items) => items.iter_mut().for_each(|item| self.walk(owner, item)),
            Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => {}
        }
    }

    fn embeds_an_object(&self, name: &str, value: &Node<'_>) -> bool {
        if self.settings.embedded_annotations.iter().any(|listed| listed == name) {
            return true;
        }
        // Tools that nobody listed: JSON text that looks like a whole object.
        value.as_text().is_some_and(|text| {
            text.trim_start().starts_with('{')
                && text.contains("\"kind\"")
                && text.contains("\"apiVersion\"")
                && text.contains("\"metadata\"")
        }) || name.ends_with("/last-applied-configuration")
            || name.ends_with("/last-applied")
    }

    fn redact_environment(&self, owner: Owner<'_>, variables: &mut [Node<'_>]) {
        for variable in variables {
            let Some(name) = variable.text_at(&["name"]).map(str::to_owned) else { continue };
            if let Some(Node::Text(value)) = variable.get_mut("value")
                && !value.is_empty()
                && !is_tag(value)
                && (self.is_telling(&name) || has_login(value))
            {
                *value = Cow::Owned(self.tag(owner, &format!("env/{name}"), value.as_bytes()));
            }
        }
    }

    fn is_telling(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        self.settings.env_name_patterns.iter().any(|pattern| !pattern.is_empty() && name.contains(&pattern.to_ascii_lowercase()))
    }

    fn redact_secret(&self, owner: Owner<'_>, secret: &mut Node<'_>) {
        let mut values = Vec::new();
        for (field, is_encoded) in [("data", true), ("stringData", false)] {
            let Some(Node::Map(members)) = secret.get_mut(field) else {
                if secret.get(field).is_some_and(|node| *node != Node::Null) {
                    secret.remove(field);
                }
                continue;
            };
            for (key, value) in members.iter_mut() {
                let plain = match value {
                    Node::Text(text) if is_tag(text) => continue,
                    Node::Text(text) => Zeroizing::new(decode(text, is_encoded)),
                    Node::Null | Node::Bool(_) | Node::Number(_) | Node::List(_) | Node::Map(_) => Zeroizing::new(Vec::new()),
                };
                *value = Node::Text(Cow::Owned(self.tag(owner, key, &plain)));
                values.push((key.to_string(), plain));
            }
        }
        let secret_type = secret.text_at(&["type"]).unwrap_or_default().to_owned();
        let labels = secret.get("metadata").and_then(|metadata| metadata.get("labels"));
        if !values.is_empty()
            && let Some(facts) = facts::of_secret(&secret_type, &values, labels)
        {
            secret.set("safeFacts", facts);
        }
    }

    fn tag(&self, owner: Owner<'_>, key: &str, value: &[u8]) -> String {
        self.key.tag(owner.cluster, owner.uid, key, value)
    }
}

/// A Secret, whole or as a template inside another object.
fn is_secret(node: &Node<'_>) -> bool {
    node.text_at(&["kind"]) == Some("Secret") && (node.get("data").is_some() || node.get("stringData").is_some())
}

/// `redacted:` + 8 hex + `:` + 32 hex.
fn is_tag(text: &str) -> bool {
    let is_hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.strip_prefix("redacted:").and_then(|rest| rest.split_once(':')).is_some_and(|(id, tag)| is_hex(id, 8) && is_hex(tag, 32))
}

fn decode(text: &str, is_encoded: bool) -> Vec<u8> {
    if is_encoded && let Ok(plain) = base64::engine::general_purpose::STANDARD.decode(text) {
        return plain;
    }
    text.as_bytes().to_vec()
}

/// A URL with `user:password@` in it.
fn has_login(value: &str) -> bool {
    value.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(login, _)| login.contains(':'))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::json::{MAX_DEPTH, parse};
    use crate::redaction_key::KEY_BYTES;

    fn redact(text: &str) -> String {
        let key = Arc::new(RedactionKey::from_bytes(Zeroizing::new([7; KEY_BYTES])));
        let mut node = parse(text.as_bytes(), MAX_DEPTH).unwrap();
        let redactor = Redactor::new(key, RedactionSettings::default());
        redactor.redact(&"cluster".into(), &"uid".into(), &mut node);
        let mut out = Vec::new();
        node.print(&mut out);
        let once = String::from_utf8(out).unwrap();
        let mut again = parse(once.as_bytes(), MAX_DEPTH).unwrap();
        redactor.redact(&"cluster".into(), &"uid".into(), &mut again);
        assert_eq!(Ok(again), parse(once.as_bytes(), MAX_DEPTH), "redacting twice is redacting once");
        once
    }

    #[test]
    fn replaces_the_values_of_a_secret_and_keeps_its_keys_and_type() {
        let said = redact(r#"{"kind":"Secret","type":"Opaque","data":{"password":"Y2FuYXJ5"},"stringData":{"user":"canary"}}"#);
        assert!(!said.contains("Y2FuYXJ5") && !said.contains("canary"), "{said}");
        assert!(said.contains("\"password\":\"redacted:") && said.contains("\"user\":\"redacted:") && said.contains("\"type\":\"Opaque\""));
    }

    #[test]
    fn a_changed_value_gets_another_tag_and_an_unchanged_one_the_same() {
        let secret = |value: &str| redact(&format!(r#"{{"kind":"Secret","data":{{"p":"{value}"}}}}"#));
        assert_eq!(secret("YQ=="), secret("YQ=="));
        assert_ne!(secret("YQ=="), secret("Yg=="));
        assert_eq!(secret("YQ==").len(), secret("YWFhYWFhYWFhYWFhYWFh").len());
    }

    #[test]
    fn finds_secrets_inside_of_other_objects() {
        let said = redact(r#"{"kind":"Template","objects":[{"kind":"Secret","stringData":{"p":"canary"}}]}"#);
        assert!(!said.contains("canary") && said.contains("redacted:"), "{said}");
    }

    #[test]
    fn values_that_are_no_text_do_not_pass() {
        let said = redact(r#"{"kind":"Secret","data":{"p":["canary"]},"stringData":"canary"}"#);
        assert!(!said.contains("canary"), "{said}");
    }

    #[test]
    fn removes_annotations_that_embed_a_former_object_wherever_they_are() {
        let said = redact(
            r#"{"kind":"Deployment","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"canary","keep":"me",
                "tool/unknown":"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{},\"data\":\"canary\"}","x.io/last-applied":"canary"}},
                "spec":{"template":{"metadata":{"annotations":{"objectset.rio.cattle.io/applied":"canary"}}}}}"#,
        );
        assert_eq!(
            said,
            r#"{"kind":"Deployment","metadata":{"annotations":{"keep":"me"}},"spec":{"template":{"metadata":{"annotations":{}}}}}"#
        );
    }

    #[test]
    fn tags_environment_values_with_telling_names_or_a_login_in_them() {
        let said = redact(
            r#"{"kind":"Pod","spec":{"containers":[{"env":[{"name":"DB_PASSWORD","value":"canary"},{"name":"URL","value":"postgres://u:canary@db/x"},
                {"name":"MODE","value":"fast"},{"name":"API_TOKEN","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}]}}"#,
        );
        assert!(!said.contains("canary"), "{said}");
        assert!(said.contains(r#"{"name":"MODE","value":"fast"}"#) && said.contains(r#""secretKeyRef":{"key":"k","name":"s"}"#), "{said}");
    }

    #[test]
    fn leaves_a_config_map_alone() {
        let text = r#"{"data":{"k":"v"},"kind":"ConfigMap"}"#;
        assert_eq!(redact(text), text);
    }
}
