//! Answers from a running server over REST. Nothing is understood here but how to ask: the server's own words are passed on.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use proreus_api::{
    Change, ChangePage, Cluster, ClusterPage, Diff, DoctorReport, IncidentPage, IncidentState, MarkPage, MonitorLog, ObjectAtTime, Problem,
    StatePage, read_json,
};
use proreus_app::monitors::MAX_TIMEOUT;
use proreus_app::questions::Selection;
use reqwest::{Client, Response, Url};
use serde::de::DeserializeOwned;

use super::event_stream::EventStream;
use super::{
    DEFAULT_SERVER, DoctorAsk, Entry, HistoryAsk, IncidentsAsk, IncidentsList, ObjectAsk, ObjectsPage, RecordsAsk, RecordsPage, StateAsk,
};
use crate::failure::Failure;

/// A server that does not take the connection within this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that is silent for this long has gone: streams send a heartbeat far more often.
const SILENCE: Duration = Duration::from_secs(90);
/// Largest token file read: a token is a line.
const MAX_TOKEN_BYTES: u64 = 64 * 1024;
/// Last sightings of a name among which its kind is looked for.
const SIGHTINGS: u64 = 100;

/// Incidents of one page.
const INCIDENTS_PAGE: u64 = 1_000;

/// A running server.
pub(crate) struct Server {
    client: Client,
    base: Url,
    named: bool,
    token: Option<String>,
    now: Timestamp,
}

/// Reads a token for us to send: the first line that holds one, behind its name if it has one.
pub(super) fn read_token(path: &Path) -> Result<String, Failure> {
    let fail = |source: std::io::Error| Failure::File {
        step: format!("cannot read token file `{}`", path.display()),
        source,
        hint: "give a readable file whose first line is the token, or set PROREUS_TOKEN".to_owned(),
    };
    if std::fs::metadata(path).map_err(fail)?.len() > MAX_TOKEN_BYTES {
        return Err(fail(std::io::Error::other("it is too large for a token")));
    }
    let text = std::fs::read_to_string(path).map_err(fail)?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let token = line.map(|line| line.split_once(':').map_or(line, |(_, token)| token).trim().to_owned());
    token.filter(|token| !token.is_empty()).ok_or_else(|| fail(std::io::Error::other("it holds no token")))
}

