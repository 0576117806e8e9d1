//! Safe facts: what may be said of a secret value without saying the value.
//!
//! Derives and forgets; the value itself never leaves through here. Certificates are public by nature; of everything else only what
//! kind of thing it is and whether it is well-formed comes out.

use std::borrow::Cow;

use base64::Engine;
use jiff::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use zeroize::{Zeroize, Zeroizing};

use crate::json::{self, MAX_DEPTH, Node};

/// Most certificates described per value: a chain has few, a bundle of all public authorities some 150.
const MAX_CERTIFICATES: usize = 8;

/// Most names listed per certificate or registry hosts per pull secret.
const MAX_NAMES: usize = 100;

/// Longest value that is looked into; Kubernetes allows 1 MiB a Secret.
const MAX_VALUE_BYTES: usize = 1024 * 1024;

fn text(value: impl Into<String>) -> Node<'static> {
    Node::Text(Cow::Owned(value.into()))
}

fn map(mut members: Vec<(&'static str, Node<'static>)>) -> Node<'static> {
    members.sort_by_key(|(key, _)| *key);
    Node::Map(members.into_iter().map(|(key, node)| (Cow::Borrowed(key), node)).collect())
}

/// What may be said of a Secret: a map with `certificates`, `keyMatches`, `registries` and so on; `None` if there is nothing to say.
///
/// `values` are the decoded values by key; `labels` the Secret's labels.
pub(crate) fn of_secret(secret_type: &str, values: &[(String, Zeroizing<Vec<u8>>)], labels: Option<&Node<'_>>) -> Option<Node<'static>> {
    let mut facts: Vec<(Cow<'static, str>, Node<'static>)> = Vec::new();
    let value_of = |name: &str| values.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice());
    let certificates: Vec<_> = values.iter().filter_map(|(key, value)| Some((Cow::Owned(key.clone()), certificates_of(value)?))).collect();
    if !certificates.is_empty() {
        facts.push((Cow::Borrowed("certificates"), Node::Map(sorted(certificates))));
    }
    if let Some(matches) = value_of("tls.crt").zip(value_of("tls.key")).and_then(|(chain, key)| key_matches(chain, key)) {
        facts.push((Cow::Borrowed("keyMatches"), Node::Bool(matches)));
    }
    if let Some(value) = value_of(".dockerconfigjson") {
        facts.push((Cow::Borrowed("registries"), pull_secret(value, true)));
    } else if let Some(value) = value_of(".dockercfg") {
        facts.push((Cow::Borrowed("registries"), pull_secret(value, false)));
    }
    if secret_type == "kubernetes.io/service-account-token" {
        facts.push((Cow::Borrowed("serviceAccountToken"), Node::Bool(true)));
    }
    if secret_type == "helm.sh/release.v1" {
        facts.push((Cow::Borrowed("helmRelease"), helm_release(labels)));
    }
    if facts.is_empty() { None } else { Some(Node::Map(sorted(facts))) }
}

fn sorted(mut members: Vec<(Cow<'static, str>, Node<'static>)>) -> Vec<(Cow<'static, str>, Node<'static>)> {
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members
}

fn certificates_of(value: &[u8]) -> Option<Node<'static>> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    if value.len() > MAX_VALUE_BYTES || !value.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return None;
    }
    let described: Vec<_> = Pem::iter_from_buffer(value)
        .map_while(Result::ok)
        .filter(|pem| pem.label == "CERTIFICATE")
        .take(MAX_CERTIFICATES)
        .map(|pem| pem.parse_x509().map_or_else(|_| map(vec![("valid", Node::Bool(false))]), |certificate| describe(&certificate)))
        .collect();
    Some(Node::List(if described.is_empty() { vec![map(vec![("valid", Node::Bool(false))])] } else { described }))
}

fn describe(certificate: &X509Certificate<'_>) -> Node<'static> {
    let time = |seconds: i64| Timestamp::from_second(seconds).map_or(Node::Null, |at| text(at.to_string()));
    let names: Vec<_> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| extension.value.general_names.iter().filter_map(alternative_name).take(MAX_NAMES).map(text).collect())
        .unwrap_or_default();
    map(vec![
        ("subject", text(certificate.subject().to_string())),
        ("issuer", text(certificate.issuer().to_string())),
        ("notBefore", time(certificate.validity().not_before.timestamp())),
        ("notAfter", time(certificate.validity().not_after.timestamp())),
        ("names", Node::List(names)),
    ])
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|octets| std::net::Ipv4Addr::from(octets).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|octets| std::net::Ipv6Addr::from(octets).to_string()),
            _ => None,
        },
        GeneralName::DirectoryName(name) => Some(name.to_string()),
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

/// Whether the first certificate of the chain has the public key of the private key; `None` when either cannot be understood.
fn key_matches(chain: &[u8], key: &[u8]) -> Option<bool> {
    let pem = Pem::iter_from_buffer(chain).map_while(Result::ok).find(|pem| pem.label == "CERTIFICATE")?;
    let certificate = pem.parse_x509().ok()?;
    let mut private = PrivateKeyDer::from_pem_slice(key).ok()?;
    let signing = rustls::crypto::ring::sign::any_supported_type(&private);
    private.zeroize();
    let public = signing.ok()?.public_key().map(|spki| spki.as_ref().to_vec())?;
    Some(certificate.public_key().raw == public)
}

