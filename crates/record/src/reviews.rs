//! Asks an API server who somebody is and what they may do: TokenReview and SubjectAccessReview.
//!
//! Hands only: what is asked, and what follows from the answers, is decided by whoever asks. Nothing is remembered here but for a moment
//! which cluster answers. Invariant: an answer that is not a clear yes or no is an error, and a token is never part of one.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use proreus_model::ClusterId;
use serde_json::{Value, json};

use crate::cluster_api::{ApiError, ClusterApi};
use crate::connect::ClusterSource;
use crate::identity;

/// Longest wait for a review: a caller waits for it, and an API server answers one in milliseconds.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest review that is read: a user in thousands of groups.
const REVIEW_BYTES: usize = 1024 * 1024;
/// How long the cluster's identity is good for, as long as the answers that are given under it.
const IDENTITY_FRESH: Duration = Duration::from_secs(10);

/// Why a review gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cluster `{alias}` gave no answer to a {review}: {reason}")]
pub struct ReviewError {
    /// The cluster's configured name.
    pub alias: String,
    /// What was asked.
    pub review: &'static str,
    /// What happened.
    pub reason: String,
}

/// Somebody as an API server knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// User name.
    pub user: String,
    /// Uid, where there is one.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// What else the authenticator said; authorisers may look at it.
    pub extra: Vec<(String, Vec<String>)>,
}

/// Something that somebody may or may not do. Empty words are left out of the question, as an API server expects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Deed {
    /// Verb, such as `list`.
    pub verb: String,
    /// API group, `""` for core, `*` for all.
    pub group: String,
    /// Lower-case plural, `*` for all.
    pub resource: String,
    /// Subresource, such as `log`.
    pub subresource: String,
    /// Namespace, `""` for all of them and the cluster scope.
    pub namespace: String,
    /// Name, `""` for all.
    pub name: String,
    /// A path that is no resource, such as `/metrics`; the rest but the verb is not looked at then.
    pub path: String,
}

/// Asks one cluster.
pub struct Reviewer {
    alias: String,
    api: ClusterApi,
    cluster: Mutex<Option<(Instant, ClusterId)>>,
}

impl Reviewer {
    /// Asks by the client that records the cluster.
    pub fn new(source: &ClusterSource) -> Self {
        Self { alias: source.alias.clone(), api: ClusterApi::new(source.client.clone()), cluster: Mutex::new(None) }
    }

    /// The cluster's configured name.
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// Which cluster answers.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn cluster(&self) -> Result<ClusterId, ReviewError> {
        let known = self.cluster.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some((_, cluster)) = known.filter(|(asked, _)| asked.elapsed() < IDENTITY_FRESH) {
            return Ok(cluster);
        }
        let asked = Instant::now();
        let cluster = self.within("question for its identity", identity::ask(&self.api)).await?;
        *self.cluster.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((asked, cluster.clone()));
        Ok(cluster)
    }

    /// Whose token it is; `None` when the cluster does not accept it, or not for any of the audiences.
    ///
    /// # Errors
    /// No clear answer.
    pub async fn token(&self, token: &str, audiences: &[String]) -> Result<Option<Subject>, ReviewError> {
        let mut spec = json!({ "token": token });
        if !audiences.is_empty() {
            spec["audiences"] = json!(audiences);
        }
        let path = "/apis/authentication.k8s.io/v1/tokenreviews";
        let status = self.review("TokenReview", path, "authentication.k8s.io/v1", "TokenReview", spec).await?;
        subject_of(&status, audiences).map_err(|reason| self.error("TokenReview", reason))
    }

    /// Whether somebody may do something.
    ///
    /// # Errors
    /// No clear answer.
    pub async fn may(&self, subject: &Subject, deed: &Deed) -> Result<bool, ReviewError> {
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let spec = access_spec(subject, deed);
        let status = self.review("SubjectAccessReview", path, "authorization.k8s.io/v1", "SubjectAccessReview", spec).await?;
        allowed_by(&status).map_err(|reason| self.error("SubjectAccessReview", reason))
    }

    async fn review(&self, review: &'static str, path: &str, api_version: &str, kind: &str, spec: Value) -> Result<Value, ReviewError> {
        let body = json!({ "apiVersion": api_version, "kind": kind, "metadata": {}, "spec": spec }).to_string();
        let bytes = self.within(review, self.api.create(path, body, REVIEW_BYTES)).await?;
        let answer: Value = serde_json::from_slice(&bytes).map_err(|_| self.error(review, "the answer is no JSON".to_owned()))?;
        Ok(answer.get("status").cloned().unwrap_or(Value::Null))
    }

    async fn within<T>(&self, review: &'static str, asked: impl Future<Output = Result<T, ApiError>>) -> Result<T, ReviewError> {
        match tokio::time::timeout(REVIEW_TIMEOUT, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.error(review, explain(&error))),
            Err(_) => Err(self.error(review, format!("no answer within {} s", REVIEW_TIMEOUT.as_secs()))),
        }
    }

    fn error(&self, review: &'static str, reason: String) -> ReviewError {
        ReviewError { alias: self.alias.clone(), review, reason }
    }
}

fn explain(error: &ApiError) -> String {
    match error.code() {
        Some(401 | 403) => format!("{error}; hint: allow our account to create it, as `proreus manifests --kubernetes-identities` does"),
        Some(_) | None => error.to_string(),
    }
}

