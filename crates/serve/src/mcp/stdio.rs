//! Standard input and output: one JSON-RPC message a line, and nothing else on standard output.
//!
//! Whatever cannot be read, and a line that is too long, gets an error, and the next line is read. Both eras are spoken in one conversation:
//! each request says by its method or its `_meta` which one it belongs to.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::asker::{Asker, Reach};
use super::protocol::{Call, Host, Outlet, check_meta, era_of};
use super::rpc::{self, Era, INVALID_REQUEST, Incoming, PARSE_ERROR, Request, RpcError};
use super::subscriptions::SessionSubscriptions;
use crate::limits::MAX_MCP_LINE_BYTES;
use crate::shared::Shared;

/// Requests under way at once: an agent asks a few at a time; the next line is read when one of them is answered.
const MAX_UNDER_WAY: usize = 64;
/// How long answers under way are waited for after the input has ended: whoever pipes questions in still wants the answers.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// Messages that wait to be written.
const WAITING: usize = 16;

/// Answers until the input ends, or the shutdown.
///
/// # Errors
/// When the output cannot be written.
pub(crate) async fn serve<R, W>(shared: Arc<Shared>, input: R, output: W) -> io::Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let mut lines = Lines::new(input, output);
    let (sender, receiver) = mpsc::channel(WAITING);
    let ending = shared.options.shutdown.child_token();
    let writing = tokio::spawn(write_all(receiver, lines.writer(), ending.clone()));
    let conversation = Arc::new(Conversation {
        host: Host { shared, reach: Reach::Directory },
        outlet: Outlet(sender),
        subscriptions: Arc::new(SessionSubscriptions::default()),
        running: Lock::default(),
        ending: ending.clone(),
    });
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() >= MAX_UNDER_WAY {
            under_way.join_next().await;
        }
        let value = tokio::select! {
            () = ending.cancelled() => break,
            value = lines.next() => value,
        };
        let Some(value) = value else { break };
        match rpc::read(value) {
            Ok(Incoming::Request(request)) => {
                let (token, this) = (conversation.begin(&request), Arc::clone(&conversation));
                under_way.spawn(async move { this.answer(request, token).await });
            }
            Ok(Incoming::Notification { method, params }) => {
                if let ("notifications/cancelled", Some(id)) = (method.as_str(), params.get("requestId")) {
                    conversation.cancel(id);
                }
            }
            Ok(Incoming::Response) => {}
            Err(refused) => {
                conversation.outlet.send(refused).await;
            }
        }
        while under_way.try_join_next().is_some() {}
    }
    // Nobody is told anything any more, but what was asked is answered.
    conversation.subscriptions.end_all();
    conversation.end_listening();
    let _ = tokio::time::timeout(LAST_ANSWERS, async { while under_way.join_next().await.is_some() {} }).await;
    under_way.shutdown().await;
    drop(conversation);
    writing.await.map_err(io::Error::other)?
}

async fn write_all<W>(mut receiver: mpsc::Receiver<Value>, writer: LineWriter<W>, ending: CancellationToken) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    while let Some(message) = receiver.recv().await {
        if let Err(error) = writer.write(message.to_string().into_bytes()).await {
            // Nobody reads any more: there is nobody to work for.
            ending.cancel();
            return Err(error);
        }
    }
    Ok(())
}

/// One client's conversation.
struct Conversation {
    host: Host,
    outlet: Outlet,
    subscriptions: Arc<SessionSubscriptions>,
    /// Requests under way, and whether each lasts until it is given up.
    running: Lock<HashMap<String, (CancellationToken, bool)>>,
    ending: CancellationToken,
}

impl Conversation {
    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, (CancellationToken, bool)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, request: &Request) -> CancellationToken {
        let token = self.ending.child_token();
        self.running().insert(request.id.to_string(), (token.clone(), request.method == "subscriptions/listen"));
        token
    }

    fn cancel(&self, id: &Value) {
        if let Some((token, _)) = self.running().remove(&id.to_string()) {
            token.cancel();
        }
    }

    fn end_listening(&self) {
        for (token, _) in self.running().values().filter(|(_, lasts)| *lasts) {
            token.cancel();
        }
    }

    async fn answer(&self, request: Request, cancelled: CancellationToken) {
        let era = era_of(&request).unwrap_or(Era::Older);
        let outcome = match era {
            Era::Newer => check_meta(&request),
            Era::Older => Ok(()),
        };
        let progress = request.meta("progressToken").cloned();
        let asker = Asker::new(&self.host.shared, self.host.reach, None).telling(&self.outlet, progress.as_ref());
        let subscriptions = Some(Arc::clone(&self.subscriptions));
        let call = Call { asker, era, outlet: self.outlet.clone(), session: subscriptions, cancelled: cancelled.clone() };
        let outcome = match outcome {
            Ok(()) => call.answer(&request).await,
            Err(error) => Err(error),
        };
        self.running().remove(&request.id.to_string());
        // Who gave a request up wants no answer to it.
        if !cancelled.is_cancelled() {
            self.outlet.send(rpc::answer(&request.id, outcome)).await;
        }
    }
}

