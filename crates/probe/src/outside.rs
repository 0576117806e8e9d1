//! One HTTP request past the API server, to an address of one's own choosing and for a host that need not resolve to it.
//!
//! Certificates are not judged: what is asked is whether somebody answers, and checks of their own look at certificates.

use std::time::Duration;

use crate::api::Answer;

/// As much of an answer as is read: enough for a controller's own words.
const ANSWER_BYTES: usize = 8 * 1024;

/// Asks for a path of a host at an address.
pub(crate) async fn call(address: &str, is_tls: bool, host: &str, path: &str, within: Duration) -> Result<Answer, String> {
    match tokio::time::timeout(within, ask(address, is_tls, host, path, within)).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(format!("no answer within {} s", within.as_secs())),
    }
}

async fn ask(address: &str, is_tls: bool, host: &str, path: &str, within: Duration) -> Result<Answer, String> {
    let (scheme, port) = if is_tls { ("https", 443) } else { ("http", 80) };
    let resolved = tokio::net::lookup_host((address, port)).await.map_err(|error| error.to_string())?.next();
    let socket = resolved.ok_or_else(|| "the address does not resolve".to_owned())?;
    // A second installation is refused and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .resolve(host, socket)
        .redirect(reqwest::redirect::Policy::none())
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .timeout(within)
        .build()
        .map_err(|error| error.to_string())?;
    let mut response = client.get(format!("{scheme}://{host}{path}")).send().await.map_err(|error| words(&error))?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        bytes.extend_from_slice(&part);
        if bytes.len() >= ANSWER_BYTES {
            break;
        }
    }
    Ok(Answer { status, body: String::from_utf8_lossy(&bytes).into_owned() })
}

/// An error with its innermost cause, which says what happened.
fn words(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
