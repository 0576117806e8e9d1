//! Bearer tokens from a file. Failing closed: a file that cannot be read admits nobody.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::SystemTime;

use super::{Caller, Denied};

/// Longest token file read; some thousands of tokens.
const MAX_TOKEN_FILE_BYTES: u64 = 1024 * 1024;
/// Shortest token accepted: anything below can be guessed over a network.
const MIN_TOKEN_BYTES: usize = 16;

/// A file of bearer tokens: one a line, optionally `name:token`; `#` starts a comment line.
pub struct TokenFile {
    path: PathBuf,
    known: Mutex<Option<Known>>,
}

/// The tokens by name, and the state of the file they were read from.
type Known = (Stamp, Vec<(String, Secret)>);

type Stamp = (SystemTime, u64);

/// A token; it has no way to be printed.
struct Secret(Vec<u8>);

impl Secret {
    /// Compares in time that depends on the lengths only.
    fn matches(&self, given: &[u8]) -> bool {
        self.0.len() == given.len() && self.0.iter().zip(given).fold(0_u8, |differ, (ours, theirs)| differ | (ours ^ theirs)) == 0
    }
}

impl TokenFile {
    /// Tokens from `path`.
    ///
    /// # Errors
    /// A sentence when the file cannot be read or holds no usable token.
    pub fn open(path: PathBuf) -> Result<Self, String> {
        let file = Self { path, known: Mutex::new(None) };
        let tokens = file.read()?;
        match tokens.1.is_empty() {
            true => Err(format!("token file `{}` holds no token of at least {MIN_TOKEN_BYTES} characters", file.path.display())),
            false => Ok(Self { known: Mutex::new(Some(tokens)), ..file }),
        }
    }

    fn stamp(&self) -> Result<Stamp, String> {
        let fail = |error: std::io::Error| format!("cannot read token file `{}`: {error}", self.path.display());
        let meta = std::fs::metadata(&self.path).map_err(fail)?;
        Ok((meta.modified().map_err(fail)?, meta.len()))
    }

    fn read(&self) -> Result<Known, String> {
        let stamp = self.stamp()?;
        if stamp.1 > MAX_TOKEN_FILE_BYTES {
            return Err(format!("token file `{}` is larger than {MAX_TOKEN_FILE_BYTES} bytes", self.path.display()));
        }
        let text =
            std::fs::read_to_string(&self.path).map_err(|error| format!("cannot read token file `{}`: {error}", self.path.display()))?;
        Ok((stamp, parse_tokens(&text)))
    }

    /// The caller whose token it is.
    pub(super) fn authenticate(&self, token: &str) -> Result<Caller, Denied> {
        let given = token.as_bytes();
        let mut known = self.known.lock().map_err(|_| Denied::Unavailable)?;
        let stamp = self.stamp().map_err(|_| Denied::Unavailable)?;
        if known.as_ref().is_none_or(|(of, _)| *of != stamp) {
            *known = Some(self.read().map_err(|_| Denied::Unavailable)?);
        }
        let tokens = known.as_ref().map(|(_, tokens)| tokens.as_slice()).unwrap_or_default();
        let found = tokens.iter().filter(|(_, secret)| secret.matches(given)).map(|(name, _)| name.clone()).next();
        found.map(Caller::trusted).ok_or(Denied::Unknown)
    }
}

fn parse_tokens(text: &str) -> Vec<(String, Secret)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).enumerate();
    let named = lines.map(|(index, line)| match line.split_once(':') {
        Some((name, token)) => (name.trim().to_owned(), token.trim()),
        None => (format!("token-{}", index + 1), line),
    });
    named.filter(|(_, token)| token.len() >= MIN_TOKEN_BYTES).map(|(name, token)| (name, Secret(token.as_bytes().to_vec()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("tokens");
        std::fs::write(&path, text).expect("write tokens");
        (dir, path)
    }

    #[test]
    fn admits_only_the_tokens_of_the_file_by_their_names() {
        let (_dir, path) = file("# comment\nalice: 0123456789abcdef\nfedcba9876543210ff\n");
        let door = TokenFile::open(path).expect("tokens");
        assert_eq!(door.authenticate("0123456789abcdef").map(|caller| caller.name), Ok("alice".to_owned()));
        assert_eq!(door.authenticate("fedcba9876543210ff").map(|caller| caller.name), Ok("token-2".to_owned()));
        assert_eq!(door.authenticate("0123456789abcdee"), Err(Denied::Unknown));
    }

    #[test]
    fn refuses_a_file_of_guessable_tokens() {
        let (_dir, path) = file("short\n");
        assert!(TokenFile::open(path).is_err());
    }

    #[test]
    fn admits_nobody_while_the_file_is_gone_and_follows_a_new_one() {
        let (_dir, path) = file("0123456789abcdef\n");
        let door = TokenFile::open(path.clone()).expect("tokens");
        std::fs::remove_file(&path).expect("remove");
        assert_eq!(door.authenticate("0123456789abcdef"), Err(Denied::Unavailable));
        std::fs::write(&path, "another-token-of-length\n").expect("write");
        assert_eq!(door.authenticate("0123456789abcdef"), Err(Denied::Unknown));
        assert!(door.authenticate("another-token-of-length").is_ok());
    }
}
