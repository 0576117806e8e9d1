//! The smallest HTTP client that the tests need: one request a connection, plain text, no keep-alive.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::time::Duration;

use proreus_playground::differential::{Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest that anything may take, a watch included.
const PATIENCE: Duration = Duration::from_secs(30);
const RETRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// Sends a request, again and again where it says so.
pub(crate) async fn send(address: SocketAddr, request: &Request) -> Response {
    let mut response = once(address, request).await;
    for _ in 0..RETRIES {
        if request.until.is_none_or(|wanted| wanted == response.status) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        response = once(address, request).await;
    }
    response
}

async fn once(address: SocketAddr, request: &Request) -> Response {
    tokio::time::timeout(PATIENCE, exchange(address, request)).await.expect("the server answers within the patience")
}

async fn exchange(address: SocketAddr, request: &Request) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = request.body.clone().unwrap_or_default();
    let kind = if request.body.is_some() { format!("Content-Type: {}\r\n", request.content_type) } else { String::new() };
    let head = format!(
        "{} {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nUser-Agent: differential/1\r\nAccept: {}\r\n{kind}Content-Length: {}\r\n\r\n",
        request.method,
        request.path,
        request.accept,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..at]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let rest = &bytes[at + 4..];
    let body = if head.contains("transfer-encoding: chunked") { dechunked(rest) } else { rest.to_vec() };
    Response { status, body: String::from_utf8_lossy(&body).into_owned() }
}

fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(String::from_utf8_lossy(&rest[..end]).trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        out.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    out
}
