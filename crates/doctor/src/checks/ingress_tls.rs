//! Ingresses whose TLS secret is missing, is none, or does not cover their hosts.
//!
//! Pure. Of a secret, only its type, the names of its keys and the recorded safe facts are known. A secret that cert-manager is to make is
//! the matter of its Certificate.

use proreus_observe::document::Node;
use proreus_observe::field;
use proreus_observe::{KindRef, Observed};

use super::joins::{self, Gathered, Sight, unknown};
use super::kinds;
use crate::check::{Check, Severity, Subject, Undecided, Verdict};

/// The definition.
pub(super) const CHECK: Check = Check {
    id: "ingress-tls",
    title: "An ingress has no certificate for its hosts",
    severity: Severity::Warning,
    grace_seconds: 60,
    remediation: "create the secret that the ingress names, of type kubernetes.io/tls, with a certificate for its hosts",
    kinds: &[KindRef::INGRESS],
    reads: &[KindRef::SECRET, kinds::CERTIFICATE],
    reasons: &["TlsSecretMissing", "TlsSecretWrongType", "TlsHostNotCovered"],
    examine,
    ..Check::BASE
};

/// Looks at one Ingress.
pub(super) fn examine(subject: &Subject<'_>) -> Verdict {
    let ingress = subject.known()?;
    if joins::is_going(ingress)? {
        return Ok(Vec::new());
    }
    if ingress.map("/spec")?.is_none() {
        return unknown("/spec is not set");
    }
    let mut gathered = Gathered::default();
    for entry in ingress.list("/spec/tls")? {
        // Without a name, the controller's own certificate is meant.
        let Some(name) = field::text(entry, "/secretName")?.filter(|name| !name.is_empty()) else { continue };
        match joins::look(subject, KindRef::SECRET, ingress.id.namespace.as_str(), name) {
            Sight::Unsure(why) => gathered.doubt(why),
            Sight::Missing => missing(subject, &mut gathered, name)?,
            Sight::There(secret) => of_secret(subject, &mut gathered, entry, secret)?,
        }
    }
    gathered.verdict()
}

fn missing(subject: &Subject<'_>, gathered: &mut Gathered, name: &str) -> Result<(), Undecided> {
    let id = &subject.object.id;
    for certificate in subject.view.in_namespace(&id.cluster, kinds::CERTIFICATE, &id.namespace) {
        if certificate.text("/spec/secretName")? == Some(name) {
            return Ok(());
        }
    }
    let asks = ["cert-manager.io/cluster-issuer", "cert-manager.io/issuer", "kubernetes.io/tls-acme"];
    let asks_for_one = asks.iter().any(|key| subject.object.annotation(key).is_some());
    let text = format!("the TLS secret `{name}` does not exist");
    let mut finding = subject.finding("TlsSecretMissing", text, subject.object.recorded_at).part(name);
    if asks_for_one {
        finding = finding
            .remedy("its annotations ask cert-manager for this certificate, and there is no Certificate: see that cert-manager runs");
    }
    gathered.tell(finding);
    Ok(())
}

fn of_secret(subject: &Subject<'_>, gathered: &mut Gathered, entry: Node<'_>, secret: &Observed) -> Result<(), Undecided> {
    let name = secret.name();
    let of_type = secret.text("/type")?.unwrap_or("Opaque");
    let data = secret.map("/data")?;
    let lacks = ["tls.crt", "tls.key"].into_iter().find(|key| !data.is_some_and(|data| data.contains_key(key)));
    if of_type != "kubernetes.io/tls"
        && let Some(lacks) = lacks
    {
        let text = format!("the secret `{name}` is of type {of_type} and has no `{lacks}`, so that it is no TLS secret");
        let finding = subject.finding("TlsSecretWrongType", text, subject.object.recorded_at.max(secret.recorded_at));
        gathered.tell(finding.part(name).shown_by([secret.seq]));
        return Ok(());
    }
    let Some(names) = names(secret)? else {
        gathered.doubt(format!("what the certificate in `{name}` says was not recorded"));
        return Ok(());
    };
    let mut uncovered = Vec::new();
    for host in field::list(entry, "/hosts")? {
        let host = host.as_str().ok_or_else(|| field::malformed("/spec/tls/hosts", "a list of texts", host))?;
        if !names.iter().any(|name| covers(name, host)) {
            uncovered.push(host);
        }
    }
    if !uncovered.is_empty() {
        let text = format!("the certificate in `{name}` is for {}, and not for {}", names.join(", "), uncovered.join(", "));
        let finding = subject.finding("TlsHostNotCovered", text, subject.object.recorded_at.max(secret.recorded_at));
        let remedy = "issue a certificate that has every host of the ingress among its alternative names";
        gathered.tell(finding.part(name).remedy(remedy).shown_by([secret.seq]));
    }
    Ok(())
}

/// The alternative names of the certificate; `None` when they are not known.
fn names(secret: &Observed) -> Result<Option<Vec<&str>>, Undecided> {
    let chain = field::at(secret.body(), "/safeFacts/certificates")?.and_then(|all| all.get("tls.crt"));
    let Some(leaf) = chain.and_then(|chain| chain.as_array()?.first()) else { return Ok(None) };
    let names: Vec<&str> = field::list(leaf, "/names")?.iter().filter_map(Node::as_str).collect();
    Ok((!names.is_empty()).then_some(names))
}

/// Whether a name of a certificate holds for a host; a star stands for one label.
fn covers(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let below = name.strip_prefix("*.").zip(host.split_once('.').map(|(_, rest)| rest));
    below.is_some_and(|(parent, rest)| parent.eq_ignore_ascii_case(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_exactly_one_label() {
        for (name, host, expected) in [
            ("shop.example", "SHOP.example", true),
            ("*.shop.example", "www.shop.example", true),
            ("*.shop.example", "a.www.shop.example", false),
            ("*.shop.example", "shop.example", false),
        ] {
            assert_eq!(covers(name, host), expected, "{name} {host}");
        }
    }
}
