//! The key under which redacted values are tagged.
//!
//! It cannot be printed, serialised or copied: there is no way from a `RedactionKey` back to its bytes, and they are wiped when it is
//! dropped. Invariant: equal values of the same key of the same object get equal tags, and nothing else does.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use proreus_model::{ClusterId, Uid};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::RecordError;

/// Length of the key: that of the hash, more adds nothing.
pub const KEY_BYTES: usize = 32;

/// Length of a tag: 128 bits, so that two values never share one by chance.
const TAG_BYTES: usize = 16;

/// Secret bytes and the public name they go by.
pub struct RedactionKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: String,
}

/// Where a key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The file was there.
    Loaded,
    /// There was no file; a new key was written.
    Created,
}

impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactionKey({})", self.id)
    }
}

impl RedactionKey {
    /// Takes over the bytes of a key.
    pub fn from_bytes(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let id = hex(mac(&bytes, &[b"proreus redaction key id"]).get(..4).unwrap_or_default());
        Self { bytes, id }
    }

    /// A fresh random key.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(&mut bytes[..]);
        Self::from_bytes(bytes)
    }

    /// Reads the key of `path`, or makes one there (mode 0600) if there is no such file.
    ///
    /// # Errors
    /// The file cannot be read or written, is readable by others, or is not exactly 32 bytes long. An existing file is never replaced.
    pub fn load_or_create(path: &Path) -> Result<(Self, KeyOrigin), RecordError> {
        match fs::File::open(path) {
            Ok(file) => Ok((Self::read(path, file)?, KeyOrigin::Loaded)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok((Self::create(path)?, KeyOrigin::Created)),
            Err(error) => Err(key_file(path, error.to_string())),
        }
    }

    fn read(path: &Path, mut file: fs::File) -> Result<Self, RecordError> {
        let found = file.metadata().map_err(|error| key_file(path, error.to_string()))?;
        // A mounted Secret is often readable by the pod's group; others never need it.
        if found.permissions().mode() & 0o007 != 0 {
            return Err(key_file(
                path,
                format!(
                    "mode {:03o} lets others read it, run chmod 600 on it, or give the volume of a mounted Secret `defaultMode: 0440`",
                    found.permissions().mode() & 0o777
                ),
            ));
        }
        if found.len() != KEY_BYTES as u64 {
            return Err(key_file(path, format!("expected {KEY_BYTES} bytes, found {}", found.len())));
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        file.read_exact(&mut bytes[..]).map_err(|error| key_file(path, error.to_string()))?;
        Ok(Self::from_bytes(bytes))
    }

    /// Writes beside the file and links it into place, so that a crash leaves a whole key or none.
    fn create(path: &Path) -> Result<Self, RecordError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(&mut bytes[..]);
        let partial = path.with_extension("partial");
        let write = || -> std::io::Result<()> {
            let _left_by_a_crash = fs::remove_file(&partial);
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
            file.write_all(&bytes[..])?;
            file.sync_all()?;
            fs::hard_link(&partial, path)?;
            fs::remove_file(&partial)?;
            if let Some(parent) = path.parent() {
                fs::File::open(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?.sync_all()?;
            }
            Ok(())
        };
        write().map_err(|error| key_file(path, error.to_string()))?;
        Ok(Self::from_bytes(bytes))
    }

    /// The public name of the key, eight hex digits that say nothing of its bytes.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The tag of a value: `redacted:KEYID:HEX`. Says neither the value nor its length.
    pub fn tag(&self, cluster: &ClusterId, uid: &Uid, key: &str, value: &[u8]) -> String {
        let whole = mac(&self.bytes, &[cluster.as_str().as_bytes(), uid.as_str().as_bytes(), key.as_bytes(), value]);
        format!("redacted:{}:{}", self.id, hex(whole.get(..TAG_BYTES).unwrap_or_default()))
    }
}

/// HMAC over the parts, each behind its length, so that no two lists of parts are the same message.
fn mac(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key_file(path: &Path, reason: String) -> RecordError {
    RecordError::KeyFile { path: path.display().to_string(), reason }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key(byte: u8) -> RedactionKey {
        RedactionKey::from_bytes(Zeroizing::new([byte; KEY_BYTES]))
    }

    #[test]
    fn a_tag_differs_with_each_of_cluster_uid_key_value_and_redaction_key() {
        let tags = [
            key(1).tag(&"c".into(), &"u".into(), "k", b"v"),
            key(1).tag(&"d".into(), &"u".into(), "k", b"v"),
            key(1).tag(&"c".into(), &"w".into(), "k", b"v"),
            key(1).tag(&"c".into(), &"u".into(), "l", b"v"),
            key(1).tag(&"c".into(), &"u".into(), "k", b"w"),
            key(2).tag(&"c".into(), &"u".into(), "k", b"v"),
            key(1).tag(&"cu".into(), &"".into(), "k", b"v"),
        ];
        let distinct: std::collections::BTreeSet<_> = tags.iter().collect();
        assert_eq!(distinct.len(), tags.len());
        assert_eq!(tags.first(), Some(&key(1).tag(&"c".into(), &"u".into(), "k", b"v")));
    }

    #[test]
    fn a_tag_has_the_same_length_whatever_the_value_is() {
        let lengths: std::collections::BTreeSet<_> =
            [&b""[..], b"x", &[7; 10_000]].iter().map(|value| key(1).tag(&"c".into(), &"u".into(), "k", value).len()).collect();
        assert_eq!(lengths.len(), 1);
    }

    #[test]
    fn the_key_file_is_made_once_with_mode_0600_and_read_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("redaction.key");
        let (made, first) = RedactionKey::load_or_create(&path).unwrap();
        let (read, second) = RedactionKey::load_or_create(&path).unwrap();
        assert_eq!((first, second), (KeyOrigin::Created, KeyOrigin::Loaded));
        assert_eq!(made.id(), read.id());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("redaction.key");
        fs::write(&path, b"short").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(RedactionKey::load_or_create(&path).unwrap_err().to_string().contains("expected 32 bytes, found 5"));
        assert_eq!(fs::read(&path).unwrap(), b"short");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(RedactionKey::load_or_create(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_mounted_secret_is_read_through_its_links_with_the_modes_that_fs_group_gives() {
        // As the kubelet mounts it: the name leads to `..data/name`, and that to a folder with the moment in its name.
        let dir = tempfile::tempdir().unwrap();
        let moment = dir.path().join("..2026_11_21");
        fs::create_dir(&moment).unwrap();
        let held = moment.join("redaction.key");
        fs::write(&held, [7; KEY_BYTES]).unwrap();
        std::os::unix::fs::symlink("..2026_11_21", dir.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/redaction.key", dir.path().join("redaction.key")).unwrap();
        // 0440: defaultMode with a group; 0640 and 0660: what fsGroup makes of 0600 in a Secret and in a data volume.
        for mode in [0o400, 0o440, 0o600, 0o640, 0o660] {
            fs::set_permissions(&held, fs::Permissions::from_mode(mode)).unwrap();
            let (read, origin) = RedactionKey::load_or_create(&dir.path().join("redaction.key")).unwrap();
            assert_eq!((origin, read.id()), (KeyOrigin::Loaded, key(7).id()), "mode {mode:o}");
        }
    }

    #[test]
    fn printing_a_key_shows_its_name_only() {
        assert_eq!(format!("{:?}", key(0xab)), format!("RedactionKey({})", key(0xab).id()));
        assert!(!format!("{:?}", key(0xab)).contains("abab"));
    }
}
