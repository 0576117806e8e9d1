//! One request, one outcome: tried against servers of this machine that answer well, badly, elsewhere, or not at all.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that does not hold")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use proreus_emit::{Address, Answer, Post, SecretFile, Sender, Target, checked_url};
use tokio::net::TcpListener;

const TOKEN: &str = "correct-horse-battery-staple";

type Heard = Arc<Mutex<Vec<(HeaderMap, String)>>>;

async fn take(State(heard): State<Heard>, headers: HeaderMap, body: String) -> StatusCode {
    heard.lock().unwrap().push((headers, body));
    StatusCode::ACCEPTED
}

/// Hosts a few ways to answer.
async fn receiver() -> (SocketAddr, Heard) {
    let heard = Heard::default();
    let echo = |headers: HeaderMap| async move { (StatusCode::UNPROCESSABLE_ENTITY, format!("you sent {headers:?}")) };
    let router = Router::new()
        .route("/take", axum::routing::post(take))
        .route("/moved", axum::routing::post(|| async { (StatusCode::TEMPORARY_REDIRECT, [("location", "/take")]).into_response() }))
        .route("/busy", axum::routing::post(|| async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")]) }))
        .route("/broken", axum::routing::post(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "out of\nluck") }))
        .route("/echo", axum::routing::post(echo))
        .route("/hang", axum::routing::post(|| async { std::future::pending::<StatusCode>().await }))
        .with_state(heard.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, heard)
}

fn target(url: &str) -> Target {
    Target {
        address: Address::Plain(checked_url(url).unwrap()),
        timeout: Duration::from_secs(20),
        ca_file: None,
        bearer_token: None,
        api_key: None,
        signing_secret: None,
    }
}

fn post() -> Post {
    Post {
        key: "j-3a-hook".to_owned(),
        event: "incident.opened",
        body: br#"{"id":"inc-1"}"#.to_vec(),
        at: "2026-11-21T08:00:00Z".parse().unwrap(),
    }
}

fn secret(directory: &Path, name: &str, text: &str) -> SecretFile {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    SecretFile(path)
}

