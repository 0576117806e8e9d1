//! `serve`: flags over environment over file over defaults, then the service and its HTTP host until a signal.

use std::path::PathBuf;

use proreus_app::config::{Overrides, read_file, resolve};
use proreus_app::service::{ConfigSource, Service, ServiceError, ServiceInputs, clusters_of};
use proreus_serve::TlsFiles;

use crate::failure::Failure;
use crate::flags::ServeFlags;
use crate::hosting::Host;
use crate::run::Context;
use crate::signals::Signals;

/// What is recorded and logged when nothing is said.
const DEFAULT_LOG_LEVEL: &str = "info";

/// Runs the verb.
pub(crate) async fn run(flags: &ServeFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    crate::logging::start(&flags.log, DEFAULT_LOG_LEVEL, context)?;
    let mut signals = Signals::take()?;
    let env = Overrides::from_env(context.around.env);
    let overrides = overrides(flags);
    let file = read_file(flags.config.as_deref(), context.around.env)?;
    let name = file.as_ref().map_or_else(String::new, |(path, _)| path.display().to_string());
    let settings = resolve(file.as_ref().map(|(_, file)| (name.as_str(), file.clone())), &env, &overrides)?;
    let config = file.map(|(path, _): (PathBuf, _)| ConfigSource { path, env, flags: overrides });
    let tls = settings.tls.as_ref().map(|tls| TlsFiles { certificate: tls.cert.clone(), key: tls.key.clone() });
    let (listen, data_dir) = (settings.listen, settings.data_dir.display().to_string());
    if settings.auth.is_insecure() {
        context.note(&format!("warning: everybody who reaches {listen} can read everything that is recorded"));
    }
    let clock = context.around.clock.clone();
    let start = async {
        let clusters = clusters_of(&settings).await?;
        Service::start(ServiceInputs { settings, clusters, clock, config, recorder: Default::default() }).await
    };
    // Opening may wait for another process for as long as that runs.
    let service = tokio::select! {
        started = start => started?,
        () = signals.next() => return Ok(()),
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let hosted = async {
        let mut host = Host::bind(service.application(), listen, tls)?;
        context.note(&format!("recording into {data_dir}, answering on {scheme}://{}", host.address()));
        host.during(async {
            tokio::select! {
                () = signals.next() => {}
                () = service.ended() => {}
            }
        })
        .await
        .map(|()| host)
    }
    .await;
    signals
        .while_ending(async {
            // The watches end in any case; the first failure is the one that is told.
            let ended = match hosted {
                Ok(host) => host.end().await,
                Err(failure) => Err(failure),
            };
            let kept: Result<(), ServiceError> = service.shutdown().await;
            ended.and(kept.map_err(Failure::from))
        })
        .await
}

/// What the flags say.
fn overrides(flags: &ServeFlags) -> Overrides {
    Overrides {
        listen: flags.listen.clone(),
        port: None,
        data_dir: flags.data_dir.clone(),
        retention_days: flags.retention_days.clone(),
        max_disk_bytes: flags.max_disk_bytes.clone(),
        token_file: flags.token_file.clone(),
        tls_cert: flags.tls_cert.clone(),
        tls_key: flags.tls_key.clone(),
        insecure_no_auth: flags.insecure_no_auth.then_some(true),
        kubeconfig: flags.kubeconfig.clone(),
        contexts: flags.context.clone(),
        in_cluster: flags.in_cluster,
    }
}
