//! Server-sent events, as far as the streams of changes and of monitors need them: `event`, `data`, comments as heartbeats.

use std::collections::VecDeque;

use proreus_api::{Change, Mark, MonitorUpdate, Problem, read_json};
use reqwest::Response;

use super::Entry;
use crate::failure::Failure;

/// Longest event taken: an object of 3 MB with room for its fields. More without an end is no stream of ours.
const MAX_EVENT_BYTES: usize = 64 * 1024 * 1024;

/// A stream of records, or of updates.
pub(crate) struct EventStream {
    response: Response,
    parser: Parser,
    waiting: VecDeque<Event>,
}

/// Cuts bytes into events.
#[derive(Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    event: String,
    data: Vec<u8>,
}

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    name: String,
    /// What it holds.
    pub(crate) data: Vec<u8>,
}

impl EventStream {
    /// Over a response that began.
    pub(super) fn new(response: Response) -> Self {
        Self { response, parser: Parser::default(), waiting: VecDeque::new() }
    }

    /// The next records, at least one; `None` when the server ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Entry>>, Failure> {
        loop {
            let Some(events) = self.events().await? else { return Ok(None) };
            let mut entries = Vec::new();
            for event in events {
                entries.extend(entry(&event)?);
            }
            if !entries.is_empty() {
                return Ok(Some(entries));
            }
        }
    }

    /// The next update of a monitor; `None` when the server ended the stream. Dropping the future loses nothing.
    pub(crate) async fn update(&mut self) -> Result<Option<MonitorUpdate>, Failure> {
        loop {
            while let Some(event) = self.waiting.pop_front() {
                match event.name.as_str() {
                    "update" | "notice" => return read_json(&event.data).map(Some).map_err(|error| broken(&error.to_string())),
                    "problem" => return Err(problem(&event)),
                    _ => {}
                }
            }
            let Some(events) = self.events().await? else { return Ok(None) };
            self.waiting.extend(events);
        }
    }

    async fn events(&mut self) -> Result<Option<Vec<Event>>, Failure> {
        let chunk = self.response.chunk().await.map_err(|error| broken(&error.to_string()))?;
        let Some(chunk) = chunk else { return Ok(None) };
        let events = self.parser.feed(&chunk);
        if self.parser.pending() > MAX_EVENT_BYTES {
            return Err(broken("an event has no end"));
        }
        Ok(Some(events))
    }
}

impl Parser {
    /// Bytes of an event that is not complete.
    pub(crate) fn pending(&self) -> usize {
        self.data.len() + self.line.len()
    }

    /// The events that these bytes complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let mut line = std::mem::take(&mut self.line);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            events.extend(self.take(&line));
        }
        events
    }

    fn take(&mut self, line: &[u8]) -> Option<Event> {
        if line.is_empty() {
            let event = Event { name: std::mem::take(&mut self.event), data: std::mem::take(&mut self.data) };
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default()),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            _ => {}
        }
        None
    }
}

/// What an event holds; events of names that we do not know are left out, so that a newer server may send more.
fn entry(event: &Event) -> Result<Option<Entry>, Failure> {
    let entry = match event.name.as_str() {
        "change" | "" | "message" => read_json::<Change>(&event.data).map(|change| Some(Entry::Change(Box::new(change)))),
        "mark" => read_json::<Mark>(&event.data).map(|mark| Some(Entry::Mark(mark))),
        "problem" => return Err(problem(event)),
        _ => Ok(None),
    };
    entry.map_err(|error| broken(&error.to_string()))
}

fn problem(event: &Event) -> Failure {
    let problem: Result<Problem, _> = read_json(&event.data);
    broken(&problem.map_or_else(|_| String::from_utf8_lossy(&event.data).into_owned(), |problem| problem.detail))
}

fn broken(reason: &str) -> Failure {
    Failure::Unreachable {
        step: "the stream broke".to_owned(),
        reason: reason.to_owned(),
        hint: "start again with --since the last time that was shown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&str], expected: &[(&str, &str)]) {
        let mut parser = Parser::default();
        let events: Vec<Event> = chunks.iter().flat_map(|chunk| parser.feed(chunk.as_bytes())).collect();
        let expected: Vec<Event> =
            expected.iter().map(|(name, data)| Event { name: (*name).into(), data: data.as_bytes().into() }).collect();
        assert_eq!(events, expected);
    }

    #[test]
    fn reads_events_wherever_the_bytes_are_cut() {
        let text = ": beat\n\nid: 7\nevent: change\ndata: {\"a\":\ndata: 1}\n\nevent:mark\r\ndata:x\r\n\r\n";
        let expected = [("change", "{\"a\":\n1}"), ("mark", "x")];
        check(&[text], &expected);
        for at in 0..text.len() {
            check(&[&text[..at], &text[at..]], &expected);
        }
    }

    #[test]
    fn a_heartbeat_is_no_event() {
        check(&[": beat\n\n: beat\n\n", "retry: 1000\n\n"], &[]);
    }
}
