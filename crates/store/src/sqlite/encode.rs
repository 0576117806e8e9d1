//! What a new body is coded against: the version before, the object's first version, a sibling, the dictionary, nothing.
//!
//! Pure choice over what it is given and what it remembers; it reads no file. Invariant: whatever it codes against stands in the same
//! file, and no body has more than a run, a first version and `DEEPEST_SIBLING` siblings behind it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use memchr::memmem;

use super::generations::Generations;
use super::rows::{DEEPEST_SIBLING, Decoded, LONGEST_RUN};
use crate::codec::body::{Known, strip};
use crate::codec::header::Coding;
use crate::codec::zstd_frame::{Against, Dictionary, Packer, train};

/// First versions before the first dictionary is trained: fewer hold too little of the cluster's habits.
const SAMPLES: usize = 1_000;

/// First versions between two trainings.
const FIRST_VERSIONS_BETWEEN: usize = 20_000;

/// Bytes of samples kept for a training: what some thousand pods weigh.
const SAMPLE_BYTES: usize = 5 << 20;

/// Dictionaries in one file: the cluster's habits do not change more often in a day.
const MOST_DICTIONARIES: u32 = 3;

/// Larger dictionaries gain little: 112 KB is zstd's own default, and it is stored once a day.
const DICTIONARY_BYTES: usize = 112 << 10;

/// A sibling serves so many, then a nearer one takes its place.
const SIBLING_USES: u32 = 32;

/// A version of another object that first versions of its kin are coded against.
#[derive(Clone, Debug)]
struct Sibling {
    key: i64,
    body: Arc<Decoded>,
    uses: u32,
}

/// The object's own earlier versions, as far as they serve.
#[derive(Clone, Debug)]
pub(super) enum Own {
    /// None is in the file, or none has a body.
    Nothing,
    /// The version before.
    Previous(Arc<Decoded>),
    /// The run is full: the object's first version and its row.
    First(i64, Arc<Decoded>),
}

/// A body ready to be stored.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) coding: Coding,
    pub(super) frame: Vec<u8>,
    /// `None` for a change without body.
    pub(super) body: Option<Arc<Decoded>>,
}

/// Where a body will stand and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) key: i64,
    pub(super) object: i64,
    /// Number of the resource type: siblings are of one type.
    pub(super) class: u32,
    pub(super) is_event: bool,
    pub(super) event_time: Option<Timestamp>,
}

/// The writer's memory of bodies.
#[derive(Debug)]
pub(super) struct Encoder {
    /// Last version of each object, by object id.
    last: Generations<i64, Arc<Decoded>>,
    siblings: Generations<u64, Sibling>,
    dictionary: Option<Arc<Dictionary>>,
    samples: Vec<Arc<Decoded>>,
    sample_bytes: usize,
    first_versions: usize,
    packer: Packer,
}

impl Encoder {
    /// Remembers bodies up to `limit` bytes.
    pub(super) fn new(limit: usize, dictionary: Option<Arc<Dictionary>>) -> Self {
        Self {
            last: Generations::new(limit / 3 * 2),
            siblings: Generations::new(limit / 3),
            dictionary,
            samples: Vec::new(),
            sample_bytes: 0,
            first_versions: 0,
            packer: Packer::new(),
        }
    }

    pub(super) fn last(&mut self, object: i64) -> Option<Arc<Decoded>> {
        self.last.get(&object)
    }

    pub(super) fn forget_last(&mut self, object: i64) {
        self.last.remove(&object);
    }

    pub(super) fn remember_last(&mut self, object: i64, body: &Arc<Decoded>) {
        self.last.put(object, Arc::clone(body), body.stripped.len());
    }

    pub(super) fn dictionary(&self) -> Option<&Arc<Dictionary>> {
        self.dictionary.as_ref()
    }

    pub(super) fn set_dictionary(&mut self, dictionary: Arc<Dictionary>) {
        self.dictionary = Some(dictionary);
    }

    /// Codes a body.
    pub(super) fn encode(&mut self, body: Option<&[u8]>, known: &Known<'_>, own: Own, at: Standing) -> std::io::Result<Encoded> {
        let Some(body) = body else { return Ok(Encoded { coding: Coding::Absent, frame: Vec::new(), body: None }) };
        let stripped = strip(body, known);
        let decoded = |run, siblings| Decoded {
            stripped: stripped.bytes.clone(),
            literal: stripped.literal,
            event_time: at.event_time,
            run,
            siblings,
        };
        let (coding, frame, decoded) = match own {
            Own::Previous(previous) if previous.run < LONGEST_RUN => {
                let prefix = previous.for_next();
                let decoded = decoded(previous.run + 1, previous.siblings);
                if prefix == stripped.bytes {
                    (Coding::Same, Vec::new(), decoded)
                } else {
                    (Coding::Previous, self.packer.pack(&stripped.bytes, Against::Body(&prefix))?, decoded)
                }
            }
            Own::First(key, first) => {
                let frame = self.packer.pack(&stripped.bytes, Against::Body(&first.for_next()))?;
                (Coding::Earlier(at.key - key), frame, decoded(0, first.siblings))
            }
            Own::Nothing | Own::Previous(_) => {
                let kin = kin(body, at);
                let (coding, frame, siblings) = self.encode_first(&stripped.bytes, &kin, at.key)?;
                let decoded = decoded(0, siblings);
                let body = Arc::new(decoded);
                self.remember_first(&kin, at.key, &body);
                self.remember_last(at.object, &body);
                return Ok(Encoded { coding, frame, body: Some(body) });
            }
        };
        let body = Arc::new(decoded);
        self.remember_last(at.object, &body);
        Ok(Encoded { coding, frame, body: Some(body) })
    }

