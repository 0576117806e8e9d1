//! Label and field selectors: parsing as the API server does, and matching stored objects.

use serde_json::Value;

use crate::resource::ResourceDef;
use crate::status::ApiError;
use crate::tree;

/// Which objects a list or watch is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone, Debug)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

#[derive(Clone, Debug)]
struct FieldRequirement {
    field: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// Reads both selectors of a request about a type.
    pub(crate) fn parse(labels: &str, fields: &str, def: &ResourceDef) -> Result<Self, ApiError> {
        let labels = split_outside(labels).into_iter().map(requirement).collect::<Result<_, _>>()?;
        let fields =
            fields.split(',').filter(|part| !part.is_empty()).map(|part| field_requirement(part, def)).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// A selector of labels as objects carry them: `matchLabels` and `matchExpressions`, or a plain map.
    pub(crate) fn of_labels(selector: &Value) -> Self {
        let mut labels = Vec::new();
        let plain = selector.get("matchLabels").is_none() && selector.get("matchExpressions").is_none();
        let map = if plain { Some(selector) } else { selector.get("matchLabels") };
        for (key, value) in map.and_then(Value::as_object).into_iter().flatten() {
            labels.push(Requirement::In(key.clone(), vec![value.as_str().unwrap_or_default().to_owned()]));
        }
        for expression in tree::items(selector, "/matchExpressions") {
            let key = tree::text(expression, "/key").to_owned();
            let values = tree::items(expression, "/values").iter().filter_map(Value::as_str).map(str::to_owned).collect();
            labels.push(match tree::text(expression, "/operator") {
                "NotIn" => Requirement::NotIn(key, values),
                "Exists" => Requirement::Exists(key),
                "DoesNotExist" => Requirement::Missing(key),
                _ => Requirement::In(key, values),
            });
        }
        Self { labels, fields: Vec::new() }
    }

    /// True when every object matches.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// True for an object that is meant.
    pub(crate) fn matches(&self, value: &Value) -> bool {
        self.labels.iter().all(|requirement| requirement.holds(value)) && self.fields.iter().all(|requirement| requirement.holds(value))
    }
}

impl Requirement {
    fn holds(&self, value: &Value) -> bool {
        let label = |key: &str| value.get("metadata").and_then(|meta| meta.get("labels")?.get(key)?.as_str());
        let number = |key: &str| label(key).and_then(|text| text.parse::<i64>().ok());
        match self {
            Self::In(key, values) => label(key).is_some_and(|label| values.iter().any(|value| value == label)),
            Self::NotIn(key, values) => label(key).is_none_or(|label| values.iter().all(|value| value != label)),
            Self::Exists(key) => label(key).is_some(),
            Self::Missing(key) => label(key).is_none(),
            Self::Greater(key, bound) => number(key).is_some_and(|number| number > *bound),
            Self::Less(key, bound) => number(key).is_some_and(|number| number < *bound),
        }
    }
}

/// Splits at commas that are not within brackets.
fn split_outside(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

fn requirement(text: &str) -> Result<Requirement, ApiError> {
    let wrong = || ApiError::bad_request(format!("unable to parse requirement: found '{text}', expected: identifier"));
    let checked = |key: &str| if is_label_key(key.trim()) { Ok(key.trim().to_owned()) } else { Err(wrong()) };
    if let Some(key) = text.strip_prefix('!') {
        return checked(key).map(Requirement::Missing);
    }
    for (word, negative) in [(" notin ", true), (" in ", false), (" notin(", true), (" in(", false)] {
        if let Some((key, values)) = text.split_once(word) {
            let values = values.trim().trim_start_matches('(').trim_end_matches(')');
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            let key = checked(key)?;
            return Ok(if negative { Requirement::NotIn(key, values) } else { Requirement::In(key, values) });
        }
    }
    if let Some((key, value)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(checked(key)?, vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(checked(key)?, vec![value.trim().to_owned()]));
    }
    if let Some((key, value)) = text.split_once('>') {
        return Ok(Requirement::Greater(checked(key)?, value.trim().parse().map_err(|_| wrong())?));
    }
    if let Some((key, value)) = text.split_once('<') {
        return Ok(Requirement::Less(checked(key)?, value.trim().parse().map_err(|_| wrong())?));
    }
    checked(text).map(Requirement::Exists)
}

fn is_label_key(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
}

/// Fields that may be selected by, beside `metadata.name` and `metadata.namespace`: kind, field, place in the stored object.
const FIELDS: &[(&str, &str, &str)] = &[
    ("Pod", "spec.nodeName", "/spec/nodeName"),
    ("Pod", "spec.restartPolicy", "/spec/restartPolicy"),
    ("Pod", "spec.schedulerName", "/spec/schedulerName"),
    ("Pod", "spec.serviceAccountName", "/spec/serviceAccountName"),
    ("Pod", "spec.hostNetwork", "/spec/hostNetwork"),
    ("Pod", "status.phase", "/status/phase"),
    ("Pod", "status.podIP", "/status/podIP"),
    ("Pod", "status.nominatedNodeName", "/status/nominatedNodeName"),
    ("Event", "involvedObject.kind", "/involvedObject/kind"),
    ("Event", "involvedObject.namespace", "/involvedObject/namespace"),
    ("Event", "involvedObject.name", "/involvedObject/name"),
    ("Event", "involvedObject.uid", "/involvedObject/uid"),
    ("Event", "involvedObject.apiVersion", "/involvedObject/apiVersion"),
    ("Event", "involvedObject.resourceVersion", "/involvedObject/resourceVersion"),
    ("Event", "involvedObject.fieldPath", "/involvedObject/fieldPath"),
    ("Event", "regarding.kind", "/involvedObject/kind"),
    ("Event", "regarding.namespace", "/involvedObject/namespace"),
    ("Event", "regarding.name", "/involvedObject/name"),
    ("Event", "regarding.uid", "/involvedObject/uid"),
    ("Event", "regarding.apiVersion", "/involvedObject/apiVersion"),
    ("Event", "regarding.resourceVersion", "/involvedObject/resourceVersion"),
    ("Event", "regarding.fieldPath", "/involvedObject/fieldPath"),
    ("Event", "reason", "/reason"),
    ("Event", "reportingComponent", "/reportingComponent"),
    ("Event", "reportingController", "/reportingComponent"),
    ("Event", "source", "/source/component"),
    ("Event", "type", "/type"),
    ("Node", "spec.unschedulable", "/spec/unschedulable"),
    ("Secret", "type", "/type"),
    ("Namespace", "status.phase", "/status/phase"),
    ("ReplicaSet", "status.replicas", "/status/replicas"),
    ("ReplicationController", "status.replicas", "/status/replicas"),
    ("Job", "status.successful", "/status/succeeded"),
    ("Service", "spec.clusterIP", "/spec/clusterIP"),
    ("Service", "spec.type", "/spec/type"),
];

fn field_requirement(text: &str, def: &ResourceDef) -> Result<FieldRequirement, ApiError> {
    let (field, value, equal) = if let Some((field, value)) = text.split_once("!=") {
        (field, value, false)
    } else if let Some((field, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (field, value, true)
    } else {
        return Err(ApiError::bad_request(format!("invalid selector: '{text}'; can't understand '{text}'")));
    };
    let known = matches!(field, "metadata.name" | "metadata.namespace")
        || !def.is_custom() && FIELDS.iter().any(|(kind, name, _)| *kind == def.kind && *name == field && dialect_has(def, field));
    if !known {
        let own = FIELDS.iter().any(|(kind, _, _)| *kind == def.kind) && !def.is_custom();
        let message = match own {
            true => format!("field label not supported: {field}"),
            false => format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
        };
        return Err(ApiError::bad_request(message));
    }
    let place = FIELDS.iter().find(|(kind, name, _)| *kind == def.kind && *name == field).map(|(_, _, place)| (*place).to_owned());
    let place = place.unwrap_or_else(|| format!("/{}", field.replace('.', "/")));
    Ok(FieldRequirement { field: place, value: value.to_owned(), equal })
}

fn dialect_has(def: &ResourceDef, field: &str) -> bool {
    let core_only = field.starts_with("involvedObject.") || matches!(field, "reportingComponent" | "source");
    let new_only = field.starts_with("regarding.") || field == "reportingController";
    if def.group == "events.k8s.io" { !core_only } else { !new_only }
}

impl FieldRequirement {
    fn holds(&self, value: &Value) -> bool {
        let found = match value.pointer(&self.field) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None if self.field == "/spec/unschedulable" || self.field == "/spec/hostNetwork" => "false".to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        (found == self.value) == self.equal
    }
}
