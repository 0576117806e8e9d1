//! What of a monitor a caller may see: the monitor by its primary object, the object that an update speaks of by itself.
//!
//! Pure. Fails closed: what cannot be judged is hidden.

use proreus_model::{Access, ClusterId, Group, Namespace, Resource};

use super::MonitorCursor;
use super::board::Board;
use crate::questions::{Progress, RootKind};

/// An update as one caller may see it.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorUpdate {
    /// Where it stands.
    pub cursor: MonitorCursor,
    /// What it says.
    pub progress: Progress,
    /// It speaks of an object that the caller may not read: that object is left out, and so is what it said.
    pub is_related_hidden: bool,
}

/// Whether objects of a resource type may be read in a namespace.
pub(super) fn admits(access: &Access, cluster: &ClusterId, group: &str, resource: &str, namespace: &Namespace) -> bool {
    match access {
        Access::All => true,
        Access::Only(rules) => rules.iter().any(|rule| {
            rule.cluster == *cluster
                && rule.group.as_str() == group
                && rule.resource.as_str() == resource
                && rule.namespace.as_ref().is_none_or(|of| of == namespace)
        }),
    }
}

/// Whether the primary object of a monitor may be read.
pub(super) fn may_read_root(root: RootKind, cluster: &ClusterId, namespace: &Namespace, access: &Access) -> bool {
    let (group, resource) = root.resource();
    admits(access, cluster, group, resource, namespace)
}

/// Whether any primary object could be read in a namespace, of a cluster or of some.
pub(super) fn may_read_any_root(cluster: Option<&ClusterId>, namespace: &str, access: &Access) -> bool {
    let roots = [RootKind::ClusterDeployment, RootKind::Cluster].map(RootKind::resource);
    match access {
        Access::All => true,
        Access::Only(rules) => rules.iter().any(|rule| {
            cluster.is_none_or(|cluster| rule.cluster == *cluster)
                && roots.contains(&(rule.group.as_str(), rule.resource.as_str()))
                && rule.namespace.as_ref().is_none_or(|of| of.as_str() == namespace)
        }),
    }
}

/// The update with what the caller may not read left out.
pub(super) fn judge(cursor: MonitorCursor, mut progress: Progress, board: &Board, access: &Access) -> MonitorUpdate {
    let hidden = progress.related_object.as_ref().is_some_and(|related| {
        let resource = board.resource(&related.group, &related.kind);
        !is_readable(access, &progress.cluster, &related.group, resource.as_ref(), &related.namespace)
    });
    if hidden {
        progress.related_object = None;
        // A cause is told in the words of the object that told it.
        if let Some(class) = progress.cause_class {
            progress.reason = "Hidden".to_owned();
            progress.message = format!("Something is wrong ({}); it is told by an object that may not be read here", class.as_str());
        }
    }
    MonitorUpdate { cursor, progress, is_related_hidden: hidden }
}

fn is_readable(access: &Access, cluster: &ClusterId, group: &Group, resource: Option<&Resource>, namespace: &Namespace) -> bool {
    match (access, resource) {
        (Access::All, _) => true,
        (Access::Only(_), Some(resource)) => admits(access, cluster, group.as_str(), resource.as_str(), namespace),
        (Access::Only(_), None) => false,
    }
}
