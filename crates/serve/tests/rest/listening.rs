//! The server on a real socket: TLS, the end, and clients that behave badly.

use std::time::Duration;

use proreus_serve::{BoundServer, ServeError, TlsFiles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::shop::Shop;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

fn loopback() -> std::net::SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[tokio::test]
async fn answers_on_a_socket_and_ends_when_told_also_with_an_open_stream() {
    let shop = Shop::open();
    let server = BoundServer::bind(shop.app.clone(), loopback(), None, shop.shutdown.clone()).unwrap();
    let address = server.address();
    let running = tokio::spawn(server.serve());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /api/v1/changes/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut head = [0; 1024];
    let read = tokio::time::timeout(PATIENCE, client.read(&mut head)).await.unwrap().unwrap();
    assert!(head[..read].starts_with(b"HTTP/1.1 200 OK"));
    shop.shutdown.cancel();
    tokio::time::timeout(PATIENCE, running).await.expect("ends").unwrap().unwrap();
}

#[tokio::test]
async fn a_foreign_host_is_refused_on_a_loopback_socket() {
    let shop = Shop::open();
    let server = BoundServer::bind(shop.app.clone(), loopback(), None, shop.shutdown.clone()).unwrap();
    let address = server.address();
    let running = tokio::spawn(server.serve());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /health HTTP/1.1\r\nhost: rebound.example.org\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut text = String::new();
    tokio::time::timeout(PATIENCE, client.read_to_string(&mut text)).await.unwrap().unwrap();
    assert!(text.starts_with("HTTP/1.1 403 "), "{text}");
    shop.shutdown.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_told() {
    let shop = Shop::open();
    let first = BoundServer::bind(shop.app.clone(), loopback(), None, shop.shutdown.clone()).unwrap();
    let second = BoundServer::bind(shop.app.clone(), first.address(), None, shop.shutdown.clone());
    let error = second.err().unwrap();
    assert!(matches!(error, ServeError::Listen { .. }));
    assert!(error.hint().contains("another program"), "{}", error.hint());
}

#[tokio::test]
async fn speaks_tls_with_the_files_it_was_given() {
    let shop = Shop::open();
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let server = BoundServer::bind(shop.app.clone(), loopback(), Some(files), shop.shutdown.clone()).unwrap();
    let port = server.address().port();
    let running = tokio::spawn(server.serve());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()])
        .no_proxy()
        .resolve("localhost", format!("127.0.0.1:{port}").parse().unwrap())
        .build()
        .unwrap();
    let answer = client.get(format!("https://localhost:{port}/health")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), r#"{"status":"healthy"}"#);
    drop(client);
    shop.shutdown.cancel();
    tokio::time::timeout(PATIENCE, running).await.expect("ends").unwrap().unwrap();
}

#[tokio::test]
async fn tls_files_that_will_not_do_are_named() {
    let shop = Shop::open();
    let files = TlsFiles { certificate: "/nowhere/tls.crt".into(), key: "/nowhere/tls.key".into() };
    let server = BoundServer::bind(shop.app.clone(), loopback(), Some(files), shop.shutdown.clone()).unwrap();
    let error = server.serve().await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/tls.crt"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_half_a_request_is_let_go() {
    let shop = Shop::open();
    let server = BoundServer::bind(shop.app.clone(), loopback(), None, shop.shutdown.clone()).unwrap();
    let address = server.address();
    let running = tokio::spawn(server.serve());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /health HTTP/1.1\r\nhost: local").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(10 * PATIENCE, client.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection was kept");
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    shop.shutdown.cancel();
    running.await.unwrap().unwrap();
}
