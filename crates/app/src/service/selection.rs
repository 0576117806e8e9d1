//! From the configuration's words to the recorder's settings.
//!
//! Pure.

use proreus_record::{ExactType, NoisePath, NoisePolicy, NoiseRule, RecorderSettings, RedactionSettings, Selection, TypePattern};

use crate::config::{ConfigError, RecordSelection};

/// The recorder's settings under a configuration; `base` says what the configuration does not.
///
/// # Errors
/// A pattern or path that cannot be read, by its key.
pub fn recorder_settings(record: &RecordSelection, base: &RecorderSettings) -> Result<RecorderSettings, ConfigError> {
    let mut label_selectors = Vec::new();
    if let Some(selector) = record.label_selector.as_ref().filter(|selector| !selector.is_empty()) {
        label_selectors.push((pattern("record.labelSelector", 0, "*")?, selector.clone()));
    }
    let exactly = record.exactly.as_ref().map(|list| {
        let exact = |entry: &crate::config::ResourceEntry| ExactType {
            group: entry.group.as_str().into(),
            version: entry.version.as_str().into(),
            resource: entry.plural.as_str().into(),
            kind: entry.kind.as_str().into(),
        };
        list.iter().map(exact).collect()
    });
    let names = |list: &[String]| list.iter().map(|name| name.as_str().into()).collect();
    let mut noise = if record.noise_policy { NoisePolicy::default() } else { NoisePolicy::disabled() };
    for (index, path) in record.noise_paths.iter().enumerate() {
        let path: NoisePath = path.parse().map_err(|error| refuse("record.noisePaths", index, path, &error))?;
        noise.rules.push(NoiseRule { group: None, resource: None, path });
    }
    let mut selection = Selection {
        exactly,
        discover_crds: record.discover_crds,
        include: patterns("record.includeKinds", &record.include_kinds)?,
        include_namespaces: names(&record.include_namespaces),
        exclude_namespaces: names(&record.exclude_namespaces),
        label_selectors,
        ..base.selection.clone()
    };
    selection.exclude.extend(patterns("record.excludeKinds", &record.exclude_kinds)?);
    Ok(RecorderSettings { selection, noise, ..base.clone() })
}

/// What is secret under a configuration.
pub fn redaction_settings(record: &RecordSelection) -> RedactionSettings {
    let mut settings = RedactionSettings::default();
    settings.embedded_annotations.extend(record.drop_annotations.iter().cloned());
    if let Some(words) = &record.redact_env_words {
        settings.env_name_patterns = words.clone();
    }
    settings
}

fn patterns(key: &'static str, list: &[String]) -> Result<Vec<TypePattern>, ConfigError> {
    list.iter().enumerate().map(|(index, text)| pattern(key, index, text)).collect()
}

fn pattern(key: &'static str, index: usize, text: &str) -> Result<TypePattern, ConfigError> {
    text.parse().map_err(|error| refuse(key, index, text, &error))
}

fn refuse(key: &'static str, index: usize, text: &str, error: &impl std::fmt::Display) -> ConfigError {
    ConfigError {
        origin: "configuration".to_owned(),
        key: format!("{key}[{index}]"),
        problem: format!("`{text}` cannot be used: {error}"),
        hint: "write `pods`, `deployments.apps`, `*.example.com` for types, `status.observedTime` for paths".to_owned(),
    }
}