/// `{valid, hosts}` of a pull secret; the older form has no `auths` level.
fn pull_secret(value: &[u8], nested: bool) -> Node<'static> {
    let parsed = if value.len() > MAX_VALUE_BYTES { None } else { json::parse(value, MAX_DEPTH).ok() };
    let auths = parsed.as_ref().and_then(|root| if nested { root.get("auths") } else { Some(root) });
    let entries = auths.map(Node::members).unwrap_or_default();
    let valid = !entries.is_empty() && entries.iter().all(|(_, entry)| is_login(entry));
    let mut hosts: Vec<_> = entries.iter().map(|(url, _)| host_of(url).to_owned()).take(MAX_NAMES).collect();
    hosts.sort();
    hosts.dedup();
    map(vec![("valid", Node::Bool(valid)), ("hosts", Node::List(hosts.into_iter().map(text).collect()))])
}

fn is_login(entry: &Node<'_>) -> bool {
    let has = |key: &str| entry.text_at(&[key]).is_some_and(|text| !text.is_empty());
    let encoded = entry
        .text_at(&["auth"])
        .and_then(|auth| base64::engine::general_purpose::STANDARD.decode(auth).ok())
        .map(Zeroizing::new)
        .is_some_and(|login| login.contains(&b':'));
    encoded || (has("username") && has("password")) || has("identitytoken") || has("registrytoken")
}

/// The host of a registry URL, without scheme, login or path.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

fn helm_release(labels: Option<&Node<'_>>) -> Node<'static> {
    let label = |key: &str| labels.and_then(|labels| labels.text_at(&[key])).map_or(Node::Null, |value| text(value.to_owned()));
    map(vec![("name", label("name")), ("status", label("status")), ("revision", label("version"))])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn facts(secret_type: &str, values: &[(&str, &str)]) -> String {
        let values: Vec<_> = values.iter().map(|(key, value)| ((*key).to_owned(), Zeroizing::new(value.as_bytes().to_vec()))).collect();
        let mut out = Vec::new();
        of_secret(secret_type, &values, None).unwrap_or(Node::Null).print(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn certificate(names: &[&str]) -> (String, String) {
        let mut parameters = rcgen::CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2027, 1, 1);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "shop");
        let key = rcgen::KeyPair::generate().unwrap();
        (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn describes_a_certificate_and_sees_that_its_key_matches() {
        let (chain, key) = certificate(&["shop.example", "10.0.0.1"]);
        assert_eq!(
            facts("kubernetes.io/tls", &[("tls.crt", &chain), ("tls.key", &key)]),
            "{\"certificates\":{\"tls.crt\":[{\"issuer\":\"CN=shop\",\"names\":[\"shop.example\",\"10.0.0.1\"],\
             \"notAfter\":\"2027-01-01T00:00:00Z\",\"notBefore\":\"2026-01-01T00:00:00Z\",\"subject\":\"CN=shop\"}]},\"keyMatches\":true}"
        );
    }

    #[test]
    fn sees_that_a_key_belongs_to_another_certificate() {
        let (chain, _) = certificate(&["a.example"]);
        let (_, key) = certificate(&["b.example"]);
        assert!(facts("kubernetes.io/tls", &[("tls.crt", &chain), ("tls.key", &key)]).ends_with("\"keyMatches\":false}"));
    }

    #[test]
    fn says_nothing_of_a_match_when_the_key_cannot_be_read() {
        let (chain, _) = certificate(&["a.example"]);
        assert!(!facts("kubernetes.io/tls", &[("tls.crt", &chain), ("tls.key", "garbage")]).contains("keyMatches"));
    }

    #[test]
    fn a_broken_certificate_is_called_so() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(facts("Opaque", &[("ca.crt", broken)]), "{\"certificates\":{\"ca.crt\":[{\"valid\":false}]}}");
    }

    #[test]
    fn names_the_registries_of_a_pull_secret_and_neither_user_nor_password() {
        let config =
            r#"{"auths":{"https://me:canary@ghcr.io/v2/":{"auth":"dTpjYW5hcnk="},"quay.io":{"username":"u","password":"canary"}}}"#;
        let said = facts("kubernetes.io/dockerconfigjson", &[(".dockerconfigjson", config)]);
        assert_eq!(said, r#"{"registries":{"hosts":["ghcr.io","quay.io"],"valid":true}}"#);
    }

    #[test]
    fn a_pull_secret_without_a_login_is_not_valid() {
        for config in ["{}", "not json", r#"{"auths":{}}"#, r#"{"auths":{"quay.io":{"auth":"bm9jb2xvbg=="}}}"#] {
            assert!(facts("kubernetes.io/dockerconfigjson", &[(".dockerconfigjson", config)]).contains("\"valid\":false"));
        }
    }

    #[test]
    fn says_nothing_of_opaque_values() {
        assert_eq!(facts("Opaque", &[("password", "canary")]), "null");
    }
}
