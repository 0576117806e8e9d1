//! The list of what is longer than the rule allows. One entry a line: `function PATH NAME LINES` or `file PATH LINES`, a reason after `#`.
//!
//! The list may only shrink: an entry is lowered or removed by `--tighten`, and nothing but a person's hand adds one.

use std::collections::BTreeMap;
use std::fmt;

use super::complaint::Complaint;
use super::lengths::{FILE_LINES, FUNCTION_LINES, Lengths};

/// Where the list lies.
pub(crate) const PATH: &str = "xtask/ratchet.txt";

/// Something that has a length.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measured {
    /// A file without its tests.
    File {
        /// Its path.
        path: String,
    },
    /// A function.
    Function {
        /// The file it stands in.
        path: String,
        /// Its name, behind that of its type or trait.
        name: String,
    },
}

impl Measured {
    /// The file to open.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::File { path } | Self::Function { path, .. } => path,
        }
    }

    /// The most lines that need no entry.
    pub(crate) fn limit(&self) -> usize {
        match self {
            Self::File { .. } => FILE_LINES,
            Self::Function { .. } => FUNCTION_LINES,
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { .. } => f.write_str("the file"),
            Self::Function { name, .. } => write!(f, "function `{name}`"),
        }
    }
}

/// The entries with the lines they are allowed.
#[derive(Debug, Default)]
pub(crate) struct Ratchet {
    entries: BTreeMap<Measured, usize>,
}

impl Ratchet {
    /// Reads the list; the first line that is no entry is complained of.
    pub(crate) fn parse(text: &str) -> Result<Self, Complaint> {
        let mut entries = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            match entry(line) {
                Some(Ok((measured, lines))) => drop(entries.insert(measured, lines)),
                Some(Err(())) => {
                    let hint = "write `function PATH NAME LINES` or `file PATH LINES`, with the reason behind a `#`";
                    return Err(Complaint::of_line(PATH, index + 1, "not an entry of the ratchet list", hint));
                }
                None => {}
            }
        }
        Ok(Self { entries })
    }

    /// Lines allowed to `measured`, if it is listed.
    pub(crate) fn allowed(&self, measured: &Measured) -> Option<usize> {
        self.entries.get(measured).copied()
    }

    /// What is listed.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Measured> {
        self.entries.keys()
    }

    /// The same text with lower numbers where things have shrunk, and without the entries that are no longer needed.
    pub(crate) fn tightened(&self, text: &str, lengths: &Lengths) -> String {
        let mut kept = String::new();
        for line in text.lines() {
            match entry(line) {
                Some(Ok((measured, listed))) => match lengths.get(&measured) {
                    Some((length, _)) if *length > measured.limit() => {
                        kept.push_str(&line.replacen(&format!(" {listed}"), &format!(" {}", listed.min(*length)), 1));
                        kept.push('\n');
                    }
                    Some(_) | None => {}
                },
                Some(Err(())) | None => {
                    kept.push_str(line);
                    kept.push('\n');
                }
            }
        }
        kept
    }
}

/// An entry; `None` for an empty line or one that is all comment, `Err` for anything else.
fn entry(line: &str) -> Option<Result<(Measured, usize), ()>> {
    let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
    match words.as_slice() {
        [] => None,
        ["file", path, lines] => Some(lines.parse().map(|lines| (Measured::File { path: (*path).to_owned() }, lines)).map_err(drop)),
        ["function", path, name, lines] => {
            let measured = Measured::Function { path: (*path).to_owned(), name: (*name).to_owned() };
            Some(lines.parse().map(|lines| (measured, lines)).map_err(drop))
        }
        _ => Some(Err(())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_line_that_is_no_entry() {
        for line in ["function a.rs 80", "file a.rs many", "module a 3"] {
            let complaint = Ratchet::parse(&format!("# fine\n\n{line}")).expect_err("it is no entry");
            assert_eq!(complaint.line, Some(3), "{line}");
        }
    }

    #[test]
    fn tightening_lowers_and_removes_but_never_raises() {
        let text = "# why\nfunction a.rs grown 80\nfunction a.rs shrunk 90 # a table\nfunction a.rs short 72\nfile gone.rs 600\n";
        let of = |name: &str| Measured::Function { path: "a.rs".to_owned(), name: name.to_owned() };
        let lengths = Lengths::from([(of("grown"), (85, 1)), (of("shrunk"), (75, 1)), (of("short"), (70, 1))]);
        let tightened = Ratchet::parse(text).expect("well formed").tightened(text, &lengths);
        assert_eq!(tightened, "# why\nfunction a.rs grown 80\nfunction a.rs shrunk 75 # a table\n");
    }
}
