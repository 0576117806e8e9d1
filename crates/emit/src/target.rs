//! Where to send, and with which secrets.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::secret::{Secret, SecretError, SecretFile};

/// Why an address is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It is no URL that we send to.
    #[error("{0}")]
    Url(&'static str),
}

/// The address: in the configuration, or in a file where it is itself a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// In the configuration.
    Plain(Url),
    /// In a file; the path that the kind of receiver has is not added to it.
    File(SecretFile),
}

impl fmt::Debug for Address {
    /// Without path and query: many services put a token there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(url) => write!(f, "{}://{}/…", url.scheme(), url.authority()),
            Self::File(file) => file.fmt(f),
        }
    }
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub address: Address,
    /// Longest wait for the whole of an answer.
    pub timeout: Duration,
    /// PEM authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Sent as `Authorization: Bearer`.
    pub bearer_token: Option<SecretFile>,
    /// Sent as `x-api-key`.
    pub api_key: Option<SecretFile>,
    /// Signs each request.
    pub signing_secret: Option<SecretFile>,
}

/// A URL that we send to: http or https, with a host and without a password in it.
///
/// # Errors
/// What is wrong with it; never the text, for it may hold a secret.
pub fn checked_url(text: &str) -> Result<Url, TargetError> {
    let url = Url::parse(text).map_err(|_| TargetError::Url("is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(TargetError::Url("is no http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::Url("has a user or a password in it"));
    }
    Ok(url)
}

impl Address {
    pub(crate) async fn url(&self) -> Result<Url, TargetError> {
        match self {
            Self::Plain(url) => Ok(url.clone()),
            Self::File(file) => checked_url(file.read().await?.reveal()),
        }
    }
}

impl Target {
    pub(crate) async fn secrets(&self) -> Result<Secrets, SecretError> {
        async fn read(file: Option<&SecretFile>) -> Result<Option<Secret>, SecretError> {
            match file {
                Some(file) => file.read().await.map(Some),
                None => Ok(None),
            }
        }
        Ok(Secrets {
            bearer_token: read(self.bearer_token.as_ref()).await?,
            api_key: read(self.api_key.as_ref()).await?,
            signing_secret: read(self.signing_secret.as_ref()).await?,
        })
    }
}

/// The secrets of one request.
pub(crate) struct Secrets {
    pub(crate) bearer_token: Option<Secret>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) signing_secret: Option<Secret>,
}

impl Secrets {
    /// A text without them: a receiver may send back what it got.
    pub(crate) fn hidden_in(&self, text: &str) -> String {
        let all = [&self.bearer_token, &self.api_key, &self.signing_secret];
        all.into_iter().flatten().fold(text.to_owned(), |text, secret| text.replace(secret.reveal(), "[secret]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_that_hold_no_password_and_prints_no_path() {
        let problem = |text: &str| checked_url(text).err().map(|error| error.to_string());
        assert_eq!(problem("https://hooks.example.com/T0/B0?x=1"), None);
        assert_eq!(problem("ftp://example.com"), Some("is no http or https URL".to_owned()));
        assert_eq!(problem("example.com/hook"), Some("is no URL".to_owned()));
        assert_eq!(problem("https://me:word@example.com/"), Some("has a user or a password in it".to_owned()));
        let address = checked_url("https://hooks.example.com/T0/B0?x=1").map(Address::Plain).expect("a URL");
        assert_eq!(format!("{address:?}"), "https://hooks.example.com/…");
    }
}
