//! From the settings to the door: who is let in, and by whom that is checked.
//!
//! Starts nothing and asks nobody: an issuer or a cluster that is away does not keep the recording from starting.

use std::sync::Arc;

use proreus_model::Clock;
use proreus_record::{ClusterSource, Reviewer};

use super::ServiceError;
use crate::access::{Authenticator, KnownPlaces, Kubernetes, KubernetesOptions, Oidc, Reviewing, TokenFile, Ways};
use crate::config::{AuthSettings, ConfigError, Settings, WaysSettings};
use crate::questions::Questions;

/// Files that have to be there before anything else begins.
pub(super) struct Files {
    tokens: Option<TokenFile>,
}

impl Files {
    pub(super) fn open(settings: &Settings) -> Result<Self, ServiceError> {
        let path = match &settings.auth {
            AuthSettings::Loopback | AuthSettings::InsecureOpen => None,
            AuthSettings::TokenFile(path) => Some(path),
            AuthSettings::Ways(ways) => ways.token_file.as_ref(),
        };
        let tokens = path.map(|path| TokenFile::open(path.clone()).map_err(ServiceError::Tokens)).transpose()?;
        Ok(Self { tokens })
    }
}

/// Who asks the clusters about their users.
pub(super) fn reviewers(settings: &Settings, clusters: &[ClusterSource]) -> Result<Vec<Arc<dyn Reviewing>>, ServiceError> {
    let AuthSettings::Ways(ways) = &settings.auth else { return Ok(Vec::new()) };
    for (key, aliases) in named(ways) {
        for (index, alias) in aliases.iter().enumerate() {
            if !clusters.iter().any(|source| source.alias == *alias) {
                let known: Vec<&str> = clusters.iter().map(|source| source.alias.as_str()).collect();
                return Err(ServiceError::Config(ConfigError {
                    origin: "configuration".to_owned(),
                    key: format!("{key}[{index}]"),
                    problem: format!("`{alias}` is no name of a cluster that is watched"),
                    hint: format!("give one of {}", known.join(", ")),
                }));
            }
        }
    }
    Ok(clusters.iter().map(|source| Arc::new(Reviewer::new(source)) as Arc<dyn Reviewing>).collect())
}

fn named(ways: &WaysSettings) -> [(&'static str, &[String]); 2] {
    let tokens = ways.kubernetes.as_ref().map_or(&[][..], |of| &of.token_clusters);
    let mapped = ways.oidc.as_ref().map_or(&[][..], |of| &of.clusters);
    [("auth.kubernetes.clusters", tokens), ("auth.oidc.kubernetesClusters", mapped)]
}

pub(super) fn door(
    settings: &Settings,
    files: Files,
    reviewers: Vec<Arc<dyn Reviewing>>,
    questions: &Questions,
    clock: Arc<dyn Clock>,
) -> Result<Authenticator, ServiceError> {
    let ways = match &settings.auth {
        AuthSettings::Loopback => return Ok(Authenticator::Open),
        AuthSettings::InsecureOpen => {
            warn_open(settings);
            return Ok(Authenticator::Open);
        }
        AuthSettings::TokenFile(_) => {
            return files.tokens.map(Authenticator::Tokens).ok_or_else(|| ServiceError::Tokens("no token file was opened".to_owned()));
        }
        AuthSettings::Ways(ways) => ways,
    };
    if ways.is_insecure {
        warn_open(settings);
    }
    let oidc = ways.oidc.clone().map(|options| Oidc::new(options, questions.clone())).transpose().map_err(ServiceError::Access)?;
    let is_mapped = ways.oidc.as_ref().is_some_and(|oidc| !oidc.clusters.is_empty());
    let kubernetes = match &ways.kubernetes {
        Some(options) if options.token_clusters.is_empty() => {
            // Without a name it is the one that is watched; the configuration refuses several.
            let token_clusters = reviewers.iter().map(|reviewer| reviewer.alias().to_owned()).collect();
            Some(KubernetesOptions { token_clusters, ..options.clone() })
        }
        Some(options) => Some(options.clone()),
        None if is_mapped => Some(KubernetesOptions::default()),
        None => None,
    };
    Ok(Authenticator::Ways(Box::new(Ways {
        is_open: ways.is_open,
        tokens: files.tokens,
        oidc,
        kubernetes: kubernetes.map(|options| Kubernetes::new(options, reviewers)),
        places: KnownPlaces::new(questions.journal().clone()),
        clock,
        public: ways.public.clone(),
    })))
}

fn warn_open(settings: &Settings) {
    tracing::warn!(listen = %settings.listen, "everybody who reaches this address can read everything that is recorded");
}
