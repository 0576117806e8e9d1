//! Label selectors: which objects another one means.
//!
//! Pure.

use std::collections::BTreeMap;

use crate::document::{Fields, Node};
use crate::field::{self, Read};

/// A label selector. One without terms matches everything, as in the API; whoever means "nothing" asks `is_empty` first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    equal: BTreeMap<String, String>,
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    key: String,
    operator: String,
    values: Vec<String>,
}

impl Selector {
    /// A plain map of labels, as a Service has.
    ///
    /// # Errors
    /// When a value is no text.
    pub fn of_map(root: Node<'_>, path: &str) -> Read<Self> {
        let mut equal = BTreeMap::new();
        for (key, value) in field::map(root, path)?.into_iter().flatten() {
            let text = value.as_str().ok_or_else(|| field::malformed(path, "a map of texts", value))?;
            equal.insert(key.to_owned(), text.to_owned());
        }
        Ok(Self { equal, terms: Vec::new() })
    }

    /// A selector with `matchLabels` and `matchExpressions`, as workloads have.
    ///
    /// # Errors
    /// When it does not have the form that the API gives it.
    pub fn of_terms(root: Node<'_>, path: &str) -> Read<Self> {
        let mut found = Self::of_map(root, &format!("{path}/matchLabels"))?;
        for term in field::list(root, &format!("{path}/matchExpressions"))? {
            let values = field::list(term, "/values")?.iter().filter_map(Node::as_str).map(str::to_owned).collect();
            let word = |key: &str| field::text(term, key).map(|text| text.unwrap_or_default().to_owned());
            found.terms.push(Term { key: word("/key")?, operator: word("/operator")?, values });
        }
        Ok(found)
    }

    /// Whether it has no terms.
    pub fn is_empty(&self) -> bool {
        self.equal.is_empty() && self.terms.is_empty()
    }

    /// The labels that must be equal.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.equal
    }

    /// Whether these labels are meant.
    pub fn matches(&self, labels: Option<Fields<'_>>) -> bool {
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Node::as_str);
        self.equal.iter().all(|(key, value)| label(key) == Some(value)) && self.terms.iter().all(|term| term.holds(label(&term.key)))
    }
}

impl Term {
    fn holds(&self, label: Option<&str>) -> bool {
        let is_listed = label.is_some_and(|label| self.values.iter().any(|value| value == label));
        match self.operator.as_str() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => label.is_some(),
            "DoesNotExist" => label.is_none(),
            // An operator of a future API: nothing is claimed to match.
            _ => false,
        }
    }
}
