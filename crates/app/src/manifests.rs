//! The Kubernetes manifests that run Proreus in a cluster, as text.
//!
//! Pure: the bearer token comes as an option, made by whoever has randomness; the same options give the same bytes. Not here: flags (`cli`),
//! the image (`deploy/Dockerfile`), talking to a cluster: what is rendered is piped into `kubectl apply`.
//!
//! Options are types that hold nothing YAML could misread, so filling them into a template cannot change its shape.

mod options;
mod recording;

pub use options::{BearerToken, DnsName, ImageReference, JournalBound, NamespaceName, OptionError, StorageQuantity, WorkloadName};
pub use recording::{EventAccess, SecretAccess};

/// What the manifests depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestOptions {
    /// Where everything namespaced goes.
    pub namespace: NamespaceName,
    /// Whether the namespace itself is among the documents; left out, it has to be there already.
    pub creates_namespace: bool,
    /// Name of the StatefulSet and of all that belongs to it.
    pub name: WorkloadName,
    /// The image to run.
    pub image: ImageReference,
    /// Size of the journal's volume.
    pub storage: StorageQuantity,
    /// StorageClass of the volume; `None` for the cluster's default.
    pub storage_class: Option<DnsName>,
    /// Days a change is kept, unless the volume is too small for them.
    pub retention_days: u32,
    /// Bytes the journal may take; `None` for its share of the volume.
    pub journal_bound: Option<JournalBound>,
    /// The bearer token that callers send; `None` leaves the Secret out, and one of the same name has to be there already.
    pub token: Option<BearerToken>,
    /// Name of a Secret that holds the redaction key; `None` for one that is made in the volume.
    pub redaction_key: Option<DnsName>,
    /// Whether changes of Secrets are recorded, their values redacted.
    pub secrets: SecretAccess,
    /// Who may ask besides those with the token.
    pub callers: Callers,
    /// Whether Events are written on the objects that incidents are about.
    pub events: EventAccess,
    /// Whether logs of containers may be read.
    pub logs: LogAccess,
}

/// Whether logs of containers may be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogAccess {
    /// No log at all.
    #[default]
    None,
    /// When somebody asks who may read it.
    Asked,
}

/// Who may ask besides those with the token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Callers {
    /// Nobody.
    #[default]
    TokenOnly,
    /// Whoever the cluster knows, for what its RBAC lets them list.
    KubernetesIdentities,
}

/// Port on which the pod and the Service listen: the older service's, so that its clients find us.
const PORT: u16 = 8080;

impl ManifestOptions {
    /// What is wrong with a bound that the volume cannot hold.
    pub fn bound_beyond_volume(&self) -> Option<String> {
        let bound = self.journal_bound.as_ref().filter(|bound| bound.bytes() > self.storage.bytes())?;
        Some(format!("{} bytes are more than the volume of {} holds", bound.bytes(), self.storage))
    }

    fn max_disk_bytes(&self) -> u64 {
        self.journal_bound.as_ref().map_or(self.storage.bytes() / 100 * JOURNAL_PERCENT, JournalBound::bytes)
    }
}

/// The journal's share of its volume: the rest is for the day being rewritten, which exists twice while that lasts.
const JOURNAL_PERCENT: u64 = 90;

const NAMESPACE: &str = include_str!("manifests/templates/namespace.yaml");
const ACCOUNT: &str = include_str!("manifests/templates/account.yaml");
const CONFIG: &str = include_str!("manifests/templates/config.yaml");
const TOKENS: &str = include_str!("manifests/templates/tokens.yaml");
const WORKLOAD: &str = include_str!("manifests/templates/workload.yaml");
const KEY_MOUNT: &str = include_str!("manifests/templates/key-mount.yaml");
const KEY_VOLUME: &str = include_str!("manifests/templates/key-volume.yaml");

/// Every document, in the order in which they can be applied, as one multi-document YAML text.
pub fn render(options: &ManifestOptions) -> String {
    let namespace = options.creates_namespace.then_some(NAMESPACE);
    let tokens = options.token.as_ref().map(|_| TOKENS);
    let role = recording::cluster_role(options);
    let templates = [namespace, Some(ACCOUNT), Some(role.as_str()), Some(CONFIG), tokens, Some(WORKLOAD)];
    let texts: Vec<String> = templates.into_iter().flatten().map(|template| fill(template, options)).collect();
    texts.join("---\n")
}

/// Puts the options in the places of a template, `${like_this}`.
fn fill(template: &str, options: &ManifestOptions) -> String {
    let storage_class = options.storage_class.as_ref().map_or(String::new(), |class| format!("storageClassName: \"{class}\"\n        "));
    let places = [
        ("${namespace}", options.namespace.to_string()),
        ("${name}", options.name.to_string()),
        ("${image}", options.image.to_string()),
        ("${storage}", options.storage.to_string()),
        ("${storage_class}", storage_class),
        ("${retention_days}", options.retention_days.to_string()),
        ("${max_disk_bytes}", options.max_disk_bytes().to_string()),
        ("${port}", PORT.to_string()),
        ("${callers}", recording::caller_keys(options.callers).to_owned()),
        ("${record}", recording::record_keys(options)),
        ("${emit}", recording::emit_keys(options.events).to_owned()),
        ("${key_mount}", key_mount(options).to_owned()),
        ("${key_volume}", options.redaction_key.as_ref().map_or(String::new(), |name| KEY_VOLUME.replace("${secret}", &name.to_string()))),
        ("${token}", options.token.as_ref().map_or(String::new(), |token| token.reveal().to_owned())),
    ];
    places.iter().fold(template.to_owned(), |text, (place, value)| text.replace(place, value))
}

fn key_mount(options: &ManifestOptions) -> &'static str {
    if options.redaction_key.is_some() { KEY_MOUNT } else { "" }
}

#[cfg(test)]
mod tests;
