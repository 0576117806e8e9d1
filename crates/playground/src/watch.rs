//! Watches: from a request to a stream of event lines.
//!
//! A watch is a position in the history; it holds no queue, so a slow reader costs nothing and is cut off when the history moves past it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::cluster::Target;
use crate::list;
use crate::render::{Painter, Wrapping};
use crate::request::{Accepted, Query};
use crate::selector::Selector;
use crate::server::Shared;
use crate::status::{About, ApiError, Cause};
use crate::store::{Entry, Happening, Object};

/// Events written in one piece; keeps the lock short and the buffers small.
const BATCH: usize = 256;
/// Longest a watch lives when the client names no time, as the real server's smallest choice.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// One open watch.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    target: Target,
    selector: Selector,
    painter: Painter,
    /// Objects of the initial state still to be written.
    initial: std::vec::IntoIter<Arc<Object>>,
    /// A bookmark to be written when the initial state is through.
    ends_initial: bool,
    refusal: Option<ApiError>,
    /// Everything up to this revision was written.
    position: u64,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    revisions: tokio::sync::watch::Receiver<u64>,
    cut: tokio::sync::watch::Receiver<u64>,
    /// A revision that a bookmark is wanted for, and the position of the last one sent.
    wanted: tokio::sync::watch::Receiver<u64>,
    told: u64,
    done: bool,
    _place: tokio::sync::OwnedSemaphorePermit,
}

struct Beginning {
    initial: Vec<Arc<Object>>,
    position: u64,
    ends_initial: bool,
    refusal: Option<ApiError>,
}

