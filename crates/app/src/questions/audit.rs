//! The two questions of the watch event service, by that service's own rules: limits are clamped, an unknown verb matches nothing, the user
//! is a constant.

use jiff::Timestamp;
use proreus_model::{Access, Cursor, Filter, Name, Namespace, Order, Resource, Uid, Verb};

use super::{ChangeView, ChangesQuestion, MAX_PAGE_LIMIT, Questions};
use crate::AppError;

/// The one user that the older service knew.
pub const AUDIT_USER: &str = "system:k8s-watcher";

/// Items after which one list of an object's history is cut: the older endpoint has no pages, so its answer is bounded here.
const MAX_OBJECT_ITEMS: usize = 10_000;
/// Bytes after which one list of an object's history is cut: two pages' worth.
const MAX_OBJECT_BYTES: usize = 2 * super::PAGE_BYTES_MAX;

/// A query of the older service.
#[derive(Clone, Debug, Default)]
pub struct AuditQuestion {
    /// Recorded at or after.
    pub start: Option<Timestamp>,
    /// Recorded at or before.
    pub end: Option<Timestamp>,
    /// Exact namespace.
    pub namespace: Option<Namespace>,
    /// Exact plural.
    pub resource_type: Option<Resource>,
    /// Exact name.
    pub resource_name: Option<Name>,
    /// Any text; one that is no verb matches nothing.
    pub verb: Option<String>,
    /// Any text; one that is not `AUDIT_USER` matches nothing.
    pub user: Option<String>,
    /// Already clamped to 1..=`MAX_PAGE_LIMIT`.
    pub limit: usize,
    /// Direction; the older service knew ascending only.
    pub order: Order,
    /// Continue after.
    pub cursor: Option<Cursor>,
}

/// What it found.
#[derive(Clone, Debug)]
pub struct AuditAnswer {
    /// The changes with full objects.
    pub items: Vec<ChangeView>,
    /// Whether more match.
    pub more: bool,
    /// Where to continue.
    pub cursor: Cursor,
}

/// The history of one object, with the Events that speak of it.
#[derive(Clone, Debug)]
pub struct AuditObjectAnswer {
    /// Its changes, oldest first.
    pub watch_events: Vec<ChangeView>,
    /// Changes of Events about it, oldest first, joined by uid.
    pub related_events: Vec<ChangeView>,
    /// Whether a bound cut either list; what was cut is the oldest.
    pub truncated: bool,
}

impl Questions {
    /// Changes by the older service's rules.
    ///
    /// # Errors
    /// A cursor that cannot be continued, or a journal that cannot be read.
    pub fn audit_events(&self, question: &AuditQuestion, access: &Access) -> Result<AuditAnswer, AppError> {
        let verb = question.verb.as_deref().map(parse_verb);
        let nobody = question.user.as_deref().is_some_and(|user| user != AUDIT_USER);
        if nobody || verb == Some(None) {
            return Ok(AuditAnswer { items: Vec::new(), more: false, cursor: self.cursor_at(self.journal.watermark()) });
        }
        let filter = Filter {
            namespaces: question.namespace.clone().into_iter().collect(),
            resources: question.resource_type.clone().into_iter().collect(),
            names: question.resource_name.clone().into_iter().collect(),
            verbs: verb.flatten().into_iter().collect(),
            ..Filter::changes()
        };
        let page = ChangesQuestion {
            filter,
            since: question.start,
            until: question.end,
            cursor: question.cursor.clone(),
            order: question.order,
            limit: question.limit.clamp(1, MAX_PAGE_LIMIT),
            full: true,
        };
        let answer = self.changes(&page, access)?;
        Ok(AuditAnswer { items: answer.items, more: answer.more, cursor: answer.cursor })
    }

    /// One object's changes and the Events about it. A namespace of `_` or `-` is the cluster scope.
    ///
    /// # Errors
    /// A journal that cannot be read. Nothing found is an empty answer, not an error.
    pub fn audit_object(
        &self,
        namespace: &Namespace,
        resource: &Resource,
        name: &Name,
        access: &Access,
    ) -> Result<AuditObjectAnswer, AppError> {
        let namespace = if matches!(namespace.as_str(), "_" | "-") { Namespace::default() } else { namespace.clone() };
        let filter =
            Filter { namespaces: vec![namespace], resources: vec![resource.clone()], names: vec![name.clone()], ..Filter::changes() };
        let (watch_events, cut) = self.gather(filter, access)?;
        let mut uids: Vec<Uid> = watch_events.iter().map(|item| item.change.object.uid.clone()).collect();
        uids.sort();
        uids.dedup();
        let (related_events, related_cut) = match uids.is_empty() {
            true => (Vec::new(), false),
            false => self.gather(Filter { regarding: uids, ..Filter::changes() }, access)?,
        };
        Ok(AuditObjectAnswer { watch_events, related_events, truncated: cut || related_cut })
    }

    /// Changes oldest first, cut at the old end when they are too many.
    fn gather(&self, filter: Filter, access: &Access) -> Result<(Vec<ChangeView>, bool), AppError> {
        let (mut found, mut used): (Vec<ChangeView>, usize) = (Vec::new(), 0);
        let mut question =
            ChangesQuestion { filter, limit: MAX_PAGE_LIMIT, full: true, order: Order::Descending, ..ChangesQuestion::default() };
        let cut = loop {
            let answer = self.changes(&question, access)?;
            used += answer.items.iter().map(ChangeView::weight).sum::<usize>();
            found.extend(answer.items);
            if !answer.more || found.len() >= MAX_OBJECT_ITEMS || used >= MAX_OBJECT_BYTES {
                break answer.more;
            }
            question.cursor = Some(answer.cursor);
        };
        found.reverse();
        Ok((found, cut))
    }
}

fn parse_verb(text: &str) -> Option<Verb> {
    [Verb::Create, Verb::Update, Verb::Delete].into_iter().find(|verb| verb.as_str() == text)
}
