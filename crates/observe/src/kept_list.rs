//! A list that is kept: written from where it stands, one element at a time, and read into a vector.
//!
//! Pure. What is remembered of a large cluster is written every few minutes; a copy of it would be the largest thing in memory.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

type Walk<'a, T> = Box<dyn Fn() -> Box<dyn Iterator<Item = T> + 'a> + 'a>;

/// The list; its elements are made while it is written.
pub enum KeptList<'a, T> {
    /// Still where it stands.
    Lent(Walk<'a, T>),
    /// Read.
    Read(Vec<T>),
}

impl<'a, T: 'a> KeptList<'a, T> {
    /// A list that is walked whenever it is written.
    pub fn lent<I: Iterator<Item = T> + 'a>(walk: impl Fn() -> I + 'a) -> Self {
        Self::Lent(Box::new(move || Box::new(walk())))
    }

    /// Its elements.
    pub fn into_elements(self) -> Vec<T> {
        match self {
            Self::Lent(walk) => walk().collect(),
            Self::Read(elements) => elements,
        }
    }
}

impl<T: Serialize> Serialize for KeptList<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Lent(walk) => serializer.collect_seq(walk()),
            Self::Read(elements) => serializer.collect_seq(elements),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for KeptList<'_, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_often_as_asked_and_reads_the_same() {
        let names = ["a".to_owned(), "b".to_owned()];
        let lent = KeptList::lent(|| names.iter().map(String::len));
        let text = serde_json::to_string(&lent).expect("written");
        assert_eq!(serde_json::to_string(&lent).expect("written again"), text);
        let read: KeptList<'static, usize> = serde_json::from_str(&text).expect("read");
        assert_eq!(read.into_elements(), [1, 1]);
        assert_eq!(lent.into_elements(), [1, 1]);
    }
}
