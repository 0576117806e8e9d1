//! Secrets of ours: read from files when they are needed, so that a rotated one is in force at once, and never printed.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// Largest secret read: a token is a line, and some are long.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Why a secret cannot be had. Says where, never what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret file `{path}` {problem}")]
pub struct SecretError {
    path: String,
    problem: String,
}

/// A secret. It has no way to be printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// For the one place that sends it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A file that holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFile(pub PathBuf);

impl SecretFile {
    /// Reads it; space around it is not part of it.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, or holds nothing.
    pub async fn read(&self) -> Result<Secret, SecretError> {
        let fail = |problem: String| SecretError { path: self.0.display().to_string(), problem };
        let length = tokio::fs::metadata(&self.0).await.map_err(|error| fail(format!("cannot be read: {error}")))?.len();
        if length > MAX_SECRET_BYTES {
            return Err(fail(format!("is {length} bytes long, at most {MAX_SECRET_BYTES} are read")));
        }
        let text = tokio::fs::read_to_string(&self.0).await.map_err(|error| fail(format!("cannot be read: {error}")))?;
        let text = Zeroizing::new(text);
        match text.trim() {
            "" => Err(fail("holds no secret".to_owned())),
            secret => Ok(Secret(Zeroizing::new(secret.to_owned()))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_what_is_in_the_file_and_prints_none_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = SecretFile(directory.path().join("token"));
        assert!(file.read().await.unwrap_err().to_string().contains("cannot be read"));
        std::fs::write(&file.0, " \n").unwrap();
        assert!(file.read().await.unwrap_err().to_string().ends_with("holds no secret"));
        std::fs::write(&file.0, "  correct-horse\n").unwrap();
        let secret = file.read().await.unwrap();
        assert_eq!((secret.reveal(), format!("{secret:?}")), ("correct-horse", "[secret]".to_owned()));
    }
}
