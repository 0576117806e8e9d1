//! The stream: nothing lost, nothing twice.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures::StreamExt;
use http::Request;
use proreus_model::{MarkKind, Verb};
use tower::ServiceExt;

use crate::shop::{Shop, pod};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open stream, read event by event.
struct Reading {
    body: BodyDataStream,
    text: String,
}

#[derive(Debug, Default, PartialEq)]
struct Event {
    id: String,
    name: String,
    data: String,
}

impl Event {
    fn seq(&self) -> u64 {
        serde_json::from_str::<serde_json::Value>(&self.data).unwrap()["seq"].as_u64().unwrap()
    }
}

impl Reading {
    async fn open(shop: &Shop, query: &str, last_event_id: Option<&str>) -> Self {
        let mut request = Request::get(format!("/api/v1/changes/stream?{query}"));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = shop.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event; `None` when the stream ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let mut found = Event::default();
                for line in event.lines() {
                    match line.split_once(": ") {
                        Some(("id", id)) => found.id = id.to_owned(),
                        Some(("event", name)) => found.name = name.to_owned(),
                        Some(("data", data)) => found.data = data.to_owned(),
                        _ => {}
                    }
                }
                self.text = rest.to_owned();
                return Some(found);
            }
            let bytes = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("nothing came")?.unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// So many events with data.
    async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut found = Vec::new();
        while found.len() < count {
            let event = self.next().await.expect("the stream ended");
            if !event.data.is_empty() {
                found.push(event);
            }
        }
        found
    }

    async fn seqs(&mut self, count: usize) -> Vec<u64> {
        self.take(count).await.iter().map(Event::seq).collect()
    }
}

#[tokio::test]
async fn a_stream_begins_now_and_tells_its_place_at_once() {
    let shop = Shop::open();
    let mut reading = Reading::open(&shop, "", None).await;
    let greeting = reading.next().await.unwrap();
    assert_eq!((greeting.id.ends_with("-b"), greeting.data.as_str()), (true, ""), "{greeting:?}");
    shop.record(pod(Verb::Delete, "shop", "web-1", "p2"));
    let event = &reading.take(1).await[0];
    assert_eq!((event.seq(), event.name.as_str()), (12, "change"));
}

#[tokio::test]
async fn resuming_loses_nothing_and_repeats_nothing() {
    let shop = Shop::open();
    let (mut seen, mut last) = (Vec::new(), None::<String>);
    for round in 0..20_u64 {
        let query = if last.is_none() { "since=2026-11-20" } else { "" };
        let mut reading = Reading::open(&shop, query, last.as_deref()).await;
        for event in reading.take(usize::try_from(round % 4).unwrap()).await {
            last = Some(event.id.clone());
            seen.push(event.seq());
        }
        drop(reading);
        shop.record(pod(Verb::Update, "shop", "web-1", "p2"));
        shop.record(pod(Verb::Update, "bank", "web-1", "p9"));
        last.get_or_insert_with(|| shop.app.questions.cursor_at(proreus_model::Seq(0)).to_string());
    }
    assert_eq!(seen, (2..=31).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_page_goes_over_into_a_stream() {
    let shop = Shop::open();
    let end = shop.json("/api/v1/changes").await["endCursor"].as_str().unwrap().to_owned();
    shop.record(pod(Verb::Update, "shop", "web-1", "p2"));
    let mut reading = Reading::open(&shop, &format!("cursor={end}"), None).await;
    shop.record(pod(Verb::Update, "shop", "web-1", "p2"));
    assert_eq!(reading.seqs(2).await, [12, 13]);
}

#[tokio::test]
async fn a_stream_is_narrowed_and_shows_objects_as_a_list_does() {
    let shop = Shop::open();
    let mut reading = Reading::open(&shop, "since=2026-11-20&kind=deploy&full=true", None).await;
    let events = reading.take(2).await;
    assert!(events[1].data.contains(r#""image":"web:2""#) && events[1].data.contains(r#""changed":[{"#));
    assert_eq!(events.iter().map(Event::seq).collect::<Vec<_>>(), [2, 3]);
}

#[tokio::test]
async fn marks_come_in_between_when_asked_for() {
    let shop = Shop::open();
    let mut reading = Reading::open(&shop, "since=2026-11-20&marks=true&verb=delete", None).await;
    // A filter on what happened to an object matches no mark.
    assert_eq!(reading.seqs(1).await, [6]);
    let mut reading = Reading::open(&shop, "since=2026-11-20&marks=true&resource=pods", None).await;
    let events = reading.take(2).await;
    assert_eq!((events[0].name.as_str(), events[0].seq()), ("mark", 1));
    assert_eq!((events[1].name.as_str(), events[1].seq()), ("change", 4));
    shop.mark(MarkKind::Stale, "pods");
    assert_eq!(reading.seqs(4).await, [6, 7, 10, 12]);
}

#[tokio::test]
async fn a_place_that_is_gone_is_told_before_the_stream_begins() {
    let shop = Shop::open();
    for (query, id, status, parameter) in [
        ("cursor=abababababababababababababababab-1", None, 410, None),
        ("", Some("abababababababababababababababab-1"), 410, None),
        ("cursor=7", None, 400, Some("cursor")),
        ("", Some("7"), 400, Some("Last-Event-ID")),
        ("until=2026-11-21", None, 400, Some("until")),
    ] {
        let mut request = Request::get(format!("/api/v1/changes/stream?{query}"));
        if let Some(id) = id {
            request = request.header("last-event-id", id);
        }
        let answer = shop.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.json()["parameter"].as_str()), (status, parameter), "{query} {id:?}");
    }
}

#[tokio::test]
async fn streams_are_bounded_and_a_closed_one_makes_room() {
    let shop = Shop::open();
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(Reading::open(&shop, "", None).await);
    }
    let answer = shop.get("/api/v1/changes/stream").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
    open.pop();
    Reading::open(&shop, "", None).await;
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_says_that_it_lives_and_moves_its_place() {
    let shop = Shop::open();
    let mut reading = Reading::open(&shop, "kind=deploy", None).await;
    reading.next().await.unwrap();
    shop.record(pod(Verb::Update, "shop", "web-1", "p2"));
    let heartbeat = reading.next().await.unwrap();
    assert_eq!(heartbeat.data, "");
    assert!(heartbeat.id.ends_with("-c"), "what did not match needs no second look: {heartbeat:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_withdrawn_ends_its_streams() {
    let (shop, tokens) = Shop::guarded();
    let request = Request::get("/api/v1/changes/stream").header("authorization", format!("Bearer {}", crate::shop::TOKEN));
    let response = shop.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let mut reading = Reading { body: response.into_body().into_data_stream(), text: String::new() };
    reading.next().await.unwrap();
    std::fs::write(tokens.path(), "bob:another-token-of-length\n").unwrap();
    let mut last = Event::default();
    while let Some(event) = reading.next().await {
        last = event;
    }
    assert_eq!(last.name, "problem");
    assert!(last.data.contains(r#""status":401"#), "{last:?}");
}

#[tokio::test]
async fn the_end_of_the_server_ends_its_streams() {
    let shop = Shop::open();
    let mut reading = Reading::open(&shop, "", None).await;
    reading.next().await.unwrap();
    shop.shutdown.cancel();
    assert_eq!(reading.next().await, None);
}
