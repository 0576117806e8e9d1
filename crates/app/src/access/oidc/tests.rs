//! Keys that come and go, and issuers that do not answer.

use proreus_store::MemoryJournal;
use serde_json::json;

use super::super::issuer::{Issuer, SigningKey};
use super::*;

const NOW: i64 = 1_800_000_000;

fn options(issuer: &str) -> OidcOptions {
    OidcOptions {
        issuer: issuer.to_owned(),
        audiences: vec!["proreus".to_owned()],
        ca_file: None,
        username_claim: "sub".to_owned(),
        username_prefix: String::new(),
        groups_claim: "groups".to_owned(),
        groups_prefix: String::new(),
        algorithms: SigningAlgorithm::named("ES256").into_iter().collect(),
        scopes: Vec::new(),
        clusters: Vec::new(),
        rules: Vec::new(),
    }
}

/// Without pauses: every unknown key is looked for at once, and keys are fetched as often as `fresh` says.
fn eager(issuer: &str, fresh: Duration) -> Oidc {
    let pace = Pace { fresh, usable: KEYS_USABLE, again_after: Duration::ZERO };
    Oidc::with_pace(options(issuer), Questions::new(Arc::new(MemoryJournal::new())), pace).expect("a client")
}

fn token(key: &SigningKey, issuer: &str) -> String {
    key.sign(&json!({ "iss": issuer, "aud": "proreus", "sub": "alice", "exp": NOW + 300 }))
}

async fn identify(oidc: &Oidc, token: &str) -> Result<String, Denied> {
    oidc.identify(token, Timestamp::from_second(NOW).expect("a time")).await.map(|claimed| claimed.user)
}

#[tokio::test]
async fn follows_the_issuers_keys_as_they_rotate() {
    let issuer = Issuer::start().await;
    let (first, second) = (SigningKey::new("k1"), SigningKey::new("k2"));
    issuer.serve_keys(&[&first]);
    let oidc = eager(&issuer.url, KEYS_FRESH);
    assert_eq!(identify(&oidc, &token(&first, &issuer.url)).await, Ok("alice".to_owned()));
    assert_eq!(identify(&oidc, &token(&second, &issuer.url)).await, Err(Denied::Unknown));
    issuer.serve_keys(&[&second]);
    assert_eq!(identify(&oidc, &token(&second, &issuer.url)).await, Ok("alice".to_owned()), "a new key is looked for");
    assert_eq!(identify(&oidc, &token(&first, &issuer.url)).await, Err(Denied::Unknown), "a key that was taken back is gone");
}

#[tokio::test]
async fn drops_a_key_that_was_taken_back_without_being_asked_for_another() {
    let issuer = Issuer::start().await;
    let (first, second) = (SigningKey::new("k1"), SigningKey::new("k2"));
    issuer.serve_keys(&[&first]);
    let oidc = eager(&issuer.url, Duration::ZERO);
    assert!(identify(&oidc, &token(&first, &issuer.url)).await.is_ok());
    issuer.serve_keys(&[&second]);
    assert_eq!(identify(&oidc, &token(&first, &issuer.url)).await, Err(Denied::Unknown));
}

#[tokio::test]
async fn fetches_once_for_many_and_not_for_every_unknown_key() {
    let issuer = Issuer::start().await;
    let key = SigningKey::new("k1");
    issuer.serve_keys(&[&key]);
    let oidc = Oidc::new(options(&issuer.url), Questions::new(Arc::new(MemoryJournal::new()))).expect("a client");
    let good = token(&key, &issuer.url);
    let all = futures::future::join_all((0..20).map(|_| identify(&oidc, &good))).await;
    assert!(all.iter().all(Result::is_ok));
    for index in 0..20 {
        let unknown = token(&SigningKey::new(&format!("unknown-{index}")), &issuer.url);
        assert_eq!(identify(&oidc, &unknown).await, Err(Denied::Unknown));
    }
    assert_eq!(issuer.served.lock().expect("served").fetched, 1);
}

#[tokio::test]
async fn lets_nobody_in_while_the_issuer_cannot_be_reached() {
    let issuer = Issuer::start().await;
    let key = SigningKey::new("k1");
    issuer.serve_keys(&[&key]);
    issuer.served.lock().expect("served").discovery = None;
    let oidc = eager(&issuer.url, KEYS_FRESH);
    assert_eq!(identify(&oidc, &token(&key, &issuer.url)).await, Err(Denied::Unavailable));
    let closed = eager("http://127.0.0.1:9/realm", KEYS_FRESH);
    assert_eq!(identify(&closed, &token(&key, "http://127.0.0.1:9/realm")).await, Err(Denied::Unavailable));
}

#[tokio::test]
async fn goes_on_with_known_keys_for_a_while_and_then_no_more() {
    let issuer = Issuer::start().await;
    let key = SigningKey::new("k1");
    issuer.serve_keys(&[&key]);
    let mut oidc = eager(&issuer.url, Duration::ZERO);
    let good = token(&key, &issuer.url);
    assert!(identify(&oidc, &good).await.is_ok());
    issuer.served.lock().expect("served").discovery = None;
    assert!(identify(&oidc, &good).await.is_ok(), "the issuer is away, its keys are young");
    oidc.pace.usable = Duration::ZERO;
    assert_eq!(identify(&oidc, &good).await, Err(Denied::Unavailable));
}

#[tokio::test]
async fn takes_no_document_of_another_issuer_and_no_keys_from_an_open_line() {
    let issuer = Issuer::start().await;
    let key = SigningKey::new("k1");
    issuer.serve_keys(&[&key]);
    let own = format!("{}/keys", issuer.url);
    for (named, keys_at) in [
        ("https://login.example.com", own.as_str()),
        (format!("{}/", issuer.url).as_str(), own.as_str()),
        (issuer.url.as_str(), "http://keys.example.com/keys"),
        (issuer.url.as_str(), "file:///etc/passwd"),
        (issuer.url.as_str(), ""),
    ] {
        issuer.served.lock().expect("served").discovery = Some(json!({ "issuer": named, "jwks_uri": keys_at }));
        let oidc = eager(&issuer.url, KEYS_FRESH);
        assert_eq!(identify(&oidc, &token(&key, &issuer.url)).await, Err(Denied::Unavailable), "{named} {keys_at}");
    }
    issuer.served.lock().expect("served").discovery = Some(json!({ "issuer": issuer.url, "jwks_uri": own }));
    issuer.served.lock().expect("served").keys = format!("{{\"keys\":[{}]}}", " ".repeat(MAX_DOCUMENT_BYTES));
    assert_eq!(identify(&eager(&issuer.url, KEYS_FRESH), &token(&key, &issuer.url)).await, Err(Denied::Unavailable));
}

#[test]
fn trusts_lines_that_nobody_else_can_read_or_change() {
    for url in ["https://a.example.com", "https://a.example.com:8443/realm", "http://localhost:1/x", "http://127.0.0.1:2", "http://[::1]:3"]
    {
        assert!(is_private(url), "{url}");
    }
    for url in [
        "http://a.example.com",
        "ftp://a.example.com",
        "https://",
        "a.example.com",
        "http://127.0.0.1.example.com",
        "https://u:p@a.example.com",
        "",
    ] {
        assert!(!is_private(url), "{url}");
    }
}
