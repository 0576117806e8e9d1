//! A cluster in which nothing happens but what a test does: a playground without controllers, in this process.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use jiff::Timestamp;
use proreus_model::Clock;
use proreus_playground::{Playground, PlaygroundOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::http;

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Ends when it is dropped.
pub(crate) struct Cluster {
    hand: Hand,
    home: TempDir,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (tell, told) = mpsc::channel();
        let (end, ending) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let options = PlaygroundOptions { controllers: false, ..PlaygroundOptions::new(Arc::new(Now), 7) };
                let playground = Playground::start(options).await.unwrap();
                tell.send((playground.url(), playground.kubeconfig())).unwrap();
                // Told to end, or nobody is there any more.
                let _ = ending.await;
                playground.shutdown().await;
            });
        });
        let (url, kubeconfig) = told.recv().unwrap();
        let address = url.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        let cluster = Self { hand: Hand { address }, home, end: Some(end), thread: Some(thread) };
        std::fs::write(cluster.kubeconfig(), kubeconfig).unwrap();
        cluster
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// Who may write to it, for another thread.
    pub(crate) fn hand(&self) -> Hand {
        self.hand.clone()
    }
}

impl std::ops::Deref for Cluster {
    type Target = Hand;

    fn deref(&self) -> &Hand {
        &self.hand
    }
}

/// Writes to a cluster.
#[derive(Clone)]
pub(crate) struct Hand {
    pub(crate) address: String,
}

impl Hand {
    /// Makes a ConfigMap, or gives it another value.
    pub(crate) fn config_map(&self, name: &str, value: &str) {
        let body =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"value": value}});
        self.apply("/api/v1/namespaces/default/configmaps", name, &body);
    }

    /// Makes an object, or replaces it.
    #[track_caller]
    pub(crate) fn apply(&self, collection: &str, name: &str, body: &Value) {
        let made = http::send(&self.address, "POST", collection, &body.to_string());
        if made.status == 201 {
            return;
        }
        let replaced = http::send(&self.address, "PUT", &format!("{collection}/{name}"), &body.to_string());
        assert_eq!(replaced.status, 200, "{}", replaced.body);
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) {
        let gone = http::send(&self.address, "DELETE", path, "");
        assert_eq!(gone.status, 200, "{}", gone.body);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
