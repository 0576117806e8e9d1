//! What changed before a time: the changes that were wanted, near an object.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proreus_model::{Access, Cursor, Filter, Namespace, Order, Verb};
use proreus_observe::is_wanted_field;

use super::{ChangeView, ChangesAnswer, ChangesQuestion, ObjectQuestion, ObjectRef, Questions};
use crate::{AppError, Moment};

/// Changes read for one page at most: in a busy namespace most changes are of status, and a question must end.
const READ_LIMIT: usize = 5_000;
/// Changes read at once.
const PORTION: usize = 500;
/// Kinds that report and do not want.
const REPORTING: [&str; 4] = ["Event", "Lease", "EndpointSlice", "Endpoints"];

/// Before what.
#[derive(Clone, Debug, Default)]
pub struct BeforeQuestion {
    /// When; the last record where it is left out.
    pub at: Option<Timestamp>,
    /// Near which object.
    pub object: Option<ObjectRef>,
    /// In which namespace, where no object is named; every namespace where both are left out.
    pub namespace: Option<String>,
    /// In which cluster, where no object is named.
    pub cluster: Option<String>,
    /// How far to look back.
    pub window: Duration,
    /// Continue after.
    pub cursor: Option<Cursor>,
    /// Items of this page, 1 to `MAX_PAGE_LIMIT`.
    pub limit: usize,
}

impl Questions {
    /// The changes of specification, data and existence before a time, newest first, in the object's namespace and in the cluster scope.
    ///
    /// # Errors
    /// `NotFound` when the object is not known or may not be read, a limit out of range, a journal that cannot be read.
    pub fn before(&self, question: &BeforeQuestion, access: &Access) -> Result<ChangesAnswer, AppError> {
        let until = question.at.or_else(|| self.journal().last_recorded_at());
        let window = SignedDuration::try_from(question.window).unwrap_or(SignedDuration::from_hours(1));
        let mut page = ChangesQuestion {
            filter: self.near(question, access)?,
            since: until.and_then(|until| until.checked_sub(window).ok()),
            until,
            cursor: question.cursor.clone(),
            order: Order::Descending,
            limit: PORTION,
            full: false,
        };
        super::range::check_limit(question.limit)?;
        let (mut items, mut read): (Vec<ChangeView>, usize) = (Vec::new(), 0);
        loop {
            let answer = self.changes(&page, access)?;
            read += answer.items.len();
            for item in answer.items {
                if items.len() == question.limit {
                    let cursor = items.last().map_or(answer.cursor, |last| self.cursor_at(last.change.seq));
                    return Ok(ChangesAnswer { items, more: true, cursor });
                }
                items.extend(wanted(item));
            }
            if !answer.more || read >= READ_LIMIT {
                return Ok(ChangesAnswer { items, more: answer.more, cursor: answer.cursor });
            }
            page.cursor = Some(answer.cursor);
        }
    }

    fn near(&self, question: &BeforeQuestion, access: &Access) -> Result<Filter, AppError> {
        let types = self.journal().types()?;
        let reporting = |kind: &str| REPORTING.contains(&kind);
        let mut filter = Filter::changes();
        // Everything but what only reports: a filter has no "not", so the kinds of this journal are named.
        filter.kinds = types.iter().filter(|of| !reporting(of.kind.as_str())).map(|of| of.kind.clone()).collect();
        filter.kinds.sort();
        filter.kinds.dedup();
        if let Some(object) = &question.object {
            // The object must be there for the caller, and its place is taken from what is recorded rather than from what was typed.
            let at = question.at.map_or(Moment::Now, Moment::At);
            let found = self.object(&ObjectQuestion { object: object.clone(), at }, access)?.change.object;
            filter.clusters = vec![found.cluster];
            filter.namespaces = vec![found.namespace, Namespace::default()];
        } else {
            filter.clusters = question.cluster.as_deref().map(|word| self.cluster(word)).transpose()?.into_iter().collect();
            if let Some(namespace) = question.namespace.as_deref() {
                filter.namespaces = vec![if namespace == "_" { "".into() } else { namespace.into() }, Namespace::default()];
            }
        }
        filter.namespaces.dedup();
        Ok(filter)
    }
}

/// The change with its wanted fields, when it has any.
fn wanted(mut view: ChangeView) -> Option<ChangeView> {
    if view.change.verb != Verb::Update {
        return Some(view);
    }
    view.changed.retain(|field| is_wanted_field(&field.path));
    (!view.changed.is_empty()).then_some(view)
}
