//! From a question to bytes: off the async threads, within the gates, and held in memory for no longer than it is sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use http_body::{Frame, SizeHint};
use proreus_app::{AppError, Application, blocking};
use serde::Serialize;

use crate::failure::Failure;
use crate::limits::{Place, QUESTION_TIMEOUT};
use crate::shared::Shared;

/// Largest portion in which an answer is handed to the connection, so that one large answer does not starve the others of a compressor.
const PORTION_BYTES: usize = 64 * 1024;

/// Asks the application, waiting for a turn, for a bounded time.
pub(crate) async fn ask<T: Send + 'static>(
    shared: &Shared,
    question: impl FnOnce(&Application) -> Result<T, AppError> + Send + 'static,
) -> Result<T, Failure> {
    let place = shared.gates.question().await.ok_or_else(|| Failure::overloaded("questions"))?;
    let app = shared.app.clone();
    let asked = blocking(move || {
        // The place is left only when the thread is done, also when nobody waits for the answer any more.
        let _place: Place = place;
        question(&app)
    });
    Ok(tokio::time::timeout(QUESTION_TIMEOUT, asked).await.map_err(|_| Failure::too_slow())??)
}

/// Asks, and answers with the JSON of what came back. It is written where it was read, because a page can be large.
pub(crate) async fn ask_json<T: Serialize>(
    shared: &Shared,
    question: impl FnOnce(&Application) -> Result<T, AppError> + Send + 'static,
) -> Result<Response, Failure> {
    let bytes = ask(shared, move |app| question(app).map(|answer| to_json(&answer))).await?;
    json(shared, bytes).await
}

/// The JSON of an answer. Our own types always have one.
pub(crate) fn to_json(answer: &impl Serialize) -> Bytes {
    serde_json::to_vec(answer).map(Bytes::from).unwrap_or_else(|_| Bytes::from_static(b"null"))
}

/// A 200 with JSON that counts against the memory of answers until it is sent.
pub(crate) async fn json(shared: &Shared, bytes: Bytes) -> Result<Response, Failure> {
    let place = shared.gates.answer(bytes.len()).await.ok_or_else(|| Failure::overloaded("large answers"))?;
    let mut response = Response::new(Body::new(HeldBody { bytes, _place: place }));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A body that keeps its place until it was sent or given up.
struct HeldBody {
    bytes: Bytes,
    _place: Place,
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let portion = self.bytes.len().min(PORTION_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.bytes.split_to(portion)))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
