//! What we last recorded of each living object of one resource type, and what a new sight of one means.
//!
//! Holds fingerprints only, some 70 bytes an object: names, versions and contents are compared for equality, nothing more. Invariant:
//! an entry says the same as the journal's head of that object, once the queue in between is written.

use std::collections::HashMap;

use proreus_model::{Name, Namespace, ResourceVersion, Uid};
use sha2::{Digest, Sha256};

use crate::authorship::Touched;
use crate::noise::Print;

/// Fingerprint of `namespace/name`: one object of a type lives under a name at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(u128);

impl Slot {
    pub(crate) fn of(namespace: &Namespace, name: &Name) -> Self {
        // `/` is in no name and no namespace.
        Self(digest(&[namespace.as_str().as_bytes(), b"/", name.as_str().as_bytes()]))
    }
}

fn touched(former: Content, now: Print) -> Touched {
    match former {
        Content::Print(former) if former.rest == now.rest => Touched::StatusOnly,
        Content::Print(former) if former.status == now.status => Touched::AllButStatus,
        Content::Print(_) | Content::Unlearned | Content::Absent => Touched::Unknown,
    }
}

fn digest(parts: &[&[u8]]) -> u128 {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

fn short(text: &str) -> u64 {
    // Half of the digest: compared only between the versions of one object.
    (digest(&[text.as_bytes()]) >> 64) as u64
}

/// What is known of a recorded content.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// An earlier process recorded it, and it was not looked at yet.
    Unlearned,
    /// It was looked for and is not there; it differs from all.
    Absent,
    Print(Print),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    uid: u64,
    version: u64,
    content: Content,
    /// The listing in which it was last seen.
    listing: u32,
    /// It does not match the label selector any more; what happened since is not known.
    has_left: bool,
}

/// How an object came into view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// In a list, or among the initial events of a streaming list.
    Listed,
    /// Added or modified, by a watch.
    Watched,
}

/// A version of an object, as it was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'s> {
    pub(crate) slot: Slot,
    pub(crate) uid: &'s Uid,
    pub(crate) version: &'s ResourceVersion,
    pub(crate) print: Print,
}

/// What a sight of an object means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This very version is recorded.
    Recorded,
    /// Another version that says nothing new.
    Noise,
    /// First sight.
    New,
    /// A further version.
    Changed {
        /// It was out of sight for a while.
        had_left: bool,
        /// Which part differs from the recorded version, where that is known.
        touched: Touched,
    },
    /// Another object lived under this name; it must be gone.
    Replaced,
    /// Whether it says anything new depends on the recorded content, which must be looked at first (`learn`).
    NeedsContent,
}

/// What an end of an object means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was known and is gone.
    Gone,
    /// It was never seen before.
    Unseen,
    /// Another object lives under this name; the end of this one is recorded.
    Past,
}

/// Fingerprints of the living objects of one type.
#[derive(Debug, Default)]
pub(crate) struct Known {
    entries: HashMap<Slot, Entry>,
    listing: u32,
    drop_noise: bool,
}

impl Known {
    pub(crate) fn new(drop_noise: bool) -> Self {
        Self { drop_noise, ..Self::default() }
    }

    /// Enters an object that an earlier process recorded.
    pub(crate) fn remember(&mut self, slot: Slot, uid: &Uid, version: &ResourceVersion) {
        self.entries.insert(
            slot,
            Entry {
                uid: short(uid.as_str()),
                version: short(version.as_str()),
                content: Content::Unlearned,
                listing: self.listing,
                has_left: false,
            },
        );
    }

