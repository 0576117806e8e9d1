//! Debian's Alertmanager, started by the test on a free port and ended by it.

use std::process::Command;
use std::time::Duration;

use jiff::SignedDuration;
use proreus_app::config::{EndpointSettings, Receiver};
use proreus_doctor::emission::EndpointRules;
use proreus_testkit::{Child, Port};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{WITHIN, target};

const PROGRAM: &str = "prometheus-alertmanager";

/// A running Alertmanager.
pub(crate) struct Alertmanager {
    port: Port,
    _child: Child,
    _directory: tempfile::TempDir,
}

impl Alertmanager {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("alertmanager.yml");
        std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
        let port = Port::claim().unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", directory.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{}", port.number()));
        // Alone: no other one is looked for.
        command.arg("--cluster.listen-address=");
        let child = Child::start(PROGRAM, command, &directory.path().join("log"));
        let child = child.unwrap_or_else(|error| panic!("{error}\nhint: install Debian's `{PROGRAM}`, or run tests/prepare"));
        let manager = Self { port, _child: child, _directory: directory };
        let deadline = tokio::time::Instant::now() + WITHIN;
        while manager.get("/-/ready").await.is_none() {
            assert!(tokio::time::Instant::now() < deadline, "Alertmanager is not ready within {} s", WITHIN.as_secs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        manager
    }

    pub(crate) fn endpoint(&self) -> EndpointSettings {
        let url = format!("http://127.0.0.1:{}/api/v2/alerts", self.port.number());
        EndpointSettings {
            name: "alertmanager".to_owned(),
            receiver: Receiver::Alertmanager(target(&url, Duration::from_secs(20))),
            rules: EndpointRules { repeat: Some(SignedDuration::from_secs(60)), keeps_alive: true, batch: 64, ..EndpointRules::default() },
        }
    }

    /// What it shows.
    pub(crate) async fn alerts(&self) -> Vec<Value> {
        let body = self.get("/api/v2/alerts").await.unwrap_or_default();
        serde_json::from_str(&body).unwrap_or_default()
    }

    /// The body of a good answer.
    async fn get(&self, path: &str) -> Option<String> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port.number())).await.ok()?;
        // HTTP 1.0, so that the body comes in one piece and the end of the stream is its end.
        let request = format!("GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.0 200").then(|| body.to_owned())
    }
}
