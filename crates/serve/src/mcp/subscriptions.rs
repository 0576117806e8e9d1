//! Subscriptions to resources, in both eras of the protocol: one feed, one outlet, one loop.
//!
//! A feed holds no queue of its own: a monitor's is a position in its log, that of Events a cursor of the journal, so a client that reads
//! slowly costs nothing and is told what it missed. Invariant: whatever ends a subscription (its last update, its client, its time, the
//! server) frees its place.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use proreus_api::{Change, MonitorUpdate};
use proreus_app::access::Caller;
use proreus_app::monitors::{ClientKey, MAX_TIMEOUT, Slot, SubscribeOptions, Subscription};
use proreus_app::pod_logs::{LogFollower, WantedLog};
use proreus_app::questions::{ChangeView, ChangesQuestion, Selection, parse_body};
use proreus_model::Verb;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::asker::Asker;
use super::protocol::Outlet;
use super::refusal::Refusal;
use super::rpc::{META_SUBSCRIPTION, notification};
use super::tools::{event_json, log_place, portions, to_json};
use super::uri::Address;
use crate::limits::{Place, STREAM_HEARTBEAT, STREAM_PORTION, STREAM_RECHECK};

/// One thing to tell.
struct Delta {
    value: Value,
    is_last: bool,
}

/// Where what is told comes from.
pub(crate) enum Feed {
    /// The updates of a monitor.
    Monitor(Box<Subscription>),
    /// The Events of a namespace.
    Events(Box<Events>),
    /// What is written to a log.
    Logs(Box<Logs>),
    /// Something of a profile, of which nothing is told.
    Silent,
}

/// A follower of a log.
pub(crate) struct Logs {
    follower: LogFollower,
    wanted: WantedLog,
    waiting: VecDeque<Vec<String>>,
    deadline: Instant,
    _place: (Slot, Place),
}

/// A follower of Events.
pub(crate) struct Events {
    asker: Asker,
    question: ChangesQuestion,
    waiting: VecDeque<ChangeView>,
    deadline: Instant,
    _place: (Slot, Place),
}

impl Feed {
    /// Opens what an address leads to.
    pub(crate) async fn open(asker: &Asker, uri: &str) -> Result<Self, Refusal> {
        if asker.shared.options.profile.as_ref().is_some_and(|profile| profile.is_watched(uri)) {
            return Ok(Self::Silent);
        }
        match Address::read(uri)? {
            Address::Monitor { name, timeout, waits, after } => {
                let (monitors, client) = (Arc::clone(&asker.shared.app.monitors), ClientKey(asker.client.clone()));
                let options = SubscribeOptions { timeout, await_existence: waits, after };
                let subscription = asker.ask(move |_, access| monitors.subscribe(name, options, &client, access.clone())).await?;
                Ok(Self::Monitor(Box::new(subscription)))
            }
            Address::Events { namespace } => Events::open(asker, namespace).await.map(|events| Self::Events(Box::new(events))),
            Address::PodLogs(wanted) => Logs::open(asker, wanted).await.map(|logs| Self::Logs(Box::new(logs))),
            Address::AuditEvents { .. } | Address::AuditChanges { .. } | Address::AuditNode { .. } => Err(Refusal::argument(
                format!("`{uri}` can be read and not subscribed to"),
                "subscribe to k0rdent://events/NAMESPACE, or call the tool watch_changes",
            )),
        }
    }

    /// The next thing to tell. Dropping the future loses nothing.
    async fn next(&mut self) -> Option<Delta> {
        match self {
            Self::Monitor(subscription) => {
                let notice = subscription.next().await?;
                let is_last = notice.is_last;
                Some(Delta { value: to_json(&MonitorUpdate::from(notice)), is_last })
            }
            Self::Events(events) => events.next().await,
            Self::Logs(logs) => logs.next().await,
            Self::Silent => std::future::pending().await,
        }
    }

