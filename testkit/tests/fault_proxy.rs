//! The proxy before a plain TCP server: what a client of a broken network feels.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use proreus_testkit::FaultProxy;

// Long beside loopback, so that an answer that does not come in it is not coming.
const SILENCE: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(10);

/// A server that sends back what it gets, for as long as this process lives.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut reader = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut reader, &mut stream);
            });
        }
    });
    port
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn say(stream: &mut TcpStream, word: &[u8; 4]) -> std::io::Result<[u8; 4]> {
    stream.write_all(word)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn is_silent(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    let outcome = stream.read(&mut [0; 4]);
    stream.set_read_timeout(Some(SOON)).unwrap();
    outcome.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn holds_back_what_was_said_in_a_stall_and_delivers_it_afterwards() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    assert_eq!(say(&mut stream, b"one.").unwrap(), *b"one.");
    proxy.stall().unwrap();
    let mut late = connect(&proxy);
    stream.write_all(b"two.").unwrap();
    late.write_all(b"new.").unwrap();
    assert!(is_silent(&mut stream) && is_silent(&mut late));
    assert_eq!(proxy.open(), 2);

    proxy.forward().unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"two.");
    late.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"new.");
}

#[test]
fn resets_open_connections_on_a_cut_and_serves_new_ones() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    say(&mut stream, b"one.").unwrap();
    proxy.cut().unwrap();
    let error = stream.read(&mut [0; 4]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(say(&mut connect(&proxy), b"two.").unwrap(), *b"two.");
}

#[test]
fn cuts_stalled_connections_as_well() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    say(&mut stream, b"one.").unwrap();
    proxy.stall().unwrap();
    proxy.cut().unwrap();
    assert_eq!(stream.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn refuses_connections_until_told_to_forward_on_the_same_port() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    say(&mut stream, b"one.").unwrap();
    proxy.refuse().unwrap();
    assert_eq!(stream.read(&mut [0; 4]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    proxy.forward().unwrap();
    assert_eq!(say(&mut connect(&proxy), b"two.").unwrap(), *b"two.");
    assert_eq!(proxy.accepted(), 2);
}

#[test]
fn closes_everything_when_it_is_dropped() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut stream = connect(&proxy);
    say(&mut stream, b"one.").unwrap();
    let port = proxy.port();
    drop(proxy);
    let outcome = stream.read(&mut [0; 4]).map_err(|error| error.kind());
    assert!(matches!(outcome, Ok(0) | Err(ErrorKind::ConnectionReset)), "{outcome:?}");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}
