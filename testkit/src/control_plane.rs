//! A real control plane: etcd, kube-apiserver and whoever else is asked for.
//!
//! Everything listens on 127.0.0.1, lives in one temporary directory and ends with the
//! [`ControlPlane`]. kube-apiserver stores JSON, so that what etcd holds can be read, and never
//! compacts by itself, so that history goes only when a test wants it to.

mod commands;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use http::Request;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use tempfile::TempDir;

use crate::binaries::{Binaries, Program};
use crate::child::Child;
use crate::credentials::{Credentials, User};
use crate::etcd::Etcd;
use crate::ports::Port;
use crate::{Error, Result};

// A cold API server on two busy cores was seen to take 15 s, and more than a minute where some thirty programs wanted the same two cores:
// a large run must not end for that. Three minutes are a hang.
const READY_WITHIN: Duration = Duration::from_secs(180);
// Short beside any start, long beside one request on loopback.
const ASK_EVERY: Duration = Duration::from_millis(100);
// An API server ends its watches within five seconds (it is told so) and then itself; one that does not
// must not hold a test up.
const STOP_WITHIN: Duration = Duration::from_secs(15);
// `kubectl wait` and `rollout status` are the slow ones, and a test gives those a --timeout.
const KUBECTL_WITHIN: Duration = Duration::from_secs(120);

/// What runs beside etcd and kube-apiserver, and how.
#[derive(Debug, Clone)]
pub struct ControlPlaneOptions {
    /// Run kube-controller-manager. Without it Deployments make no Pods, nothing is garbage
    /// collected, and Pods need no service account.
    pub controller_manager: bool,
    /// Run kube-scheduler. Without it only Pods with a `nodeName` get to a node.
    pub scheduler: bool,
    /// Run KWOK, which makes Nodes ready and their Pods run.
    pub kwok: bool,
    /// Seconds between a KWOK node's losing its lease and the control plane's noticing; the node
    /// renews it four times as often. 0: no leases.
    pub node_lease_seconds: u32,
    /// Users besides `admin`. They may do nothing until RBAC objects say so.
    pub users: Vec<User>,
    /// After how long the API server lets Events expire.
    pub event_ttl: Duration,
    /// More flags for kube-apiserver; a repeated flag beats the bench's own.
    pub apiserver_flags: Vec<String>,
}

impl Default for ControlPlaneOptions {
    /// etcd and kube-apiserver alone, with the defaults of Kubernetes itself.
    fn default() -> Self {
        Self {
            controller_manager: false,
            scheduler: false,
            kwok: false,
            node_lease_seconds: 40,
            users: Vec::new(),
            event_ttl: Duration::from_secs(3600),
            apiserver_flags: Vec::new(),
        }
    }
}

impl ControlPlaneOptions {
    /// All programs.
    #[must_use]
    pub fn full() -> Self {
        Self { controller_manager: true, scheduler: true, kwok: true, ..Self::default() }
    }
}

/// A running control plane. Dropping it kills its processes and removes its directory
/// (unless `PROREUS_KEEP_BENCH` is set); in a panicking test the logs' ends are printed first.
#[derive(Debug)]
pub struct ControlPlane {
    // Fields drop in this order: whoever talks to a server goes before that server.
    kwok: Option<Child>,
    scheduler: Option<Child>,
    controller_manager: Option<Child>,
    apiserver: Option<Child>,
    etcd_process: Child,
    etcd: Etcd,
    options: ControlPlaneOptions,
    users: Vec<User>,
    credentials: Credentials,
    kubeconfig: PathBuf,
    binaries: Binaries,
    apiserver_port: Port,
    _etcd_ports: [Port; 2],
    dir: TempDir,
}

