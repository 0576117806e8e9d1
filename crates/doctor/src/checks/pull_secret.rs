//! Pull secrets that are named and missing, or are none.
//!
//! Pure. The kubelet passes over a pull secret that does not exist, and then pulls without a login: what fails afterwards does not say why.

use proreus_observe::KindRef;
use proreus_observe::Observed;
use proreus_observe::field;

use super::joins::{self, Gathered, Sight, unknown};
use super::kinds;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "pull-secret",
    title: "A pull secret is missing or holds no login",
    severity: Severity::Warning,
    grace_seconds: 120,
    remediation: "create the secret with `kubectl create secret docker-registry`, or take its name out of imagePullSecrets",
    kinds: &[KindRef::SERVICE_ACCOUNT, kinds::MCP_SERVER],
    reads: &[KindRef::SECRET],
    reasons: &["PullSecretMissing", "PullSecretInvalid"],
    examine,
    ..Check::BASE
};

/// Types that a pull secret may have.
const TYPES: [&str; 2] = ["kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"];

/// Looks at one ServiceAccount or MCPServer.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let object = subject.known()?;
    if joins::is_going(object)? {
        return Ok(Vec::new());
    }
    let list = if object.is_a(KindRef::SERVICE_ACCOUNT) { "/imagePullSecrets" } else { "/spec/imagePullSecrets" };
    let mut gathered = Gathered::default();
    for entry in object.list(list)? {
        // Servers may name them as plain texts.
        let name = match entry.as_str() {
            Some(name) => Some(name),
            None => field::text(entry, "/name")?,
        };
        let Some(name) = name else { return unknown("a pull secret has no name") };
        match joins::look(subject, KindRef::SECRET, object.id.namespace.as_str(), name) {
            Sight::Unsure(why) => gathered.doubt(why),
            Sight::Missing => {
                let text = format!("the pull secret `{name}` does not exist");
                gathered.tell(subject.finding("PullSecretMissing", text, object.recorded_at).part(name));
            }
            Sight::There(secret) => {
                if let Some(why) = invalid(secret)? {
                    let text = format!("the pull secret `{name}` {why}");
                    gathered.tell(subject.finding("PullSecretInvalid", text, secret.recorded_at).part(name).shown_by([secret.seq]));
                }
            }
        }
    }
    gathered.verdict()
}

fn invalid(secret: &Observed) -> Result<Option<String>, Undecided> {
    let of_type = secret.text("/type")?.unwrap_or("Opaque");
    if !TYPES.contains(&of_type) {
        return Ok(Some(format!("is of type {of_type}, which the kubelet does not read")));
    }
    let is_invalid = field::flag(secret.body(), "/safeFacts/registries/valid")? == Some(false);
    Ok(is_invalid.then(|| "holds no login that can be read".to_owned()))
}
