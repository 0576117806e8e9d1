//! Telling of incidents as a part of the service: what it works with.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proreus_doctor::emission::REPORTER;
use proreus_model::{Clock, Seq};
use proreus_record::{Appender, ClusterSource};
use proreus_store::{ConsumerCursor, Journal};
use tokio::sync::watch;

use super::board::Recording;
use crate::config::EmitSettings;
use crate::emission::{Emission, EmissionInputs, Keep};

/// What the telling needs of a service.
pub(super) struct Told {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) clusters: Vec<ClusterSource>,
    pub(super) settings: EmitSettings,
}

impl Told {
    pub(super) fn start(self, recording: &Arc<Recording>, watermark: watch::Receiver<Seq>) -> Emission {
        let asked = recording.clone();
        Emission::start(EmissionInputs {
            journal: self.journal,
            watermark,
            keep: Arc::new(ByAppend(recording.appender())),
            clock: self.clock,
            clusters: self.clusters,
            aliases: Box::new(move || asked.aliases()),
            settings: self.settings,
            instance: host_name(),
        })
    }
}

/// Keeps positions through the one writer.
struct ByAppend(Appender);

impl Keep for ByAppend {
    fn keep(&self, cursor: ConsumerCursor) -> BoxFuture<'static, Result<(), String>> {
        let appender = self.0.clone();
        async move { appender.append(Vec::new(), vec![cursor]).await.map(drop).map_err(|error| error.to_string()) }.boxed()
    }
}

/// The name of the machine, which in a cluster is the pod's.
fn host_name() -> String {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or(REPORTER).to_owned()
}