    /// Enters the print of the recorded content.
    pub(crate) fn learn(&mut self, slot: Slot, recorded: Option<Print>) {
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.content = recorded.map_or(Content::Absent, Content::Print);
        }
    }

    /// How many objects live.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Begins a listing: what it does not see is absent.
    pub(crate) fn begin_listing(&mut self) {
        self.listing = self.listing.wrapping_add(1);
    }

    /// Slots of the objects that the listing did not see.
    pub(crate) fn absent(&self) -> std::collections::HashSet<Slot> {
        self.entries.iter().filter(|(_, entry)| entry.listing != self.listing).map(|(slot, _)| *slot).collect()
    }

    /// Judges a sight and notes it. After `Replaced` the old one is forgotten, after `NeedsContent` nothing is noted: ask again.
    pub(crate) fn see(&mut self, seen: &Seen<'_>) -> Verdict {
        let (uid, version) = (short(seen.uid.as_str()), short(seen.version.as_str()));
        let fresh = Entry { uid, version, content: Content::Print(seen.print), listing: self.listing, has_left: false };
        let Some(entry) = self.entries.get_mut(&seen.slot) else {
            self.entries.insert(seen.slot, fresh);
            return Verdict::New;
        };
        if entry.uid != uid {
            self.entries.remove(&seen.slot);
            return Verdict::Replaced;
        }
        let had_left = entry.has_left;
        if entry.version == version {
            entry.listing = self.listing;
            entry.has_left = false;
            entry.content = Content::Print(seen.print);
            return Verdict::Recorded;
        }
        if self.drop_noise && matches!(entry.content, Content::Unlearned) {
            return Verdict::NeedsContent;
        }
        let former = std::mem::replace(entry, fresh).content;
        let says_nothing_new = matches!(former, Content::Print(former) if former == seen.print);
        if self.drop_noise && says_nothing_new {
            Verdict::Noise
        } else {
            Verdict::Changed { had_left, touched: touched(former, seen.print) }
        }
    }

    /// Judges the end of an object without noting it.
    pub(crate) fn ending(&self, slot: Slot, uid: &Uid) -> Ending {
        match self.entries.get(&slot) {
            None => Ending::Unseen,
            Some(entry) if entry.uid == short(uid.as_str()) => Ending::Gone,
            Some(_) => Ending::Past,
        }
    }

    /// Takes an object out.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.entries.remove(&slot);
    }

    /// Notes that an object is alive but out of sight.
    pub(crate) fn leave(&mut self, slot: Slot) {
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.has_left = true;
            entry.listing = self.listing;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `rest` or `rest+status`.
    fn print(text: &str) -> Option<Print> {
        let (rest, status) = text.split_once('+').unwrap_or((text, "0"));
        Some(Print { rest: rest.parse().ok()?, status: status.parse().ok()? })
    }

    /// Runs sights `name/uid/version/print`, `list`, `old name/uid/version`, `learn name print`, `end name/uid`, `leave name`, and gives
    /// one word for each.
    fn run(drop_noise: bool, steps: &[&str]) -> Vec<String> {
        let mut known = Known::new(drop_noise);
        let slot = |name: &str| Slot::of(&"ns".into(), &name.into());
        let mut said = Vec::new();
        for step in steps {
            let words: Vec<&str> = step.split([' ', '/']).collect();
            match words.as_slice() {
                ["list"] => known.begin_listing(),
                ["absent"] => said.push(format!("absent {}", known.absent().len())),
                ["old", name, uid, version] => known.remember(slot(name), &(*uid).into(), &(*version).into()),
                ["learn", name, content] => known.learn(slot(name), print(content)),
                ["end", name, uid] => said.push(format!("{:?}", known.ending(slot(name), &(*uid).into()))),
                ["leave", name] => known.leave(slot(name)),
                [name, uid, version, content] => {
                    let (uid, version) = ((*uid).into(), (*version).into());
                    let print = print(content).unwrap_or(Print { rest: 9, status: 9 });
                    said.push(match known.see(&Seen { slot: slot(name), uid: &uid, version: &version, print }) {
                        Verdict::Changed { had_left: false, touched } => format!("Changed {touched:?}"),
                        Verdict::Changed { had_left: true, touched } => format!("Changed {touched:?}, had left"),
                        other => format!("{other:?}"),
                    });
                }
                other => said.push(format!("not a step: {other:?}")),
            }
        }
        said
    }

    #[test]
    fn a_version_is_new_changed_or_recorded() {
        assert_eq!(run(true, &["a/u/1/5", "a/u/1/5", "a/u/2/6", "a/u/2/6"]), ["New", "Recorded", "Changed AllButStatus", "Recorded"]);
    }

    #[test]
    fn an_update_with_the_same_print_is_noise_until_something_changes() {
        assert_eq!(
            run(true, &["a/u/1/5", "a/u/2/5", "a/u/3/6", "a/u/4/5"]),
            ["New", "Noise", "Changed AllButStatus", "Changed AllButStatus"]
        );
        assert_eq!(run(false, &["a/u/1/5", "a/u/2/5"]), ["New", "Changed StatusOnly"]);
    }

    #[test]
    fn what_an_earlier_process_recorded_is_looked_at_before_it_is_judged() {
        assert_eq!(run(true, &["old a/u/1", "a/u/1/5"]), ["Recorded"]);
        assert_eq!(run(true, &["old a/u/1", "a/u/2/5", "learn a 5", "a/u/2/5"]), ["NeedsContent", "Noise"]);
        assert_eq!(run(true, &["old a/u/1", "a/u/2/5", "learn a 4", "a/u/2/5"]), ["NeedsContent", "Changed AllButStatus"]);
        assert_eq!(run(true, &["old a/u/1", "a/u/2/5", "learn a none", "a/u/2/5"]), ["NeedsContent", "Changed Unknown"]);
        assert_eq!(run(false, &["old a/u/1", "a/u/2/5"]), ["Changed Unknown"]);
    }

    #[test]
    fn knows_which_part_of_an_object_changed() {
        assert_eq!(
            run(true, &["a/u/1/5+1", "a/u/2/5+2", "a/u/3/6+2", "a/u/4/7+3"]),
            ["New", "Changed StatusOnly", "Changed AllButStatus", "Changed Unknown"]
        );
    }

    #[test]
    fn the_same_name_with_another_uid_replaces_the_old_one() {
        assert_eq!(run(true, &["a/u/1/5", "a/v/2/5", "a/v/2/5", "end a/u", "end a/v"]), ["New", "Replaced", "New", "Past", "Gone"]);
    }

    #[test]
    fn what_a_listing_did_not_see_is_absent() {
        assert_eq!(run(true, &["a/u/1/5", "b/v/1/5", "old c/w/1", "list", "b/v/1/5", "absent"]), ["New", "New", "Recorded", "absent 2"]);
    }

    #[test]
    fn what_left_the_selection_is_not_absent_and_comes_back_as_a_change() {
        assert_eq!(run(true, &["a/u/1/5", "list", "leave a", "absent", "a/u/3/6"]), ["New", "absent 0", "Changed AllButStatus, had left"]);
    }

    #[test]
    fn the_end_of_what_was_never_seen_is_told_apart() {
        assert_eq!(run(true, &["end a/u"]), ["Unseen"]);
    }
}
