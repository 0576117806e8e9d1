//! Sessions of the older era: who opened each, what it is to be told, and what was told.
//!
//! A session keeps the last messages, so that a client whose connection broke hears what it missed, and a client that reads nothing makes
//! whoever tells wait and then give up. Invariant: what a session holds is bounded, and so is the number of sessions.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::protocol::Outlet;
use super::subscriptions::SessionSubscriptions;
use crate::limits::{MAX_MCP_SESSIONS, MCP_SESSION_MESSAGES};

/// One session.
pub(crate) struct Session {
    /// Who opened it.
    pub(crate) caller: String,
    /// What it listens to.
    pub(crate) subscriptions: Arc<SessionSubscriptions>,
    /// Where it is told.
    pub(crate) outlet: Outlet,
    /// Its end.
    pub(crate) ending: CancellationToken,
    told: Mutex<Told>,
    news: watch::Sender<u64>,
    /// Requests under way, to be given up when the client does.
    pub(crate) running: Mutex<HashMap<String, CancellationToken>>,
    seen: Mutex<Instant>,
}

/// What was said unasked.
#[derive(Default)]
struct Told {
    messages: VecDeque<(u64, Value)>,
    /// Number of the last message.
    last: u64,
    /// Number of the last message that a stream has taken.
    taken: u64,
    /// Which stream is the present one: a client that comes back leaves the old one behind.
    stream: u64,
}

/// One stream of a session's messages.
pub(crate) struct Stream {
    session: Arc<Session>,
    number: u64,
    after: u64,
    news: watch::Receiver<u64>,
}

impl Session {
    fn new(caller: String, shutdown: &CancellationToken) -> Arc<Self> {
        let (sender, receiver) = mpsc::channel(1);
        let session = Arc::new(Self {
            caller,
            subscriptions: Arc::new(SessionSubscriptions::default()),
            outlet: Outlet(sender),
            ending: shutdown.child_token(),
            told: Mutex::default(),
            news: watch::Sender::new(0),
            running: Mutex::default(),
            seen: Mutex::new(Instant::now()),
        });
        tokio::spawn(collect(Arc::clone(&session), receiver));
        session
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Takes a message in; false when the client has not taken so many that there is no room.
    fn has_room(&self) -> bool {
        let told = self.told();
        told.last - told.taken < MCP_SESSION_MESSAGES as u64
    }

    fn tell(&self, message: Value) {
        {
            let mut told = self.told();
            told.last += 1;
            let number = told.last;
            told.messages.push_back((number, message));
            while told.messages.len() > MCP_SESSION_MESSAGES {
                told.messages.pop_front();
            }
        }
        self.news.send_modify(|version| *version += 1);
    }

    /// A stream of what is told from now on, or behind the message that a client names as its last.
    pub(crate) fn stream(self: &Arc<Self>, after: Option<u64>) -> Stream {
        let mut told = self.told();
        told.stream += 1;
        let after = after.filter(|after| *after <= told.last).unwrap_or(told.taken);
        let number = told.stream;
        drop(told);
        // Whoever holds the stream before this one looks up and leaves.
        self.news.send_modify(|version| *version += 1);
        Stream { session: Arc::clone(self), number, after, news: self.news.subscribe() }
    }

    /// A token that gives a request up, by its id.
    pub(crate) fn begin(&self, id: &Value) -> CancellationToken {
        let token = self.ending.child_token();
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_string(), token.clone());
        token
    }

    /// The request is answered.
    pub(crate) fn done(&self, id: &Value) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id.to_string());
    }

    /// The client gives a request up.
    pub(crate) fn cancel(&self, id: &Value) {
        if let Some(token) = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id.to_string()) {
            token.cancel();
        }
    }

    fn end(&self) {
        self.ending.cancel();
        self.subscriptions.end_all();
    }
}

/// Moves what is told into the session while there is room; without any, whoever tells waits.
async fn collect(session: Arc<Session>, mut receiver: mpsc::Receiver<Value>) {
    let mut news = session.news.subscribe();
    loop {
        let message = tokio::select! {
            () = session.ending.cancelled() => return,
            message = receiver.recv() => message,
        };
        let Some(message) = message else { return };
        loop {
            news.mark_unchanged();
            if session.has_room() {
                break;
            }
            tokio::select! {
                () = session.ending.cancelled() => return,
                _ = news.changed() => {}
            }
        }
        session.tell(message);
    }
}

