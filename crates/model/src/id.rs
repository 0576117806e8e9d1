//! Identity: of clusters, resource types and objects. Two strings in one signature are a bug waiting, so each has its own type.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        impl Ord for $name {
            /// By the text. Texts that are held once are compared by where they lie: objects of a namespace share most of theirs.
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// The text as Kubernetes gave it.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// True for the empty text, which Kubernetes uses for "none" (core group, cluster scope).
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self(Arc::from(""))
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }
    };
}

string_id!(
    /// A cluster: the uid of its `kube-system` namespace. The configured name is an alias, never an identity.
    ClusterId
);
string_id!(
    /// API group; `""` is the core group.
    Group
);
string_id!(
    /// API version without the group, such as `v1` or `v1beta1`.
    ApiVersion
);
string_id!(
    /// Kind in CamelCase, such as `Deployment`.
    Kind
);
string_id!(
    /// Lower-case plural name of a resource type, such as `deployments`.
    Resource
);
string_id!(
    /// Namespace; `""` for a cluster-scoped object.
    Namespace
);
string_id!(
    /// Name of an object, unique within (cluster, group, kind, namespace) at one moment only.
    Name
);
string_id!(
    /// `metadata.uid`: one incarnation of an object.
    Uid
);
string_id!(
    /// `metadata.resourceVersion`: opaque, compared for equality only.
    ResourceVersion
);
string_id!(
    /// The newest field manager of an object: what wrote last, not who. Not an identity.
    Manager
);

/// Position in a journal: given by the single writer, starts at 1, grows by one a record, stays below 2^53 so that JSON numbers hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One incarnation of one object in one cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectId {
    /// The cluster it lives in.
    pub cluster: ClusterId,
    /// Its API group.
    pub group: Group,
    /// Its kind.
    pub kind: Kind,
    /// Its namespace, `""` when cluster-scoped.
    pub namespace: Namespace,
    /// Its name.
    pub name: Name,
    /// Its incarnation.
    pub uid: Uid,
}

/// A listable resource type as discovery names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceType {
    /// API group.
    pub group: Group,
    /// The one version that is watched.
    pub version: ApiVersion,
    /// Kind.
    pub kind: Kind,
    /// Lower-case plural.
    pub resource: Resource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}