type Pairs = Vec<(&'static str, String)>;

impl Server {
    /// A server at `url`, or the one of this machine.
    pub(super) fn new(url: Option<&str>, token: Option<String>, ca: Option<&Path>, now: Timestamp) -> Result<Self, Failure> {
        let usage = |problem: String, hint: &str| Failure::Usage { problem, hint: hint.to_owned() };
        let text = url.unwrap_or(DEFAULT_SERVER);
        let base = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let base = base.ok_or_else(|| usage(format!("`{text}` is no server"), "write http://127.0.0.1:8080 or https://host:port"))?;
        // A second installation is refused and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE)
            .user_agent(concat!("proreus/", env!("CARGO_PKG_VERSION")));
        let builder = match (ca, base.scheme()) {
            (Some(path), _) => builder.tls_certs_only(read_authorities(path)?),
            // Plain HTTP needs no authorities, and a container without any must not fail for want of them.
            (None, "http") => builder.tls_certs_only([]),
            (None, _) => builder,
        };
        let client = builder.build().map_err(|error| Failure::Unreachable {
            step: "cannot prepare the connection".to_owned(),
            reason: error.to_string(),
            hint: "check --ca-file and the system's certificates".to_owned(),
        })?;
        Ok(Self { client, base, named: url.is_some(), token, now })
    }

    /// What a request to another place of the same server is made with: the client, the place under its URL, the token.
    pub(crate) fn place(&self, path: &str) -> (Client, Url, Option<String>) {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(path);
        }
        (self.client.clone(), url, self.token.clone())
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) async fn clusters(&self) -> Result<Vec<Cluster>, Failure> {
        Ok(self.get::<ClusterPage>(&["clusters"], &Vec::new()).await?.items)
    }

    pub(super) async fn records(&self, ask: &RecordsAsk, cursor: Option<&str>, limit: u64) -> Result<RecordsPage, Failure> {
        let mut pairs = selection_pairs(&ask.selection);
        pairs.extend(range_pairs(ask.since.as_deref(), ask.until.as_deref(), cursor, limit));
        pairs.push(("full", ask.full.to_string()));
        let page: ChangePage = self.get(&["changes"], &pairs).await?;
        let changes = RecordsPage {
            items: page.items.into_iter().map(|change| Entry::Change(Box::new(change))).collect(),
            more: page.next_cursor.is_some(),
            end: page.end_cursor,
        };
        if !ask.marks || !marks_can_match(&ask.selection) {
            return Ok(changes);
        }
        let mut pairs = mark_pairs(&ask.selection);
        pairs.extend(range_pairs(ask.since.as_deref(), ask.until.as_deref(), cursor, limit));
        let page: MarkPage = self.get(&["marks"], &pairs).await?;
        let marks = RecordsPage {
            items: page.items.into_iter().map(Entry::Mark).collect(),
            more: page.next_cursor.is_some(),
            end: page.end_cursor,
        };
        Ok(merge(changes, marks))
    }

    pub(super) async fn stream(&self, ask: &RecordsAsk, cursor: &str) -> Result<EventStream, Failure> {
        let mut pairs = selection_pairs(&ask.selection);
        pairs.push(("cursor", cursor.to_owned()));
        pairs.push(("full", ask.full.to_string()));
        pairs.push(("marks", (ask.marks && marks_can_match(&ask.selection)).to_string()));
        let response = self.send(&["changes", "stream"], &pairs).await?;
        Ok(EventStream::new(response))
    }

    /// A page of a monitor's log after a cursor, and how it stands now.
    pub(crate) async fn monitor(
        &self,
        namespace: &str,
        name: &str,
        cluster: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<MonitorLog, Failure> {
        let words = [("cluster", cluster), ("cursor", cursor)];
        let pairs = words.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))).collect();
        self.get(&["monitors", namespace, name], &pairs).await
    }

    /// A monitor's updates after a cursor, as they are told.
    pub(crate) async fn monitor_stream(
        &self,
        namespace: &str,
        name: &str,
        cluster: Option<&str>,
        cursor: Option<&str>,
        timeout_seconds: u64,
        is_awaited: bool,
    ) -> Result<EventStream, Failure> {
        let words = [("cluster", cluster), ("cursor", cursor)];
        let mut pairs: Pairs = words.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))).collect();
        pairs.push(("timeout", timeout_seconds.min(MAX_TIMEOUT.as_secs()).to_string()));
        pairs.push(("await", is_awaited.to_string()));
        Ok(EventStream::new(self.send(&["monitors", namespace, name, "stream"], &pairs).await?))
    }

    pub(super) async fn history(&self, ask: &HistoryAsk, cursor: Option<&str>, limit: u64) -> Result<RecordsPage, Failure> {
        let place = self.identify(&ask.object).await?;
        let mut pairs = place.pairs;
        pairs.extend(range_pairs(ask.since.as_deref(), ask.until.as_deref(), cursor, limit));
        pairs.push(("events", ask.events.to_string()));
        pairs.push(("full", ask.full.to_string()));
        let mut path: Vec<&str> = place.path.iter().map(String::as_str).collect();
        path.push("history");
        let page: ChangePage = self.get(&path, &pairs).await?;
        let items = page.items.into_iter().map(|change| Entry::Change(Box::new(change))).collect();
        Ok(RecordsPage { items, more: page.next_cursor.is_some(), end: page.end_cursor })
    }

    pub(super) async fn object(&self, ask: &ObjectAsk, at: Option<&str>) -> Result<ObjectAtTime, Failure> {
        let place = self.identify(ask).await?;
        let mut pairs = place.pairs;
        pairs.extend(self.moment(at).await?.map(|at| ("at", at)));
        let path: Vec<&str> = place.path.iter().map(String::as_str).collect();
        self.get(&path, &pairs).await
    }

    pub(super) async fn state(&self, ask: &StateAsk, cursor: Option<&str>, limit: u64) -> Result<ObjectsPage, Failure> {
        let mut pairs = selection_pairs(&ask.selection);
        pairs.push(("limit", limit.to_string()));
        pairs.push(("full", ask.full.to_string()));
        match cursor {
            Some(cursor) => pairs.push(("cursor", cursor.to_owned())),
            None => pairs.extend(self.moment(ask.at.as_deref()).await?.map(|at| ("at", at))),
        }
        let page: StatePage = self.get(&["state"], &pairs).await?;
        Ok(ObjectsPage { items: page.items, next: page.next_cursor })
    }

    pub(super) async fn incidents(&self, ask: &IncidentsAsk) -> Result<IncidentsList, Failure> {
        let mut pairs: Pairs = vec![("limit", INCIDENTS_PAGE.to_string())];
        pairs.extend(ask.namespaces.iter().map(|namespace| ("namespace", namespace.clone())));
        pairs.extend(ask.checks.iter().map(|check| ("check", check.clone())));
        pairs.extend(ask.state.map(|state| match state {
            IncidentState::Open => ("state", "open".to_owned()),
            IncidentState::Resolved => ("state", "resolved".to_owned()),
        }));
        let words = [("since", &ask.since), ("until", &ask.until)];
        pairs.extend(words.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        let mut first = pairs.clone();
        first.extend(self.moment(ask.at.as_deref()).await?.map(|at| ("at", at)));
        let mut page: IncidentPage = self.get(&["incidents"], &first).await?;
        let time = page.time;
        let mut items = std::mem::take(&mut page.items);
        while let Some(cursor) = page.next_cursor {
            let mut next = pairs.clone();
            next.push(("cursor", cursor));
            page = self.get(&["incidents"], &next).await?;
            items.append(&mut page.items);
        }
        Ok(IncidentsList { items, time })
    }

    /// Where it is, for people: without a trailing slash.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// What the server's doctor says, under the server's settings.
    pub(crate) async fn doctor(&self, ask: &DoctorAsk) -> Result<DoctorReport, Failure> {
        let mut pairs: Pairs = ask.checks.iter().map(|check| ("check", check.clone())).collect();
        let word = |namespace: &String| if namespace.is_empty() { "_".to_owned() } else { namespace.clone() };
        pairs.extend(ask.namespaces.iter().map(|namespace| ("namespace", word(namespace))));
        pairs.extend(self.moment(ask.at.as_deref()).await?.map(|at| ("at", at)));
        self.get(&["doctor"], &pairs).await
    }

    pub(super) async fn diff(&self, from: u64, to: u64) -> Result<Diff, Failure> {
        self.get(&["diff"], &vec![("from", from.to_string()), ("to", to.to_string())]).await
    }

    /// A position becomes a cursor, which is how the server is told one.
    async fn moment(&self, at: Option<&str>) -> Result<Option<String>, Failure> {
        let Some(text) = at else { return Ok(None) };
        let Ok(seq) = text.parse::<u64>() else { return Ok(Some(text.to_owned())) };
        let page: ChangePage = self.get(&["changes"], &vec![("limit", "1".to_owned()), ("order", "desc".to_owned())]).await?;
        let end: Option<proreus_model::Cursor> = page.end_cursor.parse().ok();
        Ok(end.map(|end| proreus_model::Cursor { seq: proreus_model::Seq(seq), ..end }.to_string()))
    }

    /// The path of the one object that answers to a name. Its last changes tell its group and namespace; an object that did not change
    /// within what is kept is found among those alive.
    async fn identify(&self, ask: &ObjectAsk) -> Result<Place, Failure> {
        let selection = Selection {
            clusters: ask.cluster.iter().cloned().collect(),
            namespaces: ask.namespace.iter().map(|word| if word.is_empty() { "_".to_owned() } else { word.clone() }).collect(),
            kinds: vec![ask.kind.clone()],
            names: vec![ask.name.clone()],
            uids: ask.uid.iter().cloned().collect(),
            ..Selection::default()
        };
        let mut pairs = selection_pairs(&selection);
        pairs.push(("limit", SIGHTINGS.to_string()));
        let mut newest_first = pairs.clone();
        newest_first.push(("order", "desc".to_owned()));
        let mut found = self.get::<ChangePage>(&["changes"], &newest_first).await?.items;
        if found.is_empty() {
            found = self.get::<StatePage>(&["state"], &pairs).await?.items;
        }
        let Some(newest) = found.first() else { return Err(not_found(ask)) };
        if let Some(other) = found.iter().find(|other| place_of(other) != place_of(newest)) {
            return Err(ambiguous(ask, newest, other));
        }
        let mut pairs: Pairs = vec![("cluster", newest.cluster.clone())];
        pairs.extend(ask.uid.iter().map(|uid| ("uid", uid.clone())));
        let word = |text: &str, empty: &str| if text.is_empty() { empty.to_owned() } else { text.to_owned() };
        let path =
            ["objects".to_owned(), word(&newest.group, "core"), newest.kind.clone(), word(&newest.namespace, "_"), newest.name.clone()];
        Ok(Place { path, pairs })
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], pairs: &Pairs) -> Result<T, Failure> {
        let response = self.send(path, pairs).await?;
        let url = response.url().clone();
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        read_json(&bytes).map_err(|error| Failure::Unreachable {
            step: format!("cannot understand the answer of {}", without_query(&url)),
            reason: error.to_string(),
            hint: "check that the URL leads to proreus, of the same version as this program".to_owned(),
        })
    }

    /// Sends a request and takes refusals apart.
    async fn send(&self, path: &[&str], pairs: &Pairs) -> Result<Response, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        let mut request = self.client.get(url).query(pairs);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, url) = (response.status().as_u16(), without_query(response.url()));
        let body = response.bytes().await.unwrap_or_default();
        Err(refusal(url, status, &body))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let hint = match self.named {
            true => "check the URL, and that `proreus serve` runs there",
            false => "start `proreus serve`, or say --server URL for another server or --data-dir DIR to read a journal's files",
        };
        Failure::Unreachable {
            step: format!("cannot reach {}", self.base.as_str().trim_end_matches('/')),
            reason: innermost(error),
            hint: hint.to_owned(),
        }
    }
}