    /// Goes on with what the caller may read now; where that is nothing of this any more, its last word.
    async fn readmit(&mut self, asker: &Asker, caller: &Caller) -> Option<Value> {
        match self {
            Self::Monitor(subscription) => subscription.set_access(caller.access.clone()),
            Self::Events(events) => events.asker.access = caller.access.clone(),
            Self::Logs(logs) => return logs.readmit(asker, caller).await.err().map(|refusal| ended(&refusal.into_error().message)),
            Self::Silent => {}
        }
        None
    }
}

/// The last thing that is told of a log.
fn ended(why: &str) -> Value {
    json!({"lines": [], "end": why})
}

impl Logs {
    async fn open(asker: &Asker, wanted: WantedLog) -> Result<Self, Refusal> {
        let of = log_place(asker, &wanted).await?;
        let (client, stream) = (ClientKey(asker.client.clone()), asker.stream()?);
        let slot = asker.ask(move |app, _| app.monitors.place(&client)).await?;
        let follower = asker.shared.app.follow_log(&of, &wanted.log).await?;
        Ok(Self { follower, wanted, waiting: VecDeque::new(), deadline: Instant::now() + MAX_TIMEOUT, _place: (slot, stream) })
    }

    /// Whether the caller may still read the pod and its log.
    async fn readmit(&self, asker: &Asker, caller: &Caller) -> Result<(), Refusal> {
        let (wanted, access) = (self.wanted.clone(), caller.access.clone());
        let place = asker.ask(move |app, _| app.log_place(&wanted, &access)).await?;
        Ok(asker.shared.app.admit_to_log(&place, caller).await?)
    }

    async fn next(&mut self) -> Option<Delta> {
        loop {
            if Instant::now() >= self.deadline {
                return Some(Delta { value: ended("the subscription's time is over; subscribe again to go on"), is_last: true });
            }
            if let Some(lines) = self.waiting.pop_front() {
                return Some(Delta { value: json!({"lines": lines}), is_last: false });
            }
            let end = match tokio::time::timeout_at(self.deadline, self.follower.next()).await {
                Ok(Ok(Some(lines))) => {
                    self.waiting = portions(lines).into();
                    continue;
                }
                Err(_) => continue,
                Ok(Ok(None)) => ended("the log has ended: its container ended, or its node closed it"),
                Ok(Err(refusal)) => ended(&refusal.to_string()),
            };
            return Some(Delta { value: end, is_last: true });
        }
    }
}

impl Events {
    async fn open(asker: &Asker, namespace: String) -> Result<Self, Refusal> {
        let (client, stream) = (ClientKey(asker.client.clone()), asker.stream()?);
        let (question, place) = asker
            .ask(move |app, _| {
                let selection = Selection { namespaces: vec![namespace], kinds: vec!["events".to_owned()], ..Selection::default() };
                let filter = app.questions.select(&selection)?;
                let cursor = Some(app.questions.cursor_at(app.questions.journal().watermark()));
                let place = app.monitors.place(&client)?;
                Ok((ChangesQuestion { filter, cursor, limit: STREAM_PORTION, full: true, ..ChangesQuestion::default() }, place))
            })
            .await?;
        let deadline = Instant::now() + MAX_TIMEOUT;
        Ok(Self { asker: asker.clone(), question, waiting: VecDeque::new(), deadline, _place: (place, stream) })
    }

    async fn next(&mut self) -> Option<Delta> {
        while Instant::now() < self.deadline {
            if let Some(view) = self.waiting.pop_front() {
                return Some(self.delta(view));
            }
            let app = Arc::clone(&self.asker.shared.app);
            match app.follow(self.question.clone(), self.asker.access.clone(), STREAM_HEARTBEAT).await {
                Ok(answer) => {
                    self.question.cursor = Some(answer.cursor);
                    self.waiting = answer.items.into();
                }
                Err(error) => {
                    let failure = Refusal::from(error).into_error();
                    self.deadline = Instant::now();
                    return Some(Delta { value: json!({"action": "ERROR", "message": failure.message}), is_last: true });
                }
            }
        }
        None
    }