/// The subject of a TokenReview's status.
fn subject_of(status: &Value, audiences: &[String]) -> Result<Option<Subject>, String> {
    match status.get("authenticated") {
        // Kubernetes leaves out what is false.
        None if status.is_object() => return Ok(None),
        Some(Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => {}
        _ => return Err("it does not say whether the token is accepted".to_owned()),
    }
    // An API server that knows nothing of audiences accepts the token for its own and names none: that is not what was asked.
    let named = texts(status.get("audiences"));
    if !audiences.is_empty() && !named.iter().any(|audience| audiences.contains(audience)) {
        return Ok(None);
    }
    let user = status.get("user").unwrap_or(&Value::Null);
    let text = |key: &str| user.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = text("username");
    if name.is_empty() {
        return Err("it accepts the token of nobody".to_owned());
    }
    let extra = user.get("extra").and_then(Value::as_object).into_iter().flatten();
    let extra = extra.map(|(key, values)| (key.clone(), texts(Some(values)))).collect();
    Ok(Some(Subject { user: name, uid: text("uid"), groups: texts(user.get("groups")), extra }))
}

fn texts(list: Option<&Value>) -> Vec<String> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether a SubjectAccessReview's status allows. What is denied expressly is denied, whatever else it says.
fn allowed_by(status: &Value) -> Result<bool, String> {
    let is = |key: &str| status.get(key).and_then(Value::as_bool);
    match (is("allowed"), is("denied").unwrap_or(false)) {
        (Some(allowed), denied) => Ok(allowed && !denied),
        (None, _) => Err("it does not say whether that is allowed".to_owned()),
    }
}

fn access_spec(subject: &Subject, deed: &Deed) -> Value {
    let mut spec = json!({ "user": subject.user, "groups": subject.groups });
    if !subject.uid.is_empty() {
        spec["uid"] = json!(subject.uid);
    }
    if !subject.extra.is_empty() {
        spec["extra"] = subject.extra.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
    }
    if !deed.path.is_empty() {
        spec["nonResourceAttributes"] = json!({ "path": deed.path, "verb": deed.verb });
        return spec;
    }
    let attributes = [
        ("verb", &deed.verb),
        ("group", &deed.group),
        ("resource", &deed.resource),
        ("subresource", &deed.subresource),
        ("namespace", &deed.namespace),
        ("name", &deed.name),
    ];
    let attributes: serde_json::Map<String, Value> =
        attributes.into_iter().filter(|(_, word)| !word.is_empty()).map(|(key, word)| (key.to_owned(), json!(word))).collect();
    spec["resourceAttributes"] = Value::Object(attributes);
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(status: Value, audiences: &[&str]) -> Result<Option<Subject>, String> {
        let audiences: Vec<String> = audiences.iter().map(ToString::to_string).collect();
        subject_of(&status, &audiences)
    }

    #[test]
    fn accepts_a_token_only_when_the_server_says_so_clearly() {
        let user = json!({ "username": "alice", "groups": ["sre"], "extra": { "scopes": ["a", "b"] } });
        let accepted = subject(json!({ "authenticated": true, "user": user }), &[]).expect("an answer").expect("a subject");
        assert_eq!((accepted.user.as_str(), accepted.groups.as_slice()), ("alice", &["sre".to_owned()][..]));
        assert_eq!(accepted.extra, [("scopes".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
        assert_eq!(subject(json!({}), &[]), Ok(None));
        assert_eq!(subject(json!({ "authenticated": false, "user": user, "error": "no" }), &[]), Ok(None));
        assert!(subject(json!({ "authenticated": "true", "user": user }), &[]).is_err());
        assert!(subject(json!({ "authenticated": true, "user": {} }), &[]).is_err());
        assert!(subject(Value::Null, &[]).is_err());
    }

    #[test]
    fn accepts_no_token_for_another_audience_than_was_asked_for() {
        let of = |audiences: Value| json!({ "authenticated": true, "user": { "username": "a" }, "audiences": audiences });
        assert!(matches!(subject(of(json!(["proreus"])), &["proreus"]), Ok(Some(_))));
        assert_eq!(subject(of(json!(["other"])), &["proreus"]), Ok(None));
        assert_eq!(subject(json!({ "authenticated": true, "user": { "username": "a" } }), &["proreus"]), Ok(None));
    }

    #[test]
    fn allows_only_what_is_allowed_and_not_denied() {
        assert_eq!(allowed_by(&json!({ "allowed": true })), Ok(true));
        assert_eq!(allowed_by(&json!({ "allowed": true, "denied": true })), Ok(false));
        assert_eq!(allowed_by(&json!({ "allowed": false, "reason": "no" })), Ok(false));
        assert!(allowed_by(&json!({ "allowed": "yes" })).is_err());
        assert!(allowed_by(&Value::Null).is_err());
    }

    #[test]
    fn leaves_empty_words_out_of_the_question() {
        let deed = Deed { verb: "list".into(), resource: "pods".into(), namespace: "shop".into(), ..Deed::default() };
        let spec = access_spec(&Subject { user: "alice".into(), ..Subject::default() }, &deed);
        assert_eq!(
            spec,
            json!({ "user": "alice", "groups": [], "resourceAttributes": { "verb": "list", "resource": "pods", "namespace": "shop" } })
        );
        let path = access_spec(&Subject::default(), &Deed { verb: "get".into(), path: "/metrics".into(), ..Deed::default() });
        assert_eq!(path["nonResourceAttributes"], json!({ "path": "/metrics", "verb": "get" }));
        assert!(path.get("resourceAttributes").is_none());
    }
}
