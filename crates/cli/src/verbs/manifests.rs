//! `manifests`: YAML for `kubectl apply`, with a bearer token made here and now.

use std::fmt::Display;
use std::str::FromStr;

use proreus_app::manifests::{BearerToken, Callers, EventAccess, LogAccess, ManifestOptions, OptionError, SecretAccess, render};

use rand::TryRng as _;

use crate::failure::Failure;
use crate::flags::ManifestsFlags;
use crate::run::Context;

/// Runs the verb.
pub(crate) fn run(flags: &ManifestsFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let custom_groups = flags.custom_group.iter().map(|group| parse("--custom-group", group)).collect::<Result<_, _>>()?;
    let options = ManifestOptions {
        namespace: parse("--namespace", &flags.namespace)?,
        creates_namespace: !flags.no_namespace,
        name: parse("--name", &flags.name)?,
        image: parse("--image", &flags.image)?,
        storage: parse("--storage", &flags.storage)?,
        storage_class: flags.storage_class.as_deref().map(|class| parse("--storage-class", class)).transpose()?,
        retention_days: flags.retention_days,
        journal_bound: flags.max_disk_bytes.as_deref().map(|bytes| parse("--max-disk-bytes", bytes)).transpose()?,
        token: if flags.no_token { None } else { Some(token()?) },
        redaction_key: flags.redaction_key_secret.as_deref().map(|name| parse("--redaction-key-secret", name)).transpose()?,
        secrets: if flags.without_secrets { SecretAccess::Excluded { custom_groups } } else { SecretAccess::Recorded },
        callers: if flags.kubernetes_identities { Callers::KubernetesIdentities } else { Callers::TokenOnly },
        events: if flags.emit_events { EventAccess::Written } else { EventAccess::None },
        logs: if flags.pod_logs { LogAccess::Asked } else { LogAccess::None },
    };
    if let Some(problem) = options.bound_beyond_volume() {
        let hint = format!("give at most the size of the volume, {}, and leave room for the day that is rewritten", options.storage);
        return Err(Failure::Usage { problem: format!("--max-disk-bytes: {problem}"), hint });
    }
    context.around.stdout.write_all(render(&options).as_bytes())?;
    if !flags.no_token {
        context.note("the Secret in it holds a new bearer token: keep the output as you keep a password");
    }
    Ok(())
}

fn parse<T: FromStr<Err = OptionError>>(flag: &str, text: &str) -> Result<T, Failure> {
    let usage =
        |error: &dyn Display, allowed: &str| Failure::Usage { problem: format!("{flag}: {error}"), hint: format!("give {allowed}") };
    text.parse().map_err(|error: OptionError| usage(&format!("`{}` is no {}", error.found, error.what), error.allowed))
}

/// 32 bytes of the system's randomness.
fn token() -> Result<BearerToken, Failure> {
    let mut bytes = [0_u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|error| Failure::File {
        step: "cannot make a token".to_owned(),
        source: std::io::Error::other(error),
        hint: "the system gives no randomness; say --no-token and make a Secret by hand".to_owned(),
    })?;
    Ok(BearerToken::from_bytes(bytes))
}