fn check(query: &Query) -> Result<(), ApiError> {
    let refuse = |field: &str, message: &str| {
        let about = About { group: "meta.k8s.io", resource: "ListOptions", name: "" };
        Err(ApiError::invalid(about, &[Cause::forbidden(field, message)]))
    };
    let matching = query.text("resourceVersionMatch");
    if query.has("sendInitialEvents") {
        if matching != "NotOlderThan" {
            return refuse("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        }
    } else if !matching.is_empty() {
        return refuse("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    }
    Ok(())
}

fn begin(shared: &Shared, target: &Target, selector: &Selector, query: &Query) -> Result<Beginning, ApiError> {
    let wanted = list::version(query.text("resourceVersion"))
        .map_err(|refusal| ApiError::unclassed(refusal.message.trim_start_matches("invalid resource version: ").to_owned()))?;
    let world = shared.lock();
    let store = &world.cluster.store;
    let streams_list = query.has("sendInitialEvents") && query.flag("sendInitialEvents");
    let from_now = query.has("sendInitialEvents") && !streams_list;
    let (with_state, position) = match wanted {
        _ if streams_list => (true, store.revision()),
        None | Some(0) if from_now => (false, store.revision()),
        None | Some(0) => (true, store.revision()),
        Some(wanted) => (false, wanted),
    };
    if let Some(wanted) = wanted.filter(|wanted| streams_list && *wanted > store.revision()) {
        return Err(ApiError::too_large_version(wanted, store.revision()));
    }
    let refusal = (!with_state && position < store.compacted())
        .then(|| ApiError::expired(format!("too old resource version: {position} ({})", store.compacted() + 1)));
    let initial = if with_state {
        store.scan(&target.def.table, &target.namespace).filter(|object| selector.matches(object.value())).cloned().collect()
    } else {
        Vec::new()
    };
    Ok(Beginning { initial, position, ends_initial: streams_list && query.flag("allowWatchBookmarks"), refusal })
}

impl Watch {
    /// Opens a watch, or refuses it.
    pub(crate) fn open(shared: &Arc<Shared>, target: Target, query: &Query, accepted: Accepted) -> Result<Self, ApiError> {
        check(query)?;
        let selector = list::selector(&target, query)?;
        let place = shared.watch_places.clone().try_acquire_owned();
        let place = place.map_err(|_| ApiError::too_many_requests("too many watches are open, please try again later"))?;
        let seconds = query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        let beginning = begin(shared, &target, &selector, query)?;
        let now = Instant::now();
        let lifetime = seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        Ok(Self {
            painter: Painter::new(&target, accepted, Wrapping::Watch),
            target,
            selector,
            initial: beginning.initial.into_iter(),
            ends_initial: beginning.ends_initial,
            refusal: beginning.refusal,
            position: beginning.position,
            bookmarks: query.flag("allowWatchBookmarks"),
            next_bookmark: next_bookmark(now, now + lifetime, shared.bookmark_interval),
            deadline: now + lifetime,
            revisions: shared.revisions.subscribe(),
            cut: shared.cut.subscribe(),
            wanted: shared.bookmark_at.subscribe(),
            told: 0,
            shared: shared.clone(),
            done: false,
            _place: place,
        })
    }

    /// The next piece of the stream; `None` when the watch is over.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.done {
                return None;
            }
            if let Some(refusal) = self.refusal.take() {
                self.done = true;
                return Some(line("ERROR", &refusal.status().to_string()));
            }
            self.revisions.borrow_and_update();
            let piece = self.initial_piece().or_else(|| self.history_piece());
            if piece.as_ref().is_some_and(|piece| !piece.is_empty()) {
                return piece;
            }
            if self.done {
                return None;
            }
            if let Some(bookmark) = self.wait().await {
                return Some(bookmark);
            }
        }
    }

    fn initial_piece(&mut self) -> Option<Bytes> {
        let objects: Vec<Arc<Object>> = self.initial.by_ref().take(BATCH).collect();
        if objects.is_empty() && !self.ends_initial {
            return None;
        }
        let now = self.shared.now();
        let mut out = Vec::new();
        for object in &objects {
            out.extend_from_slice(&line("ADDED", &self.painter.paint(object, now)));
        }
        if self.initial.len() == 0 && std::mem::take(&mut self.ends_initial) {
            out.extend_from_slice(&self.bookmark(true));
        }
        Some(out.into())
    }

    fn history_piece(&mut self) -> Option<Bytes> {
        let shared = self.shared.clone();
        let now = shared.now();
        let mut out = Vec::new();
        let mut found = Vec::new();
        {
            let world = shared.lock();
            // A type that is no longer served ends its watches.
            let served = world.cluster.registry.get(&self.target.def.group, &self.target.def.plural).is_some();
            let Some(entries) = world.cluster.store.since(self.position) else {
                self.done = true;
                return None;
            };
            for entry in entries {
                self.position = entry.revision;
                if *entry.table == *self.target.def.table && self.concerns(entry) {
                    found.push(entry.clone());
                    if found.len() == BATCH {
                        break;
                    }
                }
            }
            self.done = !served && found.len() < BATCH;
        }
        for entry in found {
            if let Some((kind, object)) = seen(&entry, &self.selector) {
                out.extend_from_slice(&line(kind, &self.painter.paint(&object, now)));
            }
        }
        Some(out.into())
    }

    fn concerns(&self, entry: &Entry) -> bool {
        self.target.namespace.is_empty() || entry.object.namespace() == self.target.namespace
    }

    /// Waits for the next reason to write; a due bookmark is the only one that has its line already.
    async fn wait(&mut self) -> Option<Bytes> {
        let wanted = *self.wanted.borrow_and_update();
        if self.bookmarks && self.told < wanted && self.position >= wanted {
            return Some(self.bookmark(false));
        }
        let wake = if self.bookmarks { self.next_bookmark.min(self.deadline) } else { self.deadline };
        tokio::select! {
            changed = self.revisions.changed() => self.done |= changed.is_err(),
            _ = self.cut.changed() => self.done = true,
            changed = self.wanted.changed() => self.done |= changed.is_err(),
            () = tokio::time::sleep_until(wake) => {
                let over = Instant::now() >= self.deadline;
                self.done |= over;
                self.next_bookmark = next_bookmark(Instant::now(), self.deadline, self.shared.bookmark_interval);
                return (self.bookmarks && !over).then(|| self.bookmark(false));
            }
        }
        None
    }

    fn bookmark(&mut self, ends_initial: bool) -> Bytes {
        self.told = self.position;
        line("BOOKMARK", &self.painter.bookmark(&self.target, self.position, ends_initial).to_string())
    }
}

/// A last bookmark comes this long before the end, so that the client resumes from close by.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

fn next_bookmark(now: Instant, deadline: Instant, interval: Duration) -> Instant {
    let last = deadline.checked_sub(LAST_BOOKMARK).filter(|last| *last > now + LAST_BOOKMARK / 2);
    last.map_or(now + interval, |last| last.min(now + interval))
}

fn line(kind: &str, object: &str) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
}

/// What a watch with a selector sees of a commit.
fn seen(entry: &Entry, selector: &Selector) -> Option<(&'static str, Arc<Object>)> {
    let matched_before = entry.previous.as_ref().is_some_and(|previous| selector.matches(previous.value()));
    let matches_now = entry.happening != Happening::Deleted && selector.matches(entry.object.value());
    match (matched_before, matches_now) {
        (false, true) => Some(("ADDED", entry.object.clone())),
        (true, true) => Some(("MODIFIED", entry.object.clone())),
        (true, false) if entry.happening == Happening::Deleted => Some(("DELETED", entry.object.clone())),
        (true, false) => {
            let last = entry.previous.as_ref()?.value().clone();
            Some(("DELETED", Arc::new(Object::new(last, entry.revision))))
        }
        (false, false) => None,
    }
}

/// The object of a bookmark.
pub(crate) fn bookmark_object(api_version: &str, kind: &str, position: u64, ends_initial: bool) -> Value {
    let mut meta = json!({"resourceVersion": position.to_string()});
    if ends_initial {
        meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    json!({"kind": kind, "apiVersion": api_version, "metadata": meta})
}
