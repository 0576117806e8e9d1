//! The list of monitors, page by page: in the order of cluster, namespace and name, so that a monitor that appears moves no page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proreus_model::{Access, ClusterId};

use super::{MonitorView, Monitors};
use crate::AppError;
use crate::questions::{MAX_PAGE_LIMIT, Target};

/// Between the parts of a place in the list: no name of Kubernetes has it.
const SEPARATOR: char = '\u{0}';

/// Which monitors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorsQuestion {
    /// Ids or configured names of clusters; empty for all.
    pub clusters: Vec<String>,
    /// Namespaces; empty for all.
    pub namespaces: Vec<String>,
    /// Go on after this.
    pub cursor: Option<String>,
    /// Most items, at most `MAX_PAGE_LIMIT`.
    pub limit: usize,
}

/// A page of monitors.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorsAnswer {
    /// The monitors.
    pub items: Vec<MonitorView>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl MonitorView {
    /// Where a page goes on that ends with this monitor.
    pub fn place(&self) -> String {
        place(&self.now.progress.target())
    }
}

impl Monitors {
    /// A page of the monitors whose object exists and may be read.
    ///
    /// # Errors
    /// A cursor of another form, or the journal cannot be read.
    pub fn page_of(&self, question: &MonitorsQuestion, access: &Access) -> Result<MonitorsAnswer, AppError> {
        let after = question.cursor.as_deref().map(read_place).transpose()?;
        let clusters: Result<Vec<ClusterId>, AppError> = question.clusters.iter().map(|word| self.inputs.questions.cluster(word)).collect();
        let clusters = clusters?;
        let wanted = |target: &Target| {
            (clusters.is_empty() || clusters.contains(&target.cluster))
                && (question.namespaces.is_empty() || question.namespaces.iter().any(|of| of == target.namespace.as_str()))
                && after.as_ref().is_none_or(|after| target > after)
        };
        let limit = question.limit.clamp(1, MAX_PAGE_LIMIT);
        let mut items = self.views(wanted, limit + 1, access)?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| place(&last.now.progress.target()));
        Ok(MonitorsAnswer { items, next })
    }
}

fn place(target: &Target) -> String {
    let parts = [target.cluster.as_str(), target.namespace.as_str(), target.name.as_str()];
    URL_SAFE_NO_PAD.encode(parts.join(&SEPARATOR.to_string()))
}

fn read_place(text: &str) -> Result<Target, AppError> {
    let bad = || AppError::BadParameter {
        name: "cursor",
        found: text.to_owned(),
        allowed: "pass back a nextCursor of the list of monitors exactly as it was given".to_owned(),
    };
    let decoded = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
    match decoded.split(SEPARATOR).collect::<Vec<_>>().as_slice() {
        [cluster, namespace, name] => Ok(Target { cluster: (*cluster).into(), namespace: (*namespace).into(), name: (*name).into() }),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_the_place_it_printed_and_nothing_else() {
        let target = Target { cluster: "c1".into(), namespace: "kcm-system".into(), name: "prod".into() };
        assert_eq!(read_place(&place(&target)).ok(), Some(target));
        for text in ["", "%%", "cHJvZA"] {
            assert!(read_place(text).is_err(), "{text}");
        }
    }
}
