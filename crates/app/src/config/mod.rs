//! Configuration: one YAML file, a superset of the watch event service's keys. Flags beat the environment, the environment beats the file,
//! the file beats the defaults. Unknown keys are errors.
//!
//! Pure but for `read_file`: the environment and the flags are arguments.

mod auth;
mod emit;
mod file;
mod monitor;
mod quantity;
mod settings;

pub use auth::{AuthSection, AuthSettings, KubernetesSection, OidcSection, RuleSection, WaysSettings};
pub use emit::{EmitSection, EmitSettings, EndpointEntry, EndpointSettings, EndpointType, Receiver};
pub use file::{ClusterEntry, FileConfig, ResourceEntry, parse_file};
pub use monitor::{MonitorSection, MonitorSettings};
pub use quantity::parse_bytes;
pub(crate) use settings::MIN_DISK_BYTES;
pub use settings::{Overrides, RecordSelection, Settings, TlsSettings, resolve};

use std::path::{Path, PathBuf};

/// Where the watch event service looked for its file when `CONFIG_PATH` was not set; used only if it is there.
const SEED_CONFIG_PATH: &str = "/config/resources.yaml";
/// Largest configuration file read: some thousands of entries.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// What is wrong with a configuration: the path of the key, what was found, what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: `{key}`: {problem}")]
pub struct ConfigError {
    /// File, environment or flag.
    pub origin: String,
    /// Path of the key, such as `record.includeKinds[2]`.
    pub key: String,
    /// What was found and why it will not do.
    pub problem: String,
    /// What is allowed.
    pub hint: String,
}

/// Finds and reads the configuration file: the flag, else `CONFIG_PATH`, else the older service's place if a file is there.
///
/// # Errors
/// A named file that cannot be read or is no valid configuration.
pub fn read_file(flag: Option<&Path>, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<(PathBuf, FileConfig)>, ConfigError> {
    let named = flag.map(Path::to_path_buf).or_else(|| env("CONFIG_PATH").filter(|path| !path.is_empty()).map(PathBuf::from));
    let path = match named {
        Some(path) => path,
        None if Path::new(SEED_CONFIG_PATH).is_file() => PathBuf::from(SEED_CONFIG_PATH),
        None => return Ok(None),
    };
    let fail = |problem: String| ConfigError {
        origin: path.display().to_string(),
        key: "(file)".to_owned(),
        problem,
        hint: "give a readable YAML file with --config or CONFIG_PATH".to_owned(),
    };
    let length = std::fs::metadata(&path).map_err(|error| fail(format!("cannot be read: {error}")))?.len();
    if length > MAX_CONFIG_BYTES {
        return Err(fail(format!("is {length} bytes long, at most {MAX_CONFIG_BYTES} are read")));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| fail(format!("cannot be read: {error}")))?;
    let config = parse_file(&path.display().to_string(), &text)?;
    Ok(Some((path, config)))
}
