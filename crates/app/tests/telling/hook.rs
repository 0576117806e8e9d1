//! A receiver that speaks just enough HTTP to take what it is sent, and to fail in every way in which receivers fail.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How it treats a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes it and says so.
    Take,
    /// Takes it and hangs up, so that the sender cannot know.
    TakeAndHangUp,
    /// Answers 500.
    Fail,
    /// Hangs up.
    HangUp,
    /// Never answers.
    Hang,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) key: String,
    pub(crate) event: String,
    pub(crate) incident: String,
    pub(crate) body: Value,
    pub(crate) manner: Manner,
}

impl Heard {
    /// The position in its key.
    pub(crate) fn seq(&self) -> u64 {
        let middle = self.key.split('-').nth(1).unwrap_or_default();
        u64::from_str_radix(middle, 16).unwrap_or_default()
    }
}

type Log = Arc<Mutex<Vec<Heard>>>;

/// The receiver. Ends with the test.
pub(crate) struct Hook {
    address: std::net::SocketAddr,
    log: Log,
    serving: JoinHandle<()>,
}

impl Hook {
    /// Treats the nth request as `manner` says.
    pub(crate) async fn start(manner: fn(u64) -> Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Log::default();
        let noting = log.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, noting.clone(), manner));
            }
        });
        Self { address, log, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Every request that arrived whole.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.log.lock().unwrap().clone()
    }

    /// Those that were taken.
    pub(crate) fn taken(&self) -> Vec<Heard> {
        self.heard().into_iter().filter(|heard| matches!(heard.manner, Manner::Take | Manner::TakeAndHangUp)).collect()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(stream: TcpStream, log: Log, manner: fn(u64) -> Manner) {
    let mut stream = BufReader::new(stream);
    let Some(mut heard) = read(&mut stream).await else { return };
    let manner = {
        let mut log = log.lock().unwrap();
        heard.manner = manner(log.len() as u64);
        let manner = heard.manner;
        log.push(heard);
        manner
    };
    let answer = match manner {
        Manner::Take => "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        Manner::Fail => "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        Manner::TakeAndHangUp | Manner::HangUp => return,
        Manner::Hang => {
            // Until the sender has had enough.
            let _bytes = stream.read(&mut [0_u8; 1]).await;
            return;
        }
    };
    let _the_sender_may_be_gone = stream.write_all(answer.as_bytes()).await;
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Heard> {
    let (mut key, mut event, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "idempotency-key" => value.trim().clone_into(&mut key),
            "x-proreus-event" => value.trim().clone_into(&mut event),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    let body: Value = serde_json::from_slice(&bytes).ok()?;
    let incident = body["id"].as_str()?.to_owned();
    Some(Heard { key, event, incident, body, manner: Manner::Take })
}
