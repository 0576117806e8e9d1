//! Every bound of the server, with its reason, and the gates that keep them.
//!
//! Invariant: what waits at a gate waits for a bounded time, then is told to come back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests under way at once. Beyond it the answer is 503 at once: waiting longer would only make every caller late.
pub(crate) const MAX_REQUESTS: usize = 256;
/// Questions to the journal at once. Each may hold a page twice (as read and as written), so eight are some 250 MB at the very worst.
pub(crate) const MAX_QUESTIONS: usize = 8;
/// How long a question waits for its turn.
pub(crate) const QUESTION_QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a question may take before the caller is told so; the journal's own scan goes on in its thread and keeps its place at the gate.
pub(crate) const QUESTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Streams at once: each holds a connection, and a portion of its records.
pub(crate) const MAX_STREAMS: usize = 64;
/// Records that a stream reads at once, so that 64 slow readers of full objects hold little.
pub(crate) const STREAM_PORTION: usize = 32;
/// Silence after which a stream says that it lives: below the 30 to 60 s after which proxies cut an idle connection.
pub(crate) const STREAM_HEARTBEAT: Duration = Duration::from_secs(15);
/// How often a stream's caller is checked again, so that a token that was withdrawn ends its streams.
pub(crate) const STREAM_RECHECK: Duration = Duration::from_secs(60);
/// What a client that lost its stream waits before it comes back.
pub(crate) const STREAM_RETRY: Duration = Duration::from_secs(2);
/// Megabytes of answers that are being sent: a slow reader holds its answer in memory until it has read it.
pub(crate) const MAX_ANSWER_MEGABYTES: usize = 128;
/// Largest request body that is not refused: no endpoint reads one, so this is room for clients that send an empty object.
pub(crate) const MAX_BODY_BYTES: u64 = 16 * 1024;
/// Largest message that is posted to `/mcp`: arguments are names and times, so a megabyte is room for any of them.
pub(crate) const MAX_MCP_BODY_BYTES: u64 = 1024 * 1024;
/// Longest line on standard input: the same message.
pub(crate) const MAX_MCP_LINE_BYTES: usize = 1024 * 1024;
/// Sessions of the older MCP era at once, each some tens of kilobytes and one task: twice the listeners that are meant to be served.
pub(crate) const MAX_MCP_SESSIONS: usize = 2_048;
/// Messages that a session of the older MCP era keeps: what its client has not taken yet, or may ask for again after its connection broke.
/// A monitor tells fourteen in a course, so this is room for the ten that a client may follow.
pub(crate) const MCP_SESSION_MESSAGES: usize = 256;
/// Longest query string: some thousand names.
pub(crate) const MAX_QUERY_BYTES: usize = 16 * 1024;
/// Alternatives of one parameter: each is compared with each candidate.
pub(crate) const MAX_ALTERNATIVES: usize = 100;
/// Longest request id that is taken over from a client.
pub(crate) const MAX_REQUEST_ID_BYTES: usize = 64;
/// Longest path in the access log.
pub(crate) const MAX_LOGGED_PATH_BYTES: usize = 512;
/// How long a caller that met a full gate is told to wait.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 1;

/// Connections at once, idle ones included: two thousand listeners to monitors, and as many who ask.
pub(crate) const MAX_CONNECTIONS: usize = 4_096;
/// How long a client may take to send a request's head, and how long a connection may rest between two requests.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may read nothing of an answer that is being sent.
pub(crate) const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request: the longest query and the largest tokens.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
pub(crate) const MAX_CONNECTION_STREAMS: u32 = 64;
/// How long a TLS handshake may take.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may go on after the server was told to end. Below the 10 s in which the whole process must be gone.
pub(crate) const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// How often the certificate files are looked at, so that a renewed one is served without a restart.
pub(crate) const CERTIFICATE_RECHECK: Duration = Duration::from_secs(60);

/// The gates.
#[derive(Clone)]
pub(crate) struct Gates {
    requests: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

/// Holds a place at a gate until it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

impl Gates {
    pub(crate) fn new() -> Self {
        let of = |places| Arc::new(Semaphore::new(places));
        Self { requests: of(MAX_REQUESTS), questions: of(MAX_QUESTIONS), streams: of(MAX_STREAMS), answers: of(MAX_ANSWER_MEGABYTES) }
    }

    /// A place for a request, if there is one.
    pub(crate) fn request(&self) -> Option<Place> {
        Arc::clone(&self.requests).try_acquire_owned().ok()
    }

    /// A place for a stream, if there is one.
    pub(crate) fn stream(&self) -> Option<Place> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    /// Streams that are open.
    pub(crate) fn open_streams(&self) -> usize {
        MAX_STREAMS.saturating_sub(self.streams.available_permits())
    }

    /// A place for a question, waiting for its turn.
    pub(crate) async fn question(&self) -> Option<Place> {
        wait(Arc::clone(&self.questions).acquire_owned()).await
    }

    /// Room for an answer of so many bytes, waiting for it.
    pub(crate) async fn answer(&self, bytes: usize) -> Option<Place> {
        let megabytes = bytes.div_ceil(1024 * 1024).clamp(1, MAX_ANSWER_MEGABYTES);
        wait(Arc::clone(&self.answers).acquire_many_owned(u32::try_from(megabytes).unwrap_or(u32::MAX))).await
    }
}

async fn wait(place: impl Future<Output = Result<Place, tokio::sync::AcquireError>>) -> Option<Place> {
    tokio::time::timeout(QUESTION_QUEUE_TIMEOUT, place).await.ok()?.ok()
}