impl ControlPlane {
    /// Starts everything that `options` ask for and returns when all of it serves.
    ///
    /// # Errors
    /// When the programs are not built, or one of them ends or is not ready within three minutes.
    pub async fn start(options: ControlPlaneOptions) -> Result<Self> {
        let binaries = Binaries::locate()?;
        let parent = std::env::temp_dir();
        let mut dir =
            tempfile::Builder::new().prefix("proreus-bench-").tempdir_in(&parent).map_err(Error::io("create a directory in", &parent))?;
        dir.disable_cleanup(std::env::var_os("PROREUS_KEEP_BENCH").is_some());
        let mut users = vec![User::admin()];
        users.extend(options.users.iter().cloned());
        let credentials = Credentials::create(dir.path(), &users)?;
        let etcd_ports = [Port::claim()?, Port::claim()?];
        let apiserver_port = Port::claim()?;
        let kubeconfig = credentials.kubeconfig(&User::admin(), apiserver_port.number())?;
        let etcd = Etcd::new(format!("http://127.0.0.1:{}", etcd_ports[0].number()))?;
        let command = commands::etcd_command(&binaries, &dir.path().join("etcd"), &etcd_ports);
        let log = dir.path().join("etcd.log");
        let etcd_process = Child::start(Program::Etcd.name(), command, &log)?;
        let mut plane = Self {
            kwok: None,
            scheduler: None,
            controller_manager: None,
            apiserver: None,
            etcd_process,
            etcd,
            options,
            users,
            credentials,
            kubeconfig,
            binaries,
            apiserver_port,
            _etcd_ports: etcd_ports,
            dir,
        };
        plane.wait_for_etcd().await?;
        plane.start_apiserver().await?;
        plane.start_controllers().await?;
        Ok(plane)
    }

    /// The path of the administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubeconfig of `admin` or of one of [`ControlPlaneOptions::users`] that leads to
    /// 127.0.0.1:`port`: the API server's own or that of a [`crate::FaultProxy`] before it.
    ///
    /// # Errors
    /// When there is no such user, or the file cannot be written.
    pub fn kubeconfig_for(&self, user: &str, port: u16) -> Result<PathBuf> {
        let known = self.users.iter().find(|known| known.name == user);
        self.credentials.kubeconfig(known.ok_or_else(|| Error::UserUnknown(user.to_owned()))?, port)
    }

    /// The port on 127.0.0.1 that kube-apiserver serves HTTPS on, the same after a restart.
    #[must_use]
    pub fn apiserver_port(&self) -> u16 {
        self.apiserver_port.number()
    }

    /// The URL of etcd's client endpoint.
    #[must_use]
    pub fn etcd_url(&self) -> &str {
        self.etcd.url()
    }

    /// The directory with the logs, the kubeconfigs and etcd's data.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process ids of everything that runs now.
    #[must_use]
    pub fn process_ids(&self) -> Vec<u32> {
        std::iter::once(&self.etcd_process).chain(self.optional_children()).map(Child::id).collect()
    }

