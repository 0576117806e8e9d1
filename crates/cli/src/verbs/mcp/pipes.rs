//! Standard input and output for waiting code: a thread of its own reads, so that a silent input holds nothing up.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncWrite, DuplexStream};

/// Bytes between the threads and whoever waits: two lines of the longest that are taken would not fit, but they come in portions.
const BUFFER_BYTES: usize = 64 * 1024;

/// Standard input. Its thread ends with the process: nothing can wake a read of a terminal.
pub(super) fn input() -> DuplexStream {
    let (ours, mut theirs) = tokio::io::duplex(BUFFER_BYTES);
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        let (mut stdin, mut buffer) = (io::stdin().lock(), vec![0_u8; BUFFER_BYTES]);
        while let Ok(count) = stdin.read(&mut buffer) {
            let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else { return };
            let written = runtime.block_on(tokio::io::AsyncWriteExt::write_all(&mut theirs, read));
            if written.is_err() {
                return;
            }
        }
    });
    ours
}

/// Standard output. Written where it is asked for: a line is small, and whoever reads nothing holds up only its own answers.
pub(super) struct Output;

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(tokio::task::block_in_place(|| io::stdout().write(bytes)))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(tokio::task::block_in_place(|| io::stdout().flush()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