    fn encode_first(&mut self, stripped: &[u8], kin: &[u64], key: i64) -> std::io::Result<(Coding, Vec<u8>, u8)> {
        for kin in kin {
            if let Some(mut sibling) = self.siblings.get(kin) {
                let frame = self.packer.pack(stripped, Against::Body(&sibling.body.stripped))?;
                sibling.uses += 1;
                let (coding, depth, weight) = (Coding::Sibling(key - sibling.key), sibling.body.siblings + 1, sibling.body.stripped.len());
                self.siblings.put(*kin, sibling, weight);
                return Ok((coding, frame, depth));
            }
        }
        match &self.dictionary {
            Some(dictionary) => {
                let frame = self.packer.pack(stripped, Against::Dictionary(dictionary))?;
                Ok((Coding::Dictionary(dictionary.generation), frame, 0))
            }
            None => Ok((Coding::Alone, self.packer.pack(stripped, Against::Nothing)?, 0)),
        }
    }

    fn remember_first(&mut self, kin: &[u64], key: i64, body: &Arc<Decoded>) {
        self.first_versions += 1;
        if self.samples.len() < SAMPLES && self.sample_bytes + body.stripped.len() <= SAMPLE_BYTES {
            self.sample_bytes += body.stripped.len();
            self.samples.push(Arc::clone(body));
        }
        for kin in kin {
            let worn = self.siblings.get(kin).is_none_or(|sibling| sibling.uses >= SIBLING_USES);
            if body.siblings < DEEPEST_SIBLING || worn {
                let deepest = body.siblings >= DEEPEST_SIBLING;
                // A body at the deepest level serves nobody; forgetting the worn one makes the next body a fresh start.
                let sibling = Sibling { key, body: Arc::clone(body), uses: 0 };
                self.siblings.put(*kin, sibling, if deepest { usize::MAX } else { body.stripped.len() });
            }
        }
    }

    /// Samples for a dictionary that is due.
    pub(super) fn samples_due(&mut self) -> Option<Vec<Arc<Decoded>>> {
        let generation = self.dictionary.as_ref().map_or(0, |dictionary| dictionary.generation);
        let full = self.samples.len() >= SAMPLES || self.sample_bytes + (SAMPLE_BYTES / 16) > SAMPLE_BYTES;
        let due = generation == 0 || self.first_versions >= FIRST_VERSIONS_BETWEEN;
        if !full || !due || generation >= MOST_DICTIONARIES {
            return None;
        }
        self.first_versions = 0;
        self.sample_bytes = 0;
        Some(std::mem::take(&mut self.samples))
    }
}

/// A dictionary made of samples; `None` when they hold too little.
pub(super) fn train_dictionary(samples: &[Arc<Decoded>]) -> Option<Vec<u8>> {
    let samples: Vec<&[u8]> = samples.iter().map(|body| body.stripped.as_slice()).collect();
    train(&samples, DICTIONARY_BYTES)
}

/// Keys under which kin find each other, the nearest first: Events by reason and by what they regard, other objects by their owner, and
/// everything by its class. A wrong guess costs bytes and nothing else.
fn kin(body: &[u8], at: Standing) -> Vec<u64> {
    let class = hash(&at.class);
    if at.is_event {
        let regarded = after(body, b"\"involvedObject\":{").or_else(|| after(body, b"\"regarding\":{")).unwrap_or_default();
        let kind = string_after(regarded, b"\"kind\":\"");
        // The pods of one owner share all but the last part of their names.
        let family = string_after(regarded, b"\"name\":\"").map(|name| name.get(..memchr::memrchr(b'-', name).unwrap_or(name.len())));
        let reason = string_after(body, b"\"reason\":\"");
        return vec![hash(&(at.class, reason, kind, family)), hash(&(at.class, reason, kind)), class];
    }
    let owner = after(body, b"\"ownerReferences\":[").and_then(|rest| string_after(rest, b"\"uid\":\""));
    owner.map(|owner| hash(&(at.class, owner))).into_iter().chain([class]).collect()
}

fn after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    text.get(memmem::find(text, mark)? + mark.len()..)
}

/// The JSON string that begins after `mark`; escapes are kept as they stand.
fn string_after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let rest = after(text, mark)?;
    rest.get(..memchr::memchr(b'"', rest)?)
}

fn hash(key: &impl Hash) -> u64 {
    // Only equality within one process matters, so the standard library's fixed keys will do.
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