    /// A client with the administrator's rights, for the calling runtime.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn client(&self) -> Result<Client> {
        client_from(&self.kubeconfig).await
    }

    /// Runs `kubectl` as the administrator and returns what it wrote to standard output.
    ///
    /// # Errors
    /// When it ends with an error or not within two minutes.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let program = self.binaries.path(Program::Kubectl);
        let mut command = tokio::process::Command::new(&program);
        command.args(args).env("KUBECONFIG", &self.kubeconfig).env("HOME", self.dir()).kill_on_drop(true);
        let ended = tokio::time::timeout(KUBECTL_WITHIN, command.output()).await.map_err(|_| Error::Deadline {
            what: format!("kubectl {}", args.join(" ")),
            seconds: KUBECTL_WITHIN.as_secs(),
            last: "still running".to_owned(),
        })?;
        let output = ended.map_err(Error::io("start", program))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::Kubectl {
            args: args.join(" "),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }

    /// Starts kube-apiserver, unless it runs, and returns when it is ready.
    ///
    /// # Errors
    /// When it ends or is not ready within three minutes.
    pub async fn start_apiserver(&mut self) -> Result<()> {
        if self.apiserver.as_mut().is_some_and(|child| child.ended().is_none()) {
            return Ok(());
        }
        let command = self.apiserver_command();
        let log = self.log(Program::KubeApiserver);
        self.apiserver = Some(Child::start(Program::KubeApiserver.name(), command, &log)?);
        self.wait_for_path("/readyz", "kube-apiserver's readiness").await
    }

    /// Kills KWOK: every node falls silent at once, as in an outage.
    pub fn kill_kwok(&mut self) {
        self.kwok = None;
    }

    /// Kills kube-apiserver as `kill -9` does: connections break, nothing is said.
    pub fn kill_apiserver(&mut self) {
        self.apiserver = None;
    }

    /// Asks kube-apiserver to end, as a rolling upgrade does: watches are closed properly.
    /// One that does not obey within 15 s is killed; `false` tells so.
    pub async fn stop_apiserver(&mut self) -> bool {
        match self.apiserver.take() {
            Some(mut child) => child.terminate(STOP_WITHIN).await,
            None => true,
        }
    }

    /// Stops kube-apiserver properly and starts it on the same port and data.
    ///
    /// # Errors
    /// When it does not come up again.
    pub async fn restart_apiserver(&mut self) -> Result<()> {
        self.stop_apiserver().await;
        self.start_apiserver().await
    }

    /// Has etcd forget every revision before the current one, which it returns.
    ///
    /// kube-apiserver goes on answering older watches out of its watch cache as long as it runs;
    /// to meet 410 Gone for certain, restart it as well.
    ///
    /// # Errors
    /// When etcd cannot be reached.
    pub async fn compact_etcd(&self) -> Result<u64> {
        let revision = self.etcd.revision().await?;
        self.etcd.compact(revision).await?;
        Ok(revision)
    }

    /// etcd's current revision, which is the newest `resourceVersion` there is.
    ///
    /// # Errors
    /// When etcd cannot be reached.
    pub async fn revision(&self) -> Result<u64> {
        self.etcd.revision().await
    }

    /// The last lines of each program's log, for a failure's message.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let mut text = String::new();
        for child in std::iter::once(&self.etcd_process).chain(self.optional_children()) {
            text.push_str(&format!("--- {}\n{}\n", child.program(), child.log_tail()));
        }
        text
    }

    fn optional_children(&self) -> impl Iterator<Item = &Child> {
        [&self.apiserver, &self.controller_manager, &self.scheduler, &self.kwok].into_iter().flatten()
    }

    fn log(&self, program: Program) -> PathBuf {
        self.dir.path().join(format!("{}.log", program.name()))
    }

    async fn start_controllers(&mut self) -> Result<()> {
        if self.options.controller_manager {
            let command = self.controller_manager_command();
            self.controller_manager = Some(self.start_child(Program::KubeControllerManager, command)?);
        }
        if self.options.scheduler {
            let command = self.scheduler_command();
            self.scheduler = Some(self.start_child(Program::KubeScheduler, command)?);
        }
        if self.options.kwok {
            let command = self.kwok_command();
            self.kwok = Some(self.start_child(Program::Kwok, command)?);
        }
        if self.options.controller_manager {
            // Pods are refused in a namespace until its default service account is there.
            let path = "/api/v1/namespaces/default/serviceaccounts/default";
            self.wait_for_path(path, "kube-controller-manager's first service account").await?;
        }
        Ok(())
    }

    fn start_child(&self, program: Program, command: Command) -> Result<Child> {
        Child::start(program.name(), command, &self.log(program))
    }

    async fn wait_for_etcd(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while let Err(error) = self.etcd.is_healthy().await {
            self.etcd_process.check()?;
            pause_until(deadline, "etcd's readiness", &Error::chain(&error)).await?;
        }
        Ok(())
    }

    async fn wait_for_path(&mut self, path: &str, what: &str) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        let client = self.client().await?;
        while let Err(error) = get(&client, path).await {
            for child in [&mut self.apiserver, &mut self.controller_manager, &mut self.scheduler, &mut self.kwok] {
                child.as_mut().map_or(Ok(()), Child::check)?;
            }
            pause_until(deadline, what, &Error::chain(&error)).await?;
        }
        Ok(())
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if std::thread::panicking() {
            use std::io::Write as _;
            // A test's last words; if standard error is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "the bench in {} said:\n{}", self.dir().display(), self.log_tails());
        }
    }
}

/// A client for a kubeconfig file; `KUBECONFIG` and the cluster it runs in play no part.
pub(crate) async fn client_from(kubeconfig: &Path) -> Result<Client> {
    let failed = |source| Error::Kubeconfig(Box::new(source));
    let kubeconfig = Kubeconfig::read_from(kubeconfig).map_err(failed)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(failed)?;
    let api = |source| Error::Api { path: "/".to_owned(), source: Box::new(source) };
    Client::try_from(config).map_err(api)
}

async fn get(client: &Client, path: &str) -> Result<String> {
    let failed = |source| Error::Api { path: path.to_owned(), source: Box::new(source) };
    let request = Request::get(path).body(Vec::new()).map_err(|error| failed(kube::Error::HttpError(error)))?;
    client.request_text(request).await.map_err(failed)
}

/// Waits a moment, or fails when `deadline` has passed.
async fn pause_until(deadline: Instant, what: &str, last: &str) -> Result<()> {
    if Instant::now() >= deadline {
        let (what, last) = (what.to_owned(), last.to_owned());
        return Err(Error::Deadline { what, seconds: READY_WITHIN.as_secs(), last });
    }
    tokio::time::sleep(ASK_EVERY).await;
    Ok(())
}