#[tokio::test]
async fn sends_the_body_with_key_event_and_secrets() {
    let (address, heard) = receiver().await;
    let directory = tempfile::tempdir().unwrap();
    let sender = Sender::new(Target {
        bearer_token: Some(secret(directory.path(), "token", TOKEN)),
        api_key: Some(secret(directory.path(), "key", "k-1\n")),
        signing_secret: Some(secret(directory.path(), "signing", "s-1")),
        ..target(&format!("http://{address}/take"))
    });
    assert_eq!(sender.send(post()).await, Answer::Taken);
    std::fs::write(directory.path().join("key"), "k-2").unwrap();
    assert_eq!(sender.send(post()).await, Answer::Taken);
    let heard = heard.lock().unwrap();
    let header = |index: usize, name: &str| heard[index].0.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    assert_eq!(heard[0].1, r#"{"id":"inc-1"}"#);
    assert_eq!(header(0, "authorization"), format!("Bearer {TOKEN}"));
    assert_eq!((header(0, "idempotency-key"), header(0, "x-proreus-event")), ("j-3a-hook".to_owned(), "incident.opened".to_owned()));
    assert_eq!((header(0, "webhook-id"), header(0, "webhook-timestamp")), ("j-3a-hook".to_owned(), "1795248000".to_owned()));
    assert!(header(0, "webhook-signature").starts_with("v1,"));
    assert_eq!(
        (header(0, "x-api-key"), header(1, "x-api-key")),
        ("k-1".to_owned(), "k-2".to_owned()),
        "a rotated secret is in force at once"
    );
}

#[tokio::test]
async fn follows_no_redirect() {
    let (address, heard) = receiver().await;
    let answer = Sender::new(target(&format!("http://{address}/moved"))).send(post()).await;
    assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
    assert_eq!(heard.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn says_what_an_answer_means_and_never_a_secret() {
    let (address, _) = receiver().await;
    let directory = tempfile::tempdir().unwrap();
    let at = |path: &str| {
        let bearer_token = Some(secret(directory.path(), "token", TOKEN));
        Sender::new(Target { bearer_token, ..target(&format!("http://{address}{path}")) })
    };
    let busy = Answer::Busy { retry_after: Some(Duration::from_secs(7)), reason: "it answered 429".to_owned() };
    assert_eq!(at("/busy").send(post()).await, busy);
    assert_eq!(at("/broken").send(post()).await, Answer::Failed { reason: "it answered 500: out of luck".to_owned() });
    assert!(matches!(at("/nowhere").send(post()).await, Answer::Refused { .. }));
    let Answer::Rejected { reason } = at("/echo").send(post()).await else { unreachable!("422 rejects") };
    assert!(!reason.contains("correct-horse") && reason.starts_with("it answered 422: you sent"), "{reason}");
    assert!(!format!("{:?}", at("/take")).contains(TOKEN));
}

#[tokio::test]
async fn waits_no_longer_than_its_timeout_for_one_that_hangs() {
    let (address, _) = receiver().await;
    let sender = Sender::new(Target { timeout: Duration::from_millis(200), ..target(&format!("http://{address}/hang")) });
    assert_eq!(sender.send(post()).await, Answer::Failed { reason: "no answer within 0.2 s".to_owned() });
}

#[tokio::test]
async fn one_that_is_not_there_or_hangs_up_is_a_failure_that_names_no_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let sender = Sender::new(target(&format!("http://{address}/T0/secret-path")));
    let answer = sender.send(post()).await;
    let Answer::Failed { reason } = &answer else { unreachable!("{answer:?}") };
    assert!(!reason.contains("secret-path"), "{reason}");
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_said_and_sends_nothing() {
    let (address, heard) = receiver().await;
    let bearer_token = Some(SecretFile("/nowhere/token".into()));
    let answer = Sender::new(Target { bearer_token, ..target(&format!("http://{address}/take")) }).send(post()).await;
    assert!(answer.reason().unwrap().starts_with("secret file `/nowhere/token` cannot be read"), "{answer:?}");
    assert_eq!(heard.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn an_address_may_come_from_a_file() {
    let (address, heard) = receiver().await;
    let directory = tempfile::tempdir().unwrap();
    let file = secret(directory.path(), "url", &format!("http://{address}/take\n"));
    let sender = Sender::new(Target { address: Address::File(file), ..target("http://127.0.0.1:1/") });
    assert_eq!(sender.send(post()).await, Answer::Taken);
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn trusts_the_authorities_that_it_was_given_and_no_others() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let tls = axum_server::tls_rustls::RustlsConfig::from_pem(cert.clone().into_bytes(), key.into_bytes()).await.unwrap();
    let heard = Heard::default();
    let router = Router::new().route("/take", axum::routing::post(take)).with_state(heard.clone());
    let handle = axum_server::Handle::<std::net::SocketAddr>::new();
    let server = axum_server::bind_rustls("127.0.0.1:0".parse().unwrap(), tls).handle(handle.clone());
    tokio::spawn(server.serve(router.into_make_service()));
    let port = handle.listening().await.unwrap().port();
    let trusting = |name: &str, pem: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, pem).unwrap();
        Sender::new(Target { ca_file: Some(path), ..target(&format!("https://localhost:{port}/take")) })
    };
    assert_eq!(trusting("own.pem", &cert).send(post()).await, Answer::Taken);
    let answer = trusting("other.pem", &other.cert.pem()).send(post()).await;
    assert!(matches!(answer, Answer::Failed { .. }), "{answer:?}");
    let answer = trusting("none.pem", "no certificate").send(post()).await;
    assert!(matches!(answer, Answer::Refused { .. }), "{answer:?}");
    assert_eq!(heard.lock().unwrap().len(), 1);
}