/// Where one object is.
struct Place {
    path: [String; 5],
    pairs: Pairs,
}

fn place_of(change: &Change) -> (&str, &str, &str, &str) {
    (&change.cluster, &change.group, &change.kind, &change.namespace)
}

fn read_authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let hint = "give a PEM file of certificates".to_owned();
    let step = format!("cannot read --ca-file `{}`", path.display());
    let pem = std::fs::read(path).map_err(|source| Failure::File { step: step.clone(), source, hint: hint.clone() })?;
    reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| Failure::File { step, source: std::io::Error::other(error), hint })
}

fn selection_pairs(selection: &Selection) -> Pairs {
    let lists = [
        ("cluster", &selection.clusters),
        ("namespace", &selection.namespaces),
        ("group", &selection.groups),
        ("kind", &selection.kinds),
        ("resource", &selection.resources),
        ("name", &selection.names),
        ("uid", &selection.uids),
        ("manager", &selection.managers),
    ];
    let mut pairs: Pairs = lists.into_iter().flat_map(|(name, list)| list.iter().map(move |value| (name, value.clone()))).collect();
    pairs.extend(selection.verbs.iter().map(|verb| ("verb", verb.as_str().to_owned())));
    pairs.extend(selection.origins.iter().map(|origin| ("origin", origin.as_str().to_owned())));
    pairs
}