impl Stream {
    /// The next message with its number; `None` when the session ended or a newer stream took over.
    pub(crate) async fn next(&mut self) -> Option<(u64, Value)> {
        loop {
            self.news.mark_unchanged();
            {
                let mut told = self.session.told();
                if told.stream != self.number {
                    return None;
                }
                let next = told.messages.iter().find(|(number, _)| *number > self.after).cloned();
                if let Some((number, message)) = next {
                    self.after = number;
                    told.taken = told.taken.max(number);
                    drop(told);
                    self.session.touch();
                    self.session.news.send_modify(|version| *version += 1);
                    return Some((number, message));
                }
            }
            tokio::select! {
                () = self.session.ending.cancelled() => return None,
                changed = self.news.changed() => changed.ok()?,
            }
        }
    }
}

/// A name that nobody guesses: whoever knows it speaks in the session.
fn name() -> String {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes[..]);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<String, Arc<Session>>>,
}

impl Sessions {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens one and says its name. Where there are as many as there may be, the one that has been silent for longest gives way.
    pub(crate) fn begin(&self, caller: String, shutdown: &CancellationToken) -> (String, Arc<Session>) {
        let name = name();
        let session = Session::new(caller, shutdown);
        let mut open = self.open();
        while open.len() >= MAX_MCP_SESSIONS {
            let silent = open.iter().min_by_key(|(_, of)| *of.seen.lock().unwrap_or_else(PoisonError::into_inner));
            let Some(oldest) = silent.map(|(name, _)| name.clone()) else { break };
            tracing::warn!("too many sessions: the one that has been silent for longest gives way");
            if let Some(gone) = open.remove(&oldest) {
                gone.end();
            }
        }
        open.insert(name.clone(), Arc::clone(&session));
        (name, session)
    }

    /// The session of a name, when it is this caller's.
    pub(crate) fn find(&self, name: &str, caller: &str) -> Option<Arc<Session>> {
        let session = self.open().get(name).filter(|session| session.caller == caller && !session.ending.is_cancelled()).cloned()?;
        session.touch();
        Some(session)
    }

    /// Ends a session, when it is this caller's; false when there is none.
    pub(crate) fn end(&self, name: &str, caller: &str) -> bool {
        if self.find(name, caller).is_none() {
            return false;
        }
        if let Some(session) = self.open().remove(name) {
            session.end();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_client_that_comes_back_hears_what_it_missed_and_only_that() {
        let session = Session::new("alice".to_owned(), &CancellationToken::new());
        let mut first = session.stream(None);
        for number in 1..=3 {
            assert!(session.outlet.send(json!(number)).await);
        }
        assert_eq!(first.next().await, Some((1, json!(1))));
        assert_eq!(first.next().await, Some((2, json!(2))));
        let mut resumed = session.stream(Some(1));
        assert_eq!(first.next().await, None, "the older stream is left behind");
        assert_eq!(resumed.next().await, Some((2, json!(2))));
        let mut fresh = session.stream(None);
        assert_eq!(fresh.next().await, Some((3, json!(3))), "what nobody had taken yet");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_tells_a_client_that_takes_nothing_gives_up() {
        let session = Session::new("alice".to_owned(), &CancellationToken::new());
        let mut sent = 0;
        while session.outlet.send(json!(sent)).await {
            sent += 1;
            assert!(sent < 10_000, "nothing bounds it");
        }
        assert!(sent >= MCP_SESSION_MESSAGES);
        let mut stream = session.stream(None);
        assert_eq!(stream.next().await, Some((1, json!(0))), "what was told is not lost");
        assert!(session.outlet.send(json!("on")).await, "and it goes on");
    }

    #[tokio::test]
    async fn the_session_that_has_been_silent_for_longest_gives_way() {
        let (sessions, shutdown) = (Sessions::default(), CancellationToken::new());
        let (first, _) = sessions.begin("alice".to_owned(), &shutdown);
        let (second, _) = sessions.begin("alice".to_owned(), &shutdown);
        assert!(sessions.find(&second, "mallory").is_none());
        for _ in 0..MAX_MCP_SESSIONS - 2 {
            sessions.begin("bob".to_owned(), &shutdown);
        }
        assert!(sessions.find(&first, "alice").is_some());
        sessions.begin("bob".to_owned(), &shutdown);
        assert!(sessions.find(&second, "alice").is_none());
        assert!(sessions.find(&first, "alice").is_some());
        assert!(sessions.end(&first, "alice") && !sessions.end(&first, "alice"));
    }
}
