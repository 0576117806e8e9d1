//! Follows the configuration file and puts in force what can be changed without a restart: what is recorded, noise, retention,
//! who is told of incidents.
//!
//! A file that will not do changes nothing and is told once.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use proreus_record::RecorderSettings;
use proreus_store::RetentionPolicy;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::board::Recording;
use super::housekeeping::policy_of;
use super::selection::recorder_settings;
use crate::application::Application;
use crate::config::{ConfigError, EmitSettings, Overrides, Settings, parse_file, resolve};
use crate::watching::{WatchSettings, Watching};

/// Between two looks at the file: a mounted ConfigMap changes within a minute anyway.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where the configuration came from.
#[derive(Clone, Debug)]
pub struct ConfigSource {
    /// The file.
    pub path: PathBuf,
    /// What the environment said at the start.
    pub env: Overrides,
    /// What the flags said.
    pub flags: Overrides,
}

impl ConfigSource {
    /// Reads the file again under the same environment and flags.
    fn read(&self) -> Result<Settings, ConfigError> {
        let name = self.path.display().to_string();
        let text = std::fs::read_to_string(&self.path).map_err(|error| ConfigError {
            origin: name.clone(),
            key: "(file)".to_owned(),
            problem: format!("cannot be read: {error}"),
            hint: "put the file back; the former configuration stays in force".to_owned(),
        })?;
        resolve(Some((&name, parse_file(&name, &text)?)), &self.env, &self.flags)
    }
}

/// What following touches.
pub(super) struct Following {
    pub(super) application: Arc<Application>,
    pub(super) recording: Arc<Recording>,
    pub(super) watching: Arc<Watching>,
    pub(super) source: Option<ConfigSource>,
    pub(super) defaults: RecorderSettings,
    pub(super) retention: Arc<ArcSwap<RetentionPolicy>>,
    pub(super) emission: watch::Sender<EmitSettings>,
    pub(super) ending: CancellationToken,
}

/// Looks at the file and at the clusters' identities until told to end.
pub(super) async fn follow(following: Following) {
    let mut known: Option<Result<Settings, ConfigError>> = None;
    while !following.ending.is_cancelled() {
        following.application.questions.set_aliases(following.recording.aliases());
        if let Some(source) = &following.source {
            let read = source.read();
            if known.as_ref() != Some(&read) {
                if known.is_some() {
                    put_in_force(&following, &read).await;
                }
                known = Some(read);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = following.ending.cancelled() => {}
        }
    }
}

async fn put_in_force(following: &Following, read: &Result<Settings, ConfigError>) {
    let wanted =
        read.as_ref().map_err(Clone::clone).and_then(|settings| Ok((settings, recorder_settings(&settings.record, &following.defaults)?)));
    match wanted {
        Ok((settings, recorder)) => {
            following.retention.store(Arc::new(policy_of(settings)));
            following.recording.reconfigure(recorder).await;
            following.watching.reconfigure(WatchSettings { doctor: settings.doctor.clone(), incidents: settings.incidents.clone() });
            following.emission.send_if_modified(|former| std::mem::replace(former, settings.emit.clone()) != settings.emit);
            tracing::info!("the changed configuration is in force; listen, tls, auth, clusters, dataDir and redaction need a restart");
        }
        Err(error) => tracing::warn!(%error, hint = error.hint, "the changed configuration will not do; the former one stays in force"),
    }
}
