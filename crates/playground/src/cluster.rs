//! One simulated cluster: its objects, the types it serves, and its source of identifiers.
//!
//! Everything here is synchronous and takes the time as an argument.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::ids::Ids;
use crate::resource::{Registry, ResourceDef};
use crate::status::{About, ApiError};
use crate::store::{Object, Store, key_of};

/// The state of the simulated cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) store: Store,
    pub(crate) registry: Registry,
    pub(crate) ids: Ids,
    /// Scripted log text by (namespace, pod name or prefix, container).
    pub(crate) logs: crate::logs::Logs,
    /// Whether pods get what the service account admission of a real cluster gives them.
    pub(crate) admits_service_accounts: bool,
    /// How many cluster IPs were given out.
    pub(crate) service_ips: u32,
    /// How many pod addresses were given out, by node.
    pub(crate) pod_ips: BTreeMap<String, u32>,
}

/// Where a request goes: a type in one of its versions, a namespace, a name, a subresource (each `""` for none).
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) def: Arc<ResourceDef>,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Target {
    /// What error details say of it.
    pub(crate) fn about(&self) -> About<'_> {
        About { group: &self.def.group, resource: &self.def.plural, name: &self.name }
    }

    /// What messages about invalid objects say of it.
    pub(crate) fn about_kind(&self) -> About<'_> {
        About { group: &self.def.group, resource: &self.def.kind, name: &self.name }
    }

    /// Key of the object in its table.
    pub(crate) fn key(&self) -> String {
        key_of(&self.namespace, &self.name)
    }
}

/// Who writes, when, and whether it counts.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) manager: String,
    pub(crate) now: Timestamp,
    pub(crate) dry_run: bool,
}

impl Writer {
    /// A component of the cluster itself.
    pub(crate) fn component(manager: &str, now: Timestamp) -> Self {
        Self { manager: manager.to_owned(), now, dry_run: false }
    }
}

/// Commits that watches can still catch up from. A real server keeps about five minutes; the whole demo is a fifth of this, and more would
/// cost hundreds of megabytes under load.
pub(crate) const HISTORY_LIMIT: usize = 10_000;

impl Cluster {
    /// A cluster with nothing in it.
    pub(crate) fn new(seed: u64, history_limit: usize) -> Self {
        Self {
            store: Store::new(history_limit),
            registry: Registry::built_in(),
            ids: Ids::new(seed),
            logs: crate::logs::Logs::default(),
            admits_service_accounts: true,
            service_ips: 0,
            pod_ips: BTreeMap::new(),
        }
    }

    /// The target of an object of a built-in type, in its storage version.
    pub(crate) fn target(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Target> {
        let def = self.registry.get(group, plural)?.clone();
        Some(Target {
            version: def.storage_version.clone(),
            def,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
        })
    }

    /// The stored object of a target.
    pub(crate) fn find(&self, target: &Target) -> Result<Arc<Object>, ApiError> {
        self.store.get(&target.def.table, &target.key()).cloned().ok_or_else(|| ApiError::not_found(target.about()))
    }

    /// The stored object of a built-in type.
    pub(crate) fn object(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.store.get(&crate::resource::table_name(group, plural), &key_of(namespace, name))
    }

    /// The objects of a built-in type in a namespace (`""` for all).
    pub(crate) fn objects<'a>(&'a self, group: &str, plural: &str, namespace: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        self.store.scan(&crate::resource::table_name(group, plural), namespace)
    }

    /// The newest revision at which each resource type changed, or the current one where nothing is known of it, by (group, plural).
    pub(crate) fn versions(&self) -> BTreeMap<(String, String), BTreeMap<String, String>> {
        let mut out = BTreeMap::new();
        for def in self.registry.stored() {
            let objects = self.store.scan(&def.table, "");
            let by_key = objects.map(|object| (key_of(object.namespace(), object.name()), object.revision().to_string())).collect();
            out.insert(def.key(), by_key);
        }
        out
    }

    /// An object in the dialect of a version.
    pub(crate) fn shown(&self, object: &Object, target: &Target) -> Value {
        crate::convert::from_storage(&target.def, &target.version, object.value().clone())
    }

    /// A fresh pod address on a node, from the node's range.
    pub(crate) fn pod_ip(&mut self, node: &Object) -> String {
        let range = crate::tree::text(node.value(), "/spec/podCIDR");
        let base = range.rsplit_once('.').map_or("10.244.0", |(base, _)| base);
        let given = self.pod_ips.entry(node.name().to_owned()).or_default();
        *given += 1;
        // Addresses come round again, as on a real node; .0 and .1 are the network's own.
        format!("{base}.{}", 2 + (*given - 1) % 250)
    }

    /// A fresh cluster address for a service.
    pub(crate) fn service_ip(&mut self) -> String {
        self.service_ips += 1;
        // .1 is the API server's own service.
        format!("10.96.{}.{}", self.service_ips / 250, 1 + self.service_ips % 250)
    }
}