    fn delta(&self, view: ChangeView) -> Delta {
        let action = match view.change.verb {
            Verb::Create => "ADDED",
            Verb::Update => "MODIFIED",
            Verb::Delete => "DELETED",
        };
        let event = view.object.as_deref().map_or(Value::Null, |object| event_json(&parse_body(object)));
        let cursor = self.asker.shared.app.questions.cursor_at(view.change.seq).to_string();
        let change = Change::from(ChangeView { object: None, changed: Vec::new(), ..view });
        let value =
            json!({"action": action, "event": event, "cursor": cursor, "seq": change.seq, "recordedAt": change.recorded_at.to_string()});
        Delta { value, is_last: false }
    }
}

/// The notification that a resource has changed, with what changed; `listen` is the request of the newer era that it belongs to.
fn updated(uri: &str, delta: Value, listen: Option<&Value>) -> Value {
    let mut meta = json!({"delta": delta});
    if let Some(id) = listen {
        meta[META_SUBSCRIPTION] = id.clone();
    }
    notification("notifications/resources/updated", json!({"uri": uri, "_meta": meta}))
}

/// Tells what comes, until something ends it.
pub(crate) async fn run(mut feed: Feed, outlet: &Outlet, uri: &str, listen: Option<&Value>, asker: &Asker, ending: &CancellationToken) {
    let mut let_in = asker.let_in.clone();
    let mut recheck = tokio::time::interval_at(Instant::now() + STREAM_RECHECK, STREAM_RECHECK);
    loop {
        let delta = tokio::select! {
            () = ending.cancelled() => return,
            () = asker.shared.options.shutdown.cancelled() => return,
            _ = recheck.tick() => {
                let Some(let_in) = &mut let_in else { continue };
                // A token that was withdrawn, or a right, ends what it had begun.
                if let_in.recheck(&asker.shared).await.is_err() {
                    return;
                }
                match feed.readmit(asker, &let_in.caller).await {
                    None => continue,
                    Some(value) => Some(Delta { value, is_last: true }),
                }
            }
            delta = feed.next() => delta,
        };
        let Some(Delta { value, is_last }) = delta else { return };
        if !outlet.send(updated(uri, value, listen)).await || is_last {
            return;
        }
    }
}

/// The subscriptions of one session of the older protocol, by address. They end with the session, because it drops this.
#[derive(Default)]
pub(crate) struct SessionSubscriptions {
    open: Mutex<HashMap<String, Begun>>,
    count: std::sync::atomic::AtomicU64,
}

/// A subscription that has begun: which of its address it is, and what ends it.
#[derive(Clone)]
pub(crate) struct Begun {
    number: u64,
    /// Ends it.
    pub(crate) ending: CancellationToken,
}

impl SessionSubscriptions {
    /// Begins a subscription; `None` when there is one to that address already.
    pub(crate) fn begin(&self, uri: &str) -> Option<Begun> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.contains_key(uri) {
            return None;
        }
        let number = self.count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let begun = Begun { number, ending: CancellationToken::new() };
        open.insert(uri.to_owned(), begun.clone());
        Some(begun)
    }

    /// Forgets a subscription that has ended by itself, unless another has begun to the same address since.
    pub(crate) fn forget(&self, uri: &str, begun: &Begun) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.get(uri).is_some_and(|of| of.number == begun.number) {
            open.remove(uri);
        }
    }

    /// Ends a subscription; one that is not there ends as well.
    pub(crate) fn end(&self, uri: &str) {
        let begun = self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(uri);
        if let Some(begun) = begun {
            begun.ending.cancel();
        }
    }

    /// Ends all of them.
    pub(crate) fn end_all(&self) {
        for begun in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            begun.1.ending.cancel();
        }
    }
}
