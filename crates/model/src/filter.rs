//! Which records a question is about. Every field narrows; an empty list means "any"; the entries of one list are alternatives.

use crate::{ClusterId, Group, Kind, Manager, MarkKind, Name, Namespace, Origin, Resource, Seq, Uid, Verb};

/// Which order a page comes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

/// An inclusive range of positions. Time ranges become sequence ranges first, because `recordedAt` never falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRange {
    /// First position.
    pub first: Seq,
    /// Last position.
    pub last: Seq,
}

/// What a caller may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    #[default]
    All,
    /// Only what one of the rules admits; no rule admits nothing.
    Only(Vec<AccessRule>),
}

impl Access {
    /// Whether objects of a type in a namespace (empty: the cluster scope) may be read.
    pub fn admits(&self, cluster: &ClusterId, group: &Group, resource: &Resource, namespace: &Namespace) -> bool {
        match self {
            Self::All => true,
            Self::Only(rules) => rules.iter().any(|rule| {
                rule.cluster == *cluster
                    && rule.group == *group
                    && rule.resource == *resource
                    && rule.namespace.as_ref().is_none_or(|only| only == namespace)
            }),
        }
    }
}

/// Admits the objects of one resource type, in one namespace or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// In this cluster.
    pub cluster: ClusterId,
    /// Of this group.
    pub group: Group,
    /// Of this resource type.
    pub resource: Resource,
    /// In this namespace; `None` for every namespace and the cluster scope.
    pub namespace: Option<Namespace>,
}

/// Which records a question is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In these clusters.
    pub clusters: Vec<ClusterId>,
    /// Of these API groups.
    pub groups: Vec<Group>,
    /// Of these kinds (exact).
    pub kinds: Vec<Kind>,
    /// Of these resource types (lower-case plural, exact).
    pub resources: Vec<Resource>,
    /// In these namespaces; `""` is the cluster scope.
    pub namespaces: Vec<Namespace>,
    /// With these names.
    pub names: Vec<Name>,
    /// Of these incarnations.
    pub uids: Vec<Uid>,
    /// With these verbs.
    pub verbs: Vec<Verb>,
    /// Known in these ways.
    pub origins: Vec<Origin>,
    /// Last written by these field managers.
    pub managers: Vec<Manager>,
    /// Events that speak of these objects.
    pub regarding: Vec<Uid>,
    /// Marks of these kinds; marks are left out altogether unless `marks` is set.
    pub mark_kinds: Vec<MarkKind>,
    /// Whether changes are wanted. `Filter::changes()` sets it.
    pub changes: bool,
    /// Whether marks are wanted. A filter on an object's field never matches a mark, except for `clusters`, `groups` and `resources`,
    /// which are compared with the mark's scope.
    pub marks: bool,
    /// What the caller may read; applied before limit, count and cursor. Marks carry no object and are judged by their scope.
    pub access: Access,
}

impl Filter {
    /// Every change, no marks.
    pub fn changes() -> Self {
        Self { changes: true, ..Self::default() }
    }

    /// Every mark, no changes.
    pub fn marks() -> Self {
        Self { marks: true, ..Self::default() }
    }
}
