//! Which objects belong to which monitored cluster: by uid, owner references, labels and exact references, never by a part of a name.
//!
//! An object is at home with a ClusterDeployment, or with a Cluster that has none. What has no home yet is asked again whenever an object
//! comes that may be its owner.

use std::collections::{BTreeMap, BTreeSet};

use proreus_model::{ClusterId, Name, Namespace, Uid};

use super::facts::{CAPI, FLUX, Facts, K0RDENT, Key, SVELTOS};

/// What is monitored, by the name that people use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Cluster in which the monitored object lives.
    pub cluster: ClusterId,
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub name: Name,
}

/// Objects kept in all. A management cluster of 50 clusters with 100 machines each has some 25,000.
const OBJECTS_LIMIT: usize = 50_000;
/// Steps from an object to its Cluster: a disk belongs to a machine's machine to a set to a deployment to a cluster.
const OWNER_DEPTH: usize = 8;

/// The objects and where they are at home.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    objects: BTreeMap<Key, Facts>,
    by_uid: BTreeMap<Uid, Key>,
    /// Infrastructure and control plane of each Cluster, to the Cluster.
    referenced: BTreeMap<Key, Key>,
    homes: BTreeMap<Key, Target>,
    homeless: BTreeSet<Key>,
    members: BTreeMap<Target, BTreeSet<Key>>,
}

impl Scope {
    /// Takes in the newest version of an object. Returns the targets whose evidence changed.
    pub(super) fn put(&mut self, facts: Facts) -> BTreeSet<Target> {
        let key = Key::of(&facts.id);
        let mut touched = BTreeSet::new();
        let before = self.objects.get(&key);
        let is_news = before.is_none_or(|known| {
            known.id.uid != facts.id.uid
                || known.refs != facts.refs
                || known.owners != facts.owners
                || known.helm != facts.helm
                || known.cluster_name != facts.cluster_name
                || known.deployment.management_region != facts.deployment.management_region
        });
        if before.is_none() && self.objects.len() >= OBJECTS_LIMIT {
            return touched;
        }
        if let Some(known) = before {
            self.by_uid.remove(&known.id.uid);
        }
        if !facts.id.uid.is_empty() {
            self.by_uid.insert(facts.id.uid.clone(), key.clone());
        }
        for reference in &facts.refs {
            self.referenced.insert(reference.clone(), key.clone());
        }
        let roots = is_news && (facts.is(K0RDENT, "ClusterDeployment") || facts.is(K0RDENT, "Credential") || facts.is(CAPI, "Cluster"));
        self.objects.insert(key.clone(), facts);
        if roots {
            // A root decides about everything that may hang on it, also about what came before it.
            touched.extend(self.settle_all());
        } else if is_news {
            touched.extend(self.settle(&key));
            touched.extend(self.settle_homeless());
        }
        touched.extend(self.homes.get(&key).cloned());
        touched
    }

    /// Forgets an object that is gone. Returns the target it belonged to.
    pub(super) fn remove(&mut self, key: &Key, uid: &Uid) -> Option<Target> {
        // A delete may come after the create of the next incarnation; then nothing is forgotten.
        self.objects.get(key).filter(|known| known.id.uid == *uid)?;
        self.objects.remove(key);
        self.homeless.remove(key);
        self.by_uid.remove(uid);
        self.referenced.retain(|_, from| from != key);
        let home = self.homes.remove(key)?;
        if let Some(members) = self.members.get_mut(&home) {
            members.remove(key);
        }
        Some(home)
    }

    /// What belongs to a target, in the order of names.
    pub(super) fn members(&self, target: &Target) -> impl Iterator<Item = &Facts> {
        self.members.get(target).into_iter().flatten().filter_map(|key| self.objects.get(key))
    }

    /// One object.
    pub(super) fn get(&self, key: &Key) -> Option<&Facts> {
        self.objects.get(key)
    }