/// Range and page. How long ago a time is, is settled by the server's clock, as the moments of a state are.
fn range_pairs(since: Option<&str>, until: Option<&str>, cursor: Option<&str>, limit: u64) -> Pairs {
    let mut pairs: Pairs = vec![("limit", limit.to_string())];
    let words = [("since", since), ("until", until), ("cursor", cursor)];
    pairs.extend(words.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))));
    pairs
}

/// A filter on an object's field never matches a mark.
fn marks_can_match(selection: &Selection) -> bool {
    let of_objects = [&selection.namespaces, &selection.kinds, &selection.names, &selection.uids, &selection.managers];
    of_objects.into_iter().all(Vec::is_empty) && selection.verbs.is_empty() && selection.origins.is_empty()
}

fn mark_pairs(selection: &Selection) -> Pairs {
    let scope = Selection {
        clusters: selection.clusters.clone(),
        groups: selection.groups.clone(),
        resources: selection.resources.clone(),
        ..Selection::default()
    };
    selection_pairs(&scope)
}

/// Two pages of one range as one: up to where both of them tell everything.
fn merge(changes: RecordsPage, marks: RecordsPage) -> RecordsPage {
    let seq = |entry: &Entry| match entry {
        Entry::Change(change) => change.seq,
        Entry::Mark(mark) => mark.seq,
    };
    let more = changes.more || marks.more;
    let end_of = |page: &RecordsPage| if page.more { page.items.last().map(seq) } else { None };
    let horizon = [end_of(&changes), end_of(&marks)].into_iter().flatten().min();
    let end = match (end_of(&changes), end_of(&marks)) {
        (None, Some(_)) => marks.end.clone(),
        (Some(of_changes), Some(of_marks)) if of_marks < of_changes => marks.end.clone(),
        (Some(_), _) => changes.end.clone(),
        (None, None) => earlier(&changes.end, &marks.end),
    };
    let mut items: Vec<Entry> =
        changes.items.into_iter().chain(marks.items).filter(|entry| horizon.is_none_or(|horizon| seq(entry) <= horizon)).collect();
    items.sort_by_key(seq);
    RecordsPage { items, end, more }
}

