//! The command lines of the bench's programs.
//!
//! Only flags: nothing is started or waited for here. What a test may want otherwise is in
//! [`super::ControlPlaneOptions`].

use std::path::Path;
use std::process::Command;

use super::ControlPlane;
use crate::binaries::{Binaries, Program, bench_sources};
use crate::credentials::Credentials;
use crate::ports::Port;

// The defaults of 20 to 50 requests a second would make the bench wait for its own Pods.
const CLIENT_RATE: [&str; 2] = ["--kube-api-qps=500", "--kube-api-burst=1000"];
// One instance each, whose own health nobody asks for.
const ALONE: [&str; 2] = ["--leader-elect=false", "--secure-port=0"];

impl ControlPlane {
    pub(super) fn apiserver_command(&self) -> Command {
        let Credentials { ca, server_certificate, server_key, tokens, .. } = &self.credentials;
        let mut command = Command::new(self.binaries.path(Program::KubeApiserver));
        command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]);
        command.arg(format!("--secure-port={}", self.apiserver_port.number()));
        command.arg(format!("--etcd-servers={}", self.etcd.url()));
        command.args(["--storage-media-type=application/json", "--etcd-compaction-interval=0"]);
        command.arg(format!("--event-ttl={}s", self.options.event_ttl.as_secs()));
        command.args(["--authorization-mode=RBAC", "--allow-privileged=true"]);
        command.arg("--service-cluster-ip-range=10.0.0.0/16");
        command.arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local");
        // Without it a server that is asked to end waits for its watches, which never end: a minute or more.
        command.arg("--shutdown-watch-termination-grace-period=5s");
        // An address on loopback is refused as the endpoint of the `kubernetes` service.
        command.arg("--endpoint-reconciler-type=none");
        for (flag, path) in [
            ("--cert-dir", &self.dir.path().to_owned()),
            ("--client-ca-file", ca),
            ("--tls-cert-file", server_certificate),
            ("--tls-private-key-file", server_key),
            ("--token-auth-file", tokens),
            ("--service-account-key-file", &self.credentials.service_account_public_key),
            ("--service-account-signing-key-file", &self.credentials.service_account_key),
        ] {
            command.arg(flag).arg(path);
        }
        if !self.options.controller_manager {
            // It waits for service accounts, and nobody is there to make them.
            command.arg("--disable-admission-plugins=ServiceAccount");
        }
        command.args(&self.options.apiserver_flags);
        command
    }

    pub(super) fn controller_manager_command(&self) -> Command {
        let mut command = Command::new(self.binaries.path(Program::KubeControllerManager));
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command.arg("--service-account-private-key-file").arg(&self.credentials.service_account_key);
        command.arg("--root-ca-file").arg(&self.credentials.ca);
        command.arg("--use-service-account-credentials=false");
        command.args(ALONE).args(CLIENT_RATE);
        command
    }

    pub(super) fn kwok_command(&self) -> Command {
        let mut command = Command::new(self.binaries.path(Program::Kwok));
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command.arg("--config").arg(bench_sources().join("kwok/stages.yaml"));
        command.args(["--manage-all-nodes=true", "--cidr=10.244.0.0/16", "--node-ip=10.0.0.1"]);
        command.arg(format!("--node-lease-duration-seconds={}", self.options.node_lease_seconds));
        // Its own idea of a home would be the user's, with the user's configuration in it.
        command.env("HOME", self.dir());
        command
    }

    pub(super) fn scheduler_command(&self) -> Command {
        let mut command = Command::new(self.binaries.path(Program::KubeScheduler));
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(ALONE).args(CLIENT_RATE);
        command
    }
}

/// etcd's, with its data in `data`.
pub(super) fn etcd_command(binaries: &Binaries, data: &Path, [client, peer]: &[Port; 2]) -> Command {
    let url = |port: &Port| format!("http://127.0.0.1:{}", port.number());
    let mut command = Command::new(binaries.path(Program::Etcd));
    command.args(["--name=bench", "--data-dir"]).arg(data);
    command.arg(format!("--listen-client-urls={}", url(client)));
    command.arg(format!("--advertise-client-urls={}", url(client)));
    command.arg(format!("--listen-peer-urls={}", url(peer)));
    command.arg(format!("--initial-advertise-peer-urls={}", url(peer)));
    command.arg(format!("--initial-cluster=bench={}", url(peer)));
    // The bench outlives no power cut, and fsync on a shared disk is most of a write's time.
    command.args(["--unsafe-no-fsync=true", "--quota-backend-bytes=8589934592", "--log-level=warn"]);
    command
}