    /// Where something that an Event speaks of is at home: by uid; without one by the exact name. `Err` when it is another incarnation.
    pub(super) fn home_of(&self, about: &Key, uid: &Uid) -> Result<Option<&Target>, OtherIncarnation> {
        if let Some(key) = self.by_uid.get(uid).filter(|_| !uid.is_empty()) {
            return Ok(self.homes.get(key));
        }
        match self.objects.get(about) {
            // A scenario or an older recorder may not know uids; one that knows and differs speaks of what is gone.
            Some(known) if !uid.is_empty() && !known.id.uid.is_empty() => Err(OtherIncarnation),
            Some(_) => Ok(self.homes.get(about)),
            None => Ok(self.home_by_name(about)),
        }
    }

    /// The home of something that is not recorded itself, but whose name says exactly whose it is: Cluster API gives the infrastructure of
    /// a cluster the cluster's name and that of a machine the machine's, and k0rdent gives the Cluster and the release its own.
    fn home_by_name(&self, about: &Key) -> Option<&Target> {
        let alike = |group: &str, kind: &str| self.homes.get(&Key { group: group.into(), kind: kind.into(), ..about.clone() });
        let (group, kind) = (about.group.as_str(), about.kind.as_str());
        // An Event that leaves the group of its object out still names kind and object.
        let is_of = |of: &str| group == of || group.is_empty();
        let is_infrastructure = group.starts_with("infrastructure.") || group.is_empty();
        match kind {
            "Cluster" if is_of(CAPI) => alike(K0RDENT, "ClusterDeployment"),
            "HelmRelease" if is_of(FLUX) => alike(K0RDENT, "ClusterDeployment"),
            _ if is_infrastructure && kind.ends_with("Cluster") => alike(CAPI, "Cluster").or_else(|| alike(K0RDENT, "ClusterDeployment")),
            _ if is_infrastructure && kind.ends_with("Machine") => alike(CAPI, "Machine"),
            _ => None,
        }
    }

    /// The k0rdent region of a ClusterDeployment: by its own status, else by its Credential; `""` for none.
    pub(super) fn region_of<'a>(&'a self, deployment: &'a Facts) -> &'a str {
        let own = deployment.deployment.management_region.as_str();
        if !own.is_empty() {
            return own;
        }
        self.credential_of(deployment).map_or("", |credential| credential.deployment.management_region.as_str())
    }

    /// The Credential that a ClusterDeployment names.
    pub(super) fn credential_of(&self, deployment: &Facts) -> Option<&Facts> {
        self.objects.get(&Key {
            cluster: deployment.id.cluster.clone(),
            group: K0RDENT.into(),
            kind: "Credential".into(),
            namespace: deployment.id.namespace.clone(),
            name: deployment.deployment.credential.as_str().into(),
        })
    }

    fn settle_all(&mut self) -> BTreeSet<Target> {
        let keys: Vec<Key> = self.objects.keys().cloned().collect();
        keys.iter().flat_map(|key| self.settle(key)).collect()
    }

    fn settle_homeless(&mut self) -> BTreeSet<Target> {
        let keys: Vec<Key> = self.homeless.iter().cloned().collect();
        keys.iter().flat_map(|key| self.settle(key)).collect()
    }

    /// Finds an object's home anew. Returns the targets that this concerns, if it changed.
    fn settle(&mut self, key: &Key) -> Vec<Target> {
        let Some(facts) = self.objects.get(key) else { return Vec::new() };
        let home = self.find_home(facts, OWNER_DEPTH);
        let before = self.homes.get(key).cloned();
        if home.is_none() {
            self.homeless.insert(key.clone());
        }
        if home == before {
            return Vec::new();
        }
        if let Some(members) = before.as_ref().and_then(|before| self.members.get_mut(before)) {
            members.remove(key);
        }
        match &home {
            Some(home) => {
                self.homeless.remove(key);
                self.homes.insert(key.clone(), home.clone());
                self.members.entry(home.clone()).or_default().insert(key.clone());
            }
            None => {
                self.homes.remove(key);
            }
        }
        before.into_iter().chain(home).collect()
    }

    fn find_home(&self, facts: &Facts, depth: usize) -> Option<Target> {
        let id = &facts.id;
        let own = Target { cluster: id.cluster.clone(), namespace: id.namespace.clone(), name: id.name.clone() };
        if facts.is(K0RDENT, "ClusterDeployment") {
            return Some(own);
        }
        let depth = depth.checked_sub(1)?;
        if let Some(target) = self.deployment_of(facts, &own) {
            return Some(target);
        }
        if facts.is(CAPI, "Cluster") {
            return Some(own);
        }
        self.cluster_of(facts)
            .or_else(|| {
                facts.owners.iter().filter_map(|uid| self.objects.get(self.by_uid.get(uid)?)).find(|owner| owner.id.cluster == id.cluster)
            })
            .and_then(|owner| self.find_home(owner, depth))
            .or_else(|| self.deployment_named(&own.cluster, own.namespace.as_str(), &facts.cluster_name))
    }

