//! One request to the API server and its answer, with a limit on both time and bytes.
//!
//! Knows HTTP and nothing of probes.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::Value;

/// As much of an answer as is read: a pod's status and a health page fit many times over.
const ANSWER_BYTES: usize = 256 * 1024;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As text, cut where it is too long.
    pub(crate) body: String,
}

/// An API server.
pub(crate) struct Api {
    client: kube::Client,
}

impl Api {
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client }
    }

    /// Sends and waits for the whole answer.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<&Value>, within: Duration) -> Result<Answer, String> {
        let request = http::Request::builder().method(method).uri(path).header(http::header::ACCEPT, "application/json, */*");
        let request = match body {
            Some(body) => {
                request.header(http::header::CONTENT_TYPE, "application/json").body(kube::client::Body::from(body.to_string().into_bytes()))
            }
            None => request.body(kube::client::Body::empty()),
        }
        .map_err(|error| error.to_string())?;
        match tokio::time::timeout(within, self.answer(request)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(format!("no answer within {} s", within.as_secs())),
        }
    }

    async fn answer(&self, request: http::Request<kube::client::Body>) -> Result<Answer, String> {
        let (head, mut body) = self.client.send(request).await.map_err(|error| error.to_string())?.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| error.to_string())?;
            if let Ok(part) = frame.into_data() {
                bytes.extend_from_slice(&part);
            }
            if bytes.len() >= ANSWER_BYTES {
                bytes.truncate(ANSWER_BYTES);
                break;
            }
        }
        Ok(Answer { status: head.status.as_u16(), body: String::from_utf8_lossy(&bytes).into_owned() })
    }
}
