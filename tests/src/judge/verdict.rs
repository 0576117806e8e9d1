//! What the judge says.

use std::fmt;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A position of the journal is not there.
    PositionMissing {
        /// The one expected.
        expected: u64,
        /// The one found instead.
        found: u64,
    },
    /// The journal ends before what the process had reported as durable.
    DurableLost {
        /// What had been reported.
        reported: u64,
        /// Where the journal ends.
        end: u64,
    },
    /// Records at or below a reported watermark are not what they were.
    DurableChanged {
        /// The watermark.
        watermark: u64,
    },
    /// Records cannot be read.
    Unreadable {
        /// After this position.
        after: u64,
        /// What the journal says.
        reason: String,
    },
    /// An object was recorded that etcd never held.
    NeverLived {
        /// The object.
        object: String,
        /// Its uid.
        uid: String,
    },
    /// The record of a life is wrong in itself.
    Wrong {
        /// The object.
        object: String,
        /// Its uid.
        uid: String,
        /// The record at fault.
        seq: u64,
        /// What is wrong.
        what: String,
    },
    /// A recorded body does not say what the true version said.
    BodyDiffers {
        /// The object.
        object: String,
        /// The record.
        seq: u64,
        /// Its revision.
        revision: u64,
        /// Where the first difference is.
        at: String,
    },
    /// Versions are missing, and nothing says so.
    Hole {
        /// The object.
        object: String,
        /// Its uid.
        uid: String,
        /// The record before the hole, 0 for none.
        after: u64,
        /// The record behind it, 0 for none.
        before: u64,
        /// The missing revisions.
        missing: Vec<u64>,
    },
    /// The end of the record is not the true state.
    NotArrived {
        /// The object.
        object: String,
        /// Its uid.
        uid: String,
        /// The last record, 0 for none.
        seq: u64,
        /// The revisions that are missing.
        missing: Vec<u64>,
    },
    /// The end of an object is not recorded.
    DeleteMissing {
        /// The object.
        object: String,
        /// Its uid.
        uid: String,
        /// The last record.
        seq: u64,
        /// The revision of the end.
        revision: u64,
    },
    /// An object of a watched type was never recorded.
    NeverRecorded {
        /// The object.
        object: String,
        /// Its uid.
        uid: String,
        /// First and last revision.
        revisions: (u64, u64),
    },
    /// A type went away while it was recorded, and no mark says that its objects are not followed any more.
    TypeEndUnmarked {
        /// The object.
        object: String,
        /// Its uid.
        uid: String,
    },
}

impl Violation {
    /// Whether it may heal by waiting.
    #[must_use]
    pub fn is_about_arrival(&self) -> bool {
        matches!(self, Self::NotArrived { .. } | Self::DeleteMissing { .. } | Self::NeverRecorded { .. } | Self::TypeEndUnmarked { .. })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PositionMissing { expected, found } => write!(f, "position {expected} is missing, {found} follows"),
            Self::DurableLost { reported, end } => {
                write!(f, "watermark {reported} had been reported as durable, the journal ends at {end}")
            }
            Self::DurableChanged { watermark } => write!(f, "records up to {watermark} are not what they were before the kill"),
            Self::Unreadable { after, reason } => write!(f, "records after {after} cannot be read: {reason}"),
            Self::NeverLived { object, uid } => write!(f, "{object} ({uid}) was recorded and never lived"),
            Self::Wrong { object, uid, seq, what } => write!(f, "{object} ({uid}): record {seq} {what}"),
            Self::BodyDiffers { object, seq, revision, at } => write!(f, "{object}: record {seq} of revision {revision} differs at {at}"),
            Self::Hole { object, uid, after, before, missing } => {
                write!(f, "{object} ({uid}): between records {after} and {before} revisions {missing:?} are missing without a mark")
            }
            Self::NotArrived { object, uid, seq, missing } => {
                write!(f, "{object} ({uid}): revisions {missing:?} never arrived, the last record is {seq}")
            }
            Self::DeleteMissing { object, uid, seq, revision } => {
                write!(f, "{object} ({uid}): its end at revision {revision} is not recorded, the last record is {seq}")
            }
            Self::NeverRecorded { object, uid, revisions } => {
                write!(f, "{object} ({uid}): lived from revision {} to {} and was never recorded", revisions.0, revisions.1)
            }
            Self::TypeEndUnmarked { object, uid } => write!(f, "{object} ({uid}): its type went, and no mark says so"),
        }
    }
}

/// What was not recorded for a reason, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excuses {
    /// Versions that said nothing new beside noise.
    pub noise: u64,
    /// Versions from before the first list of their type, which shows the object as it was by then.
    pub before_the_first_list: u64,
    /// Missing versions that the later record owns to.
    pub holes_told_by_record: u64,
    /// Missing versions that a mark between the records covers.
    pub holes_told_by_mark: u64,
    /// Lives that began and ended before the first list or within a gap.
    pub lives_within_gaps: u64,
    /// Lives of types that are not recorded (Leases).
    pub lives_of_excluded_types: u64,
    /// Lives of custom types that came and went before they could be listed.
    pub lives_of_short_types: u64,
    /// Lives and last versions that nobody could see because the type went first; a mark says so.
    pub ends_with_their_type: u64,
    /// Bodies in another API version than the stored one, which are not compared.
    pub bodies_of_other_versions: u64,
}

/// The judge's verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Lives that there were.
    pub lives: u64,
    /// Changes recorded.
    pub changes: u64,
    /// Marks recorded.
    pub marks: u64,
    /// Bodies that were compared.
    pub bodies: u64,
    /// Changes of origin `relist` or `gap`.
    pub after_gaps: u64,
    /// What was excused.
    pub excuses: Excuses,
    /// What must not be; those that waiting may heal come last.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// Whether all violations may heal by waiting (true for none).
    #[must_use]
    pub fn may_heal(&self) -> bool {
        self.violations.iter().all(Violation::is_about_arrival)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Excuses {
            noise,
            before_the_first_list,
            holes_told_by_record,
            holes_told_by_mark,
            lives_within_gaps,
            lives_of_excluded_types,
            lives_of_short_types,
            ends_with_their_type,
            bodies_of_other_versions,
        } = &self.excuses;
        writeln!(
            f,
            "{} lives of objects, {} changes recorded ({} after gaps), {} marks, {} bodies compared",
            self.lives, self.changes, self.after_gaps, self.marks, self.bodies
        )?;
        writeln!(
            f,
            "  not recorded: {noise} versions of noise, {before_the_first_list} from before the first list, {holes_told_by_record} told by the \
             later record, {holes_told_by_mark} by a mark"
        )?;
        writeln!(
            f,
            "  lives not recorded: {lives_within_gaps} within gaps, {lives_of_excluded_types} of excluded types, {lives_of_short_types} of \
             types that went at once; {ends_with_their_type} went unseen with their type"
        )?;
        write!(f, "  not compared: {bodies_of_other_versions} bodies of another API version; violations: {}", self.violations.len())
    }
}