/// The earlier of two final cursors: what was recorded between the two requests is then told once, by the next one.
fn earlier(one: &str, other: &str) -> String {
    let seq = |text: &str| text.parse::<proreus_model::Cursor>().map(|cursor| cursor.seq).unwrap_or_default();
    if seq(other) < seq(one) { other.to_owned() } else { one.to_owned() }
}

fn not_found(ask: &ObjectAsk) -> Failure {
    let within = ask.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace `{namespace}`"));
    Failure::App(proreus_app::AppError::NotFound {
        what: format!("{} `{}`{within}", ask.kind, ask.name),
        hint: "check kind, namespace and name; it may not be recorded, or not have existed at that time".to_owned(),
    })
}

fn ambiguous(ask: &ObjectAsk, one: &Change, other: &Change) -> Failure {
    let text = |of: &Change| format!("{}/{} in namespace `{}` of cluster {}", of.group, of.kind, of.namespace, of.cluster);
    Failure::App(proreus_app::AppError::BadParameter {
        name: "name",
        found: ask.name.clone(),
        allowed: format!("name the namespace, group or cluster: it fits {} and {}", text(one), text(other)),
    })
}

fn refusal(url: String, status: u16, body: &[u8]) -> Failure {
    match read_json::<Problem>(body) {
        // The words that the same question to files would get.
        Ok(problem) => Failure::Refused { status, problem: problem.detail, hint: problem.hint },
        Err(_) => {
            let hint = match status {
                401 | 403 => "send a token with --token-file or PROREUS_TOKEN",
                404 => "check that the URL leads to proreus",
                _ => "see the server's log",
            };
            let text = String::from_utf8_lossy(body);
            let said: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
            Failure::Refused { status, problem: format!("{url} answered {status}: {said}"), hint: hint.to_owned() }
        }
    }
}

fn without_query(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// The cause at the bottom: "connection refused" says more than "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
