//! From the words a person narrows a question with to an exact filter: names of clusters become ids, any form of a kind becomes kinds.

use proreus_model::{ClusterId, Filter, Group, Kind, Manager, Name, Namespace, Origin, Resource, ResourceType, Uid, Verb};

use super::Questions;
use crate::AppError;
use crate::kinds::resolve_kind;

/// A group that no API can have, for a selection that contradicts itself: it matches nothing, as any other that fits nothing.
const NO_GROUP: &str = "/";

/// What a question is narrowed by. An empty list means any; the entries of one list are alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Ids or configured names.
    pub clusters: Vec<String>,
    /// Namespaces; `_` and `""` are the cluster scope.
    pub namespaces: Vec<String>,
    /// API groups; `core` and `""` are the core group.
    pub groups: Vec<String>,
    /// Kinds, plurals, singulars or short names, in any case, optionally with `.group`.
    pub kinds: Vec<String>,
    /// Lower-case plurals, exact.
    pub resources: Vec<String>,
    /// Names, exact.
    pub names: Vec<String>,
    /// Incarnations.
    pub uids: Vec<String>,
    /// What happened.
    pub verbs: Vec<Verb>,
    /// How it became known.
    pub origins: Vec<Origin>,
    /// Field managers, exact.
    pub managers: Vec<String>,
}

impl Questions {
    /// The filter of a selection, for changes.
    ///
    /// # Errors
    /// Kinds that one filter cannot name together, or a journal that cannot be read.
    pub fn select(&self, selection: &Selection) -> Result<Filter, AppError> {
        let clusters: Result<Vec<ClusterId>, AppError> = selection.clusters.iter().map(|word| self.cluster(word)).collect();
        let named: Vec<Group> = selection.groups.iter().map(|group| group_of(group)).collect();
        let (groups, kinds, mut resources) = match selection.kinds.is_empty() {
            true => (named, Vec::new(), Vec::new()),
            false => kinds_of(&selection.kinds, &named, &self.journal.types()?)?,
        };
        if resources.is_empty() {
            resources = texts(&selection.resources);
        } else if !selection.resources.is_empty() {
            resources.retain(|resource: &Resource| selection.resources.iter().any(|of| of == resource.as_str()));
            if resources.is_empty() {
                resources.push(Resource::from(NO_GROUP));
            }
        }
        let namespaces = selection.namespaces.iter().map(|word| Namespace::from(if word == "_" { "" } else { word.as_str() }));
        Ok(Filter {
            clusters: clusters?,
            groups,
            kinds,
            resources,
            namespaces: namespaces.collect(),
            names: texts::<Name>(&selection.names),
            uids: texts::<Uid>(&selection.uids),
            verbs: selection.verbs.clone(),
            origins: selection.origins.clone(),
            managers: texts::<Manager>(&selection.managers),
            ..Filter::changes()
        })
    }
}

/// A group by the word for it.
pub fn group_of(word: &str) -> Group {
    Group::from(if word == "core" { "" } else { word })
}

fn texts<T: for<'a> From<&'a str>>(words: &[String]) -> Vec<T> {
    words.iter().map(|word| T::from(word.as_str())).collect()
}

type GroupsKindsResources = (Vec<Group>, Vec<Kind>, Vec<Resource>);

/// Groups, kinds and resources that together mean exactly what the words mean, within `named` groups where any are named.
fn kinds_of(words: &[String], named: &[Group], types: &[ResourceType]) -> Result<GroupsKindsResources, AppError> {
    let (mut groups, mut kinds, mut resources): GroupsKindsResources = (Vec::new(), Vec::new(), Vec::new());
    let mut asked: Vec<(Group, Kind)> = Vec::new();
    let (mut unknown_kinds, mut unknown_resources) = (Vec::new(), Vec::new());
    for word in words {
        let found = resolve_kind(word, types);
        if found.groups.is_empty() {
            unknown_kinds.extend(found.kinds);
            unknown_resources.extend(found.resources);
            continue;
        }
        let of_word = types.iter().filter(|of| found.groups.contains(&of.group) && found.kinds.contains(&of.kind));
        let wanted = of_word.filter(|of| named.is_empty() || named.contains(&of.group));
        asked.extend(wanted.map(|of| (of.group.clone(), of.kind.clone())));
    }
    for (group, kind) in &asked {
        groups.push(group.clone());
        kinds.push(kind.clone());
    }
    if asked.is_empty() {
        // Nothing by these words is kept: they are taken literally, so that they match nothing now and the right thing later.
        let known_elsewhere = unknown_kinds.is_empty() && unknown_resources.is_empty();
        groups = if known_elsewhere { vec![Group::from(NO_GROUP)] } else { named.to_vec() };
        kinds = unknown_kinds;
        if kinds.is_empty() {
            resources = unknown_resources;
        }
        return Ok((groups, kinds, resources));
    }
    refuse_unasked(words, &asked, types, &groups, &kinds)?;
    groups.sort();
    groups.dedup();
    kinds.sort();
    kinds.dedup();
    Ok((groups, kinds, resources))
}

/// A filter is groups times kinds; refuses words whose product would hold a type that nobody asked for.
fn refuse_unasked(
    words: &[String],
    asked: &[(Group, Kind)],
    types: &[ResourceType],
    groups: &[Group],
    kinds: &[Kind],
) -> Result<(), AppError> {
    let product = types.iter().filter(|of| groups.contains(&of.group) && kinds.contains(&of.kind));
    let unasked = product.map(|of| (of.group.clone(), of.kind.clone())).find(|of| !asked.contains(of));
    match unasked {
        None => Ok(()),
        Some((group, kind)) => Err(AppError::BadParameter {
            name: "kind",
            found: words.join(","),
            allowed: format!("ask for these kinds one by one: together they would take in {kind} of group `{group}` too"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> Vec<ResourceType> {
        let of = |group: &str, kind: &str, resource: &str| ResourceType {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            resource: resource.into(),
            namespaced: true,
        };
        vec![
            of("", "Pod", "pods"),
            of("", "Event", "events"),
            of("events.k8s.io", "Event", "events"),
            of("apps", "Deployment", "deployments"),
        ]
    }

    fn check(words: &[&str], named: &[&str], expected: &str) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let named: Vec<Group> = named.iter().map(|group| group_of(group)).collect();
        let found = match kinds_of(&words, &named, &types()) {
            Ok((groups, kinds, resources)) => format!("{groups:?} {kinds:?} {resources:?}"),
            Err(error) => error.hint(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn alternatives_of_several_groups_are_named_together() {
        check(&["po", "deploy"], &[], r#"["", "apps"] ["Deployment", "Pod"] []"#);
        check(&["events"], &[], r#"["", "events.k8s.io"] ["Event"] []"#);
    }

    #[test]
    fn a_named_group_narrows_a_kind_of_several() {
        check(&["events"], &["core"], r#"[""] ["Event"] []"#);
        check(&["po"], &["apps"], r#"["/"] [] []"#);
    }

    #[test]
    fn an_unknown_word_beside_a_known_one_takes_nothing_away() {
        check(&["po", "widgets"], &[], r#"[""] ["Pod"] []"#);
        check(&["widgets"], &[], r#"[] [] ["widgets"]"#);
    }

    #[test]
    fn refuses_words_that_would_take_in_what_nobody_asked_for() {
        check(&["events.events.k8s.io", "po"], &[], "ask for these kinds one by one: together they would take in Event of group `` too");
    }
}