/// Lines in, each one JSON value; lines out. What comes in and cannot be read is answered with an error here.
pub struct Lines<R, W> {
    input: BufReader<R>,
    /// What was read of a line so far: reading may be given up at any time and goes on here.
    line: Vec<u8>,
    /// The rest of a line that was too long is being passed over.
    is_skipping: bool,
    /// An error that is being written. It is written whole even when the reading is given up meanwhile, and nothing is read before it is out.
    refusing: Option<tokio::task::JoinHandle<io::Result<()>>>,
    output: Arc<Mutex<W>>,
}

/// What one look at the input gave.
enum Look {
    Line,
    TooLong,
    End,
}

impl<R, W> Lines<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// Over any input and output.
    pub fn new(input: R, output: W) -> Self {
        Self { input: BufReader::new(input), line: Vec::new(), is_skipping: false, refusing: None, output: Arc::new(Mutex::new(output)) }
    }

    /// A way to write lines beside the reading.
    pub fn writer(&self) -> LineWriter<W> {
        LineWriter(Arc::clone(&self.output))
    }

    /// The next value; what is none is answered with an error. `None` at the end of the input, or when nobody reads any more. Given up in
    /// between, it loses nothing.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(refusing) = &mut self.refusing {
                let written = refusing.await;
                self.refusing = None;
                written.ok()?.ok()?;
            }
            match self.look().await {
                Look::End => return None,
                Look::TooLong => self.refuse(INVALID_REQUEST, &format!("the message is longer than {MAX_MCP_LINE_BYTES} bytes")),
                Look::Line => {
                    let line = std::mem::take(&mut self.line);
                    if line.iter().all(u8::is_ascii_whitespace) {
                        continue;
                    }
                    match serde_json::from_slice(&line) {
                        Ok(value) => return Some(value),
                        Err(error) => self.refuse(PARSE_ERROR, &format!("the line is no JSON: {error}")),
                    }
                }
            }
        }
    }

    /// Reads on until a line is complete. Given up in between, it goes on where it was.
    async fn look(&mut self) -> Look {
        loop {
            let Ok(available) = self.input.fill_buf().await else { return Look::End };
            if available.is_empty() {
                // What stands without an end of line at the end of the input is half a message.
                return Look::End;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |end| end + 1);
            let is_too_long = !self.is_skipping && self.line.len() + taken > MAX_MCP_LINE_BYTES;
            if !self.is_skipping && !is_too_long {
                self.line.extend(available.iter().take(taken));
            }
            self.input.consume(taken);
            match (end.is_some(), self.is_skipping, is_too_long) {
                (true, true, _) => self.is_skipping = false,
                (true, false, false) => return Look::Line,
                (has_end, false, true) => {
                    self.line = Vec::new();
                    self.is_skipping = !has_end;
                    return Look::TooLong;
                }
                (false, ..) => {}
            }
        }
    }

    fn refuse(&mut self, code: i64, why: &str) {
        let text = RpcError::new(code, why).answering(&Value::Null).to_string();
        let writer = self.writer();
        self.refusing = Some(tokio::spawn(async move { writer.write(text.into_bytes()).await }));
    }
}

/// Writes lines, one at a time.
pub struct LineWriter<W>(Arc<Mutex<W>>);

impl<W> Clone for LineWriter<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: AsyncWrite + Unpin> LineWriter<W> {
    /// Writes one message.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub async fn write(&self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        let mut output = self.0.lock().await;
        output.write_all(&line).await?;
        output.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn read_all(text: &[u8]) -> (usize, Vec<Value>) {
        let (mut ours, theirs) = tokio::io::duplex(4 * 1024 * 1024);
        let mut lines = Lines::new(io::Cursor::new(text.to_vec()), theirs);
        let mut values = 0;
        while lines.next().await.is_some() {
            values += 1;
        }
        drop(lines);
        let mut answered = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut ours, &mut answered).await.expect("read");
        (values, answered.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    #[tokio::test]
    async fn every_line_that_is_no_json_gets_an_error_and_the_next_is_read() {
        let long = vec![b'x'; MAX_MCP_LINE_BYTES + 10];
        let ping = br#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
        let parts: [&[u8]; 7] = [b"garbage", b"{\"jsonrpc\":\"2.0\",", &long, b"[]", b"", ping, b"\xff\xfe"];
        let (values, errors) = read_all(&parts.join(&b'\n')).await;
        assert_eq!(values, 2);
        let codes: Vec<&Value> = errors.iter().map(|error| &error["error"]["code"]).collect();
        // The last line has no end: it is half a message, and nobody waits for an answer to it.
        assert_eq!(codes, [&json!(PARSE_ERROR), &json!(PARSE_ERROR), &json!(INVALID_REQUEST)]);
    }
}
