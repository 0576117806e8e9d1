//! One thread for work that comes in steps and may block.
//!
//! What a step allocates lives long and is freed by a later step, and codecs keep their tables for each thread. On changing threads an
//! allocator and a codec keep a piece of every thread's past; on one they use their own again.

use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// The thread; it ends with this.
pub struct Worker(mpsc::Sender<Job>);

impl Worker {
    /// Starts a thread of that name.
    ///
    /// # Errors
    /// The system gives none.
    pub fn start(name: &str) -> Result<Self, String> {
        let (jobs, to_do) = mpsc::channel::<Job>();
        let begun = thread::Builder::new().name(name.to_owned()).spawn(move || to_do.into_iter().for_each(|job| job()));
        begun.map(|_| Self(jobs)).map_err(|error| format!("no thread `{name}`: {error}"))
    }

    /// Does something on it.
    ///
    /// # Errors
    /// The thread ended, which it does by a panic; then another is to be started.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let (done, told) = oneshot::channel();
        let ended = "a step ended unexpectedly";
        self.0.send(Box::new(move || drop(done.send(job())))).map_err(|_| ended)?;
        told.await.map_err(|_| ended.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn steps_share_a_thread_and_a_panic_is_an_error() {
        let worker = Worker::start("steps").expect("a thread");
        let first = worker.run(|| thread::current().id()).await.expect("done");
        assert_eq!(worker.run(|| thread::current().id()).await, Ok(first));
        assert!(worker.run(|| assert_eq!(1, 2)).await.is_err());
        assert!(worker.run(|| 1).await.is_err());
    }
}