    /// The Cluster that an object names by label or field, or that names it as its infrastructure or control plane.
    fn cluster_of(&self, facts: &Facts) -> Option<&Facts> {
        let referring = self.referenced.get(&Key::of(&facts.id)).and_then(|key| self.objects.get(key));
        if referring.is_some() || facts.cluster_name.is_empty() {
            return referring;
        }
        self.objects.get(&Key {
            cluster: facts.id.cluster.clone(),
            group: CAPI.into(),
            kind: "Cluster".into(),
            namespace: facts.id.namespace.clone(),
            name: facts.cluster_name.as_str().into(),
        })
    }

    /// The ClusterDeployment whose own Helm release, Cluster, services or Sveltos cluster this is. k0rdent names these exactly like it.
    fn deployment_of(&self, facts: &Facts, own: &Target) -> Option<Target> {
        let named = |namespace: &str, name: &str| self.deployment_named(&own.cluster, namespace, name);
        let owned = facts.owners.iter().filter_map(|uid| self.by_uid.get(uid)).find(|key| key.kind.as_str() == "ClusterDeployment");
        if let Some(key) = owned {
            return Some(Target { cluster: key.cluster.clone(), namespace: key.namespace.clone(), name: key.name.clone() });
        }
        if facts.is(K0RDENT, "ServiceSet") {
            return named(own.namespace.as_str(), &facts.serves);
        }
        if let Some((namespace, name)) = &facts.helm {
            return named(namespace, name).or_else(|| self.regional_deployment(&own.cluster, namespace, name));
        }
        let alike = facts.is(FLUX, "HelmRelease") || facts.is(CAPI, "Cluster") || facts.is(SVELTOS, "SveltosCluster");
        alike.then(|| named(own.namespace.as_str(), own.name.as_str())).flatten()
    }

    fn deployment_named(&self, cluster: &ClusterId, namespace: &str, name: &str) -> Option<Target> {
        if name.is_empty() {
            return None;
        }
        let target = Target { cluster: cluster.clone(), namespace: namespace.into(), name: name.into() };
        self.objects.get(&deployment_key(&target)).map(|_| target)
    }

    /// The one ClusterDeployment of that name, in whatever management cluster, that says that its objects live in a region.
    fn regional_deployment(&self, not_in: &ClusterId, namespace: &str, name: &str) -> Option<Target> {
        let mut found = self.objects.values().filter(|facts| {
            facts.is(K0RDENT, "ClusterDeployment")
                && !self.region_of(facts).is_empty()
                && facts.id.cluster != *not_in
                && facts.id.namespace.as_str() == namespace
                && facts.id.name.as_str() == name
        });
        let one = found.next()?;
        // Two management clusters may deploy the same name into one region; then nobody can say whose it is.
        found.next().is_none().then(|| Target {
            cluster: one.id.cluster.clone(),
            namespace: one.id.namespace.clone(),
            name: one.id.name.clone(),
        })
    }
}

/// What an Event speaks of is another incarnation than the one we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OtherIncarnation;

/// The ClusterDeployment of a target.
pub(super) fn deployment_key(target: &Target) -> Key {
    Key {
        cluster: target.cluster.clone(),
        group: K0RDENT.into(),
        kind: "ClusterDeployment".into(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
    }
}

/// Whether objects of a group are evidence at all. Events are asked for elsewhere.
pub(super) fn concerns(group: &str, kind: &str) -> bool {
    match group {
        K0RDENT => matches!(kind, "ClusterDeployment" | "ServiceSet" | "Credential"),
        FLUX => kind == "HelmRelease",
        SVELTOS => kind == "SveltosCluster",
        CAPI => true,
        _ => group.ends_with(".cluster.x-k8s.io") || group.ends_with(".azure.com"),
    }
}
