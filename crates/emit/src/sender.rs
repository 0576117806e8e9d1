//! Sends one request and says what came of it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use tokio::sync::OnceCell;

use crate::answer::Answer;
use crate::signature::sign;
use crate::target::{Secrets, Target};

/// A receiver that does not take the connection within this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest piece of an answer that is read: enough to say what is wrong.
const MAX_ANSWER_BYTES: usize = 4 * 1024;
/// Longest piece of an answer that is told to people, in signs.
const MAX_SAID_SIGNS: usize = 300;
/// Largest file of authorities read: a system's whole bundle has a quarter of a mebibyte.
const MAX_AUTHORITIES_BYTES: u64 = 4 * 1024 * 1024;

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The same for every attempt, so that a receiver that has it already can know.
    pub key: String,
    /// What it is about, as a word.
    pub event: &'static str,
    /// JSON.
    pub body: Vec<u8>,
    /// The time of this attempt, for the signature.
    pub at: Timestamp,
}

/// Sends to one receiver.
pub struct Sender {
    target: Target,
    /// Made at the first request: authorities that cannot be read are a failure of that request, which may be tried again.
    client: OnceCell<Client>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Sender {
    /// Nothing is opened yet.
    pub fn new(target: Target) -> Self {
        Self { target, client: OnceCell::new() }
    }

    /// Sends, within the target's timeout.
    pub async fn send(&self, post: Post) -> Answer {
        let timeout = self.target.timeout;
        match tokio::time::timeout(timeout, self.attempt(post)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Answer::Failed { reason: format!("no answer within {} s", timeout.as_secs_f64()) },
        }
    }

    async fn attempt(&self, post: Post) -> Answer {
        let prepared = async {
            let client = self.client.get_or_try_init(|| client(&self.target)).await?;
            let url = self.target.address.url().await.map_err(|error| error.to_string())?;
            let secrets = self.target.secrets().await.map_err(|error| error.to_string())?;
            let headers = headers(&post, &secrets)?;
            Ok::<_, String>((client, url, secrets, headers))
        };
        let (client, url, secrets, headers) = match prepared.await {
            Ok(prepared) => prepared,
            Err(reason) => return Answer::Refused { reason },
        };
        match client.post(url).headers(headers).body(post.body).send().await {
            Ok(response) => read(response, &secrets).await,
            Err(error) => Answer::Failed { reason: secrets.hidden_in(&said(&error.without_url())) },
        }
    }
}

async fn client(target: &Target) -> Result<Client, String> {
    // A second installation is refused and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("proreus/", env!("CARGO_PKG_VERSION")));
    let plain = matches!(&target.address, crate::target::Address::Plain(url) if url.scheme() == "http");
    let builder = match &target.ca_file {
        Some(path) => builder.tls_certs_only(authorities(path).await?),
        // Plain HTTP needs no authorities, and a container without any must not fail for want of them.
        None if plain => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(|error| format!("the connection cannot be prepared: {}", said(&error)))
}

async fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let fail = |problem: String| format!("authorities file `{}` {problem}", path.display());
    let length = tokio::fs::metadata(path).await.map_err(|error| fail(format!("cannot be read: {error}")))?.len();
    if length > MAX_AUTHORITIES_BYTES {
        return Err(fail(format!("is {length} bytes long, at most {MAX_AUTHORITIES_BYTES} are read")));
    }
    let pem = tokio::fs::read(path).await.map_err(|error| fail(format!("cannot be read: {error}")))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(fail("holds no certificate".to_owned())),
        Err(error) => Err(fail(format!("holds no certificates: {error}"))),
    }
}

fn headers(post: &Post, secrets: &Secrets) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let plain = |text: &str| HeaderValue::from_str(text).map_err(|_| "a header would hold signs that no header may hold".to_owned());
    let hidden = |text: &str| {
        plain(text).map(|mut value| {
            value.set_sensitive(true);
            value
        })
    };
    let timestamp = post.at.as_second();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("idempotency-key"), plain(&post.key)?);
    headers.insert(HeaderName::from_static("x-proreus-event"), HeaderValue::from_static(post.event));
    if let Some(secret) = &secrets.signing_secret {
        headers.insert(HeaderName::from_static("webhook-id"), plain(&post.key)?);
        headers.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from(timestamp));
        headers.insert(HeaderName::from_static("webhook-signature"), plain(&sign(secret, &post.key, timestamp, &post.body))?);
    }
    if let Some(token) = &secrets.bearer_token {
        headers.insert(reqwest::header::AUTHORIZATION, hidden(&format!("Bearer {}", token.reveal()))?);
    }
    if let Some(key) = &secrets.api_key {
        headers.insert(HeaderName::from_static("x-api-key"), hidden(key.reveal())?);
    }
    Ok(headers)
}

async fn read(mut response: Response, secrets: &Secrets) -> Answer {
    let status = response.status().as_u16();
    let retry_after =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
    let mut bytes = Vec::new();
    // Ends with the answer, or when enough of it was read. Whether it was taken is known by its head.
    while bytes.len() < MAX_ANSWER_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    // Hidden first and cut then, so that no half of a secret is left.
    let text = secrets.hidden_in(String::from_utf8_lossy(&bytes).trim());
    let text: String = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(MAX_SAID_SIGNS).collect();
    let reason = if text.is_empty() { format!("it answered {status}") } else { format!("it answered {status}: {text}") };
    Answer::of_status(status, retry_after, reason)
}

/// An error with its causes, each once.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}
