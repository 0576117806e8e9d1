//! A TCP proxy that breaks connections on demand.
//!
//! It knows bytes, not TLS or HTTP: the client's handshake is with the server behind it. It
//! runs on a thread of its own, so a test that blocks its own runtime does not stall it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc as answers};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::ports::Port;
use crate::{Error, Result};

// One TLS record of the largest size, and little beside a connection's own buffers.
const BUFFER_BYTES: usize = 16 * 1024;

/// A proxy on 127.0.0.1 before a server on 127.0.0.1. It forwards until told otherwise and
/// closes everything when dropped. Each order is in force when its method returns.
#[derive(Debug)]
pub struct FaultProxy {
    port: Port,
    orders: Option<mpsc::UnboundedSender<(Order, answers::Sender<io::Result<()>>)>>,
    counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    open: AtomicU64,
    forwarded_bytes: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Forward,
    Stall,
    Cut,
    Refuse,
}

/// What connections look at between two reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    stalled: bool,
    /// Grows with every cut; a connection older than a cut ends.
    cuts: u64,
}

impl FaultProxy {
    /// Starts a proxy before 127.0.0.1:`server_port`.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(server_port: u16) -> Result<Self> {
        let port = Port::claim()?;
        let number = port.number();
        let listener = listen(number).map_err(Error::io("listen on", number.to_string()))?;
        let (orders, queue) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts::default());
        let seen = Arc::clone(&counts);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::io("start a runtime for", "the proxy"))?;
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, server_port));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                match TcpListener::from_std(listener) {
                    Ok(listener) => serve(listener, number, server, queue, seen).await,
                    Err(_) => drop(queue),
                }
            });
        });
        Ok(Self { port, orders: Some(orders), counts, thread: Some(thread) })
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Forwards again; what was held back by a stall goes first.
    ///
    /// # Errors
    /// When the port cannot be listened on again after [`Self::refuse`].
    pub fn forward(&self) -> Result<()> {
        self.order(Order::Forward)
    }

    /// Forwards nothing in either direction and keeps every connection open, as a dead
    /// network does; new connections are accepted and stay silent as well.
    ///
    /// # Errors
    /// When the proxy's thread has ended.
    pub fn stall(&self) -> Result<()> {
        self.order(Order::Stall)
    }

    /// Resets every open connection and goes on with new ones as before.
    ///
    /// # Errors
    /// When the proxy's thread has ended.
    pub fn cut(&self) -> Result<()> {
        self.order(Order::Cut)
    }

    /// Resets every open connection and has the kernel refuse new ones.
    ///
    /// # Errors
    /// When the proxy's thread has ended.
    pub fn refuse(&self) -> Result<()> {
        self.order(Order::Refuse)
    }

    /// How many connections were ever accepted.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// How many bytes were forwarded, both directions together.
    #[must_use]
    pub fn forwarded_bytes(&self) -> u64 {
        self.counts.forwarded_bytes.load(Ordering::Relaxed)
    }

    fn order(&self, order: Order) -> Result<()> {
        let ended = || io::Error::other("the proxy's thread has ended");
        let (answer, done) = answers::channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send((order, answer)).is_ok());
        let result = if sent { done.recv().unwrap_or_else(|_| Err(ended())) } else { Err(ended()) };
        result.map_err(Error::io("order the proxy on port", self.port().to_string()))
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // The thread ends when nobody can order it any more, and its runtime drops every connection.
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(port: u16) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn serve(
    listener: TcpListener,
    port: u16,
    server: SocketAddr,
    mut orders: mpsc::UnboundedReceiver<(Order, answers::Sender<io::Result<()>>)>,
    counts: Arc<Counts>,
) {
    let mut listener = Some(listener);
    let (state, _) = watch::channel(State { stalled: false, cuts: 0 });
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some((order, answer)) = order else { return };
                let result = obey(order, port, &state, &mut listener);
                // Whoever ordered waits for this answer; if it has gone, nobody needs it.
                let _ = answer.send(result);
            }
            Ok(client) = accept(listener.as_ref()) => {
                counts.accepted.fetch_add(1, Ordering::Relaxed);
                // Taken here: a cut that is obeyed before the task first runs is a cut of it.
                let born = state.borrow().cuts;
                let moving = connect(client, server, born, state.subscribe(), Arc::clone(&counts));
                tokio::spawn(moving);
            }
        }
    }
}

/// The next client; never, where nobody listens.
async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(client, _)| client),
        None => std::future::pending().await,
    }
}

fn obey(order: Order, port: u16, state: &watch::Sender<State>, listener: &mut Option<TcpListener>) -> io::Result<()> {
    if order == Order::Refuse {
        *listener = None;
    } else if listener.is_none() && order != Order::Cut {
        *listener = Some(TcpListener::from_std(listen(port)?)?);
    }
    state.send_modify(|state| match order {
        Order::Forward => state.stalled = false,
        Order::Stall => state.stalled = true,
        Order::Cut => state.cuts += 1,
        Order::Refuse => {
            state.stalled = false;
            state.cuts += 1;
        }
    });
    Ok(())
}

async fn connect(mut client: TcpStream, server: SocketAddr, born: u64, mut state: watch::Receiver<State>, counts: Arc<Counts>) {
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        return;
    };
    // Latency is measured through this proxy.
    drop((client.set_nodelay(true), upstream.set_nodelay(true)));
    counts.open.fetch_add(1, Ordering::Relaxed);
    let of_ends = state.clone();
    let is_cut = tokio::select! {
        () = exchange(&mut client, &mut upstream, &of_ends, &counts) => false,
        _ = state.wait_for(|state| state.cuts != born) => true,
    };
    if is_cut {
        // A reset instead of a proper end, which a client could take for the end of a watch.
        drop((client.set_zero_linger(), upstream.set_zero_linger()));
    }
    counts.open.fetch_sub(1, Ordering::Relaxed);
}

/// Copies both directions until both have come to their proper end.
async fn exchange(client: &mut TcpStream, upstream: &mut TcpStream, state: &watch::Receiver<State>, counts: &Counts) {
    // Borrowed halves: an owned one ends its direction properly when dropped, cut or not.
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = upstream.split();
    tokio::join!(pump(from_client, to_server, state.clone(), counts), pump(from_server, to_client, state.clone(), counts),);
}

/// Copies one direction, holding back what it has while the proxy is stalled.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut state: watch::Receiver<State>, counts: &Counts) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        // Reading goes on only while forwarding: a stalled peer must feel its own buffers fill.
        if state.wait_for(|state| !state.stalled).await.is_err() {
            return;
        }
        let read = match from.read(&mut buffer).await {
            Ok(read) if read > 0 => read,
            _ => break,
        };
        if state.wait_for(|state| !state.stalled).await.is_err() {
            return;
        }
        let Some(bytes) = buffer.get(..read) else {
            return;
        };
        if to.write_all(bytes).await.is_err() {
            break;
        }
        counts.forwarded_bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
    // The other direction may still have something to say.
    let _ = to.shutdown().await;
}
