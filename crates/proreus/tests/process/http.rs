//! Just enough of HTTP/1.0 to ask a server on loopback: one question a connection, the answer ends with it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::PATIENCE;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

fn ask(address: &str, method: &str, path: &str, body: &str, more: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{more}\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    stream
}

pub(crate) fn send(address: &str, method: &str, path: &str, body: &str) -> Answer {
    let mut bytes = Vec::new();
    ask(address, method, path, body, "").read_to_end(&mut bytes).unwrap();
    let whole = String::from_utf8(bytes).unwrap();
    let (headers, body) = whole.split_once("\r\n\r\n").unwrap();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() }
}

pub(crate) fn get(address: &str, path: &str) -> Answer {
    send(address, "GET", path, "")
}

/// The first `count` events of a stream, each as (id, data).
pub(crate) fn events(address: &str, path: &str, last_event_id: Option<&str>, count: usize) -> Vec<(String, String)> {
    let more = last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
    let mut lines = BufReader::new(ask(address, "GET", path, "", &more)).lines();
    let (mut id, mut data, mut all) = (String::new(), String::new(), Vec::new());
    while all.len() < count {
        let line = lines.next().expect("the stream goes on").unwrap();
        if let Some(text) = line.strip_prefix("id:") {
            id = text.trim().to_owned();
        } else if let Some(text) = line.strip_prefix("data:") {
            data = text.trim().to_owned();
        } else if line.is_empty() && !data.is_empty() {
            all.push((std::mem::take(&mut id), std::mem::take(&mut data)));
        }
    }
    all
}
