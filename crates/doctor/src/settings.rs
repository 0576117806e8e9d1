//! What may be configured of the doctor: checks switched off, other graces, severities and thresholds, and silences that end.
//!
//! Pure. Later rules win over earlier ones, and any rule over the check's own entry.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proreus_observe::Observed;
use serde::{Deserialize, Serialize};

use crate::check::{Check, Severity};
use crate::checks;

/// The `doctor` part of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DoctorSettings {
    /// How long something must be wrong before it is told, for checks without a value of their own.
    pub grace_seconds: Option<u32>,
    /// By check id.
    pub checks: BTreeMap<String, CheckSettings>,
    /// By check, namespace and labels; later ones win.
    pub rules: Vec<Rule>,
    /// What is not told for a time.
    pub silences: Vec<Silence>,
}

/// What is configured for one check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CheckSettings {
    /// `false` switches it off.
    pub enabled: Option<bool>,
    /// How long something must be wrong before it is told.
    pub grace_seconds: Option<u32>,
    /// Severity of every finding.
    pub severity: Option<Severity>,
    /// By the threshold's name.
    pub thresholds: BTreeMap<String, i64>,
}

/// Settings for some objects only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// For these objects.
    #[serde(default)]
    pub matching: Matching,
    /// `false` switches the check off.
    pub enabled: Option<bool>,
    /// How long something must be wrong before it is told.
    pub grace_seconds: Option<u32>,
    /// Severity of every finding.
    pub severity: Option<Severity>,
    /// By the threshold's name.
    #[serde(default)]
    pub thresholds: BTreeMap<String, i64>,
}

/// What is not told until a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Silence {
    /// For these objects.
    #[serde(default)]
    pub matching: Matching,
    /// Until when; a silence without an end is a check that was switched off, and is written as such.
    pub until: Timestamp,
    /// Why, for whoever finds it later.
    #[serde(default)]
    pub reason: String,
}

/// Which checks of which objects; what is left out matches everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Matching {
    /// Check id.
    pub check: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: Option<String>,
    /// Labels of the object, all of them.
    pub labels: BTreeMap<String, String>,
}

/// Settings that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// There is no such check.
    #[error("{path}: there is no check `{found}`; `proreus explain` lists them")]
    UnknownCheck {
        /// Where in the configuration.
        path: String,
        /// What was written.
        found: String,
    },
    /// The check has no such threshold.
    #[error("{path}: `{check}` has no threshold `{found}`, allowed: {allowed}")]
    UnknownThreshold {
        /// Where in the configuration.
        path: String,
        /// Of which check.
        check: String,
        /// What was written.
        found: String,
        /// What may be written.
        allowed: String,
    },
}

impl DoctorSettings {
    /// Looks for checks and thresholds that do not exist.
    ///
    /// # Errors
    /// The first of them.
    pub fn validate(&self) -> Result<(), SettingsError> {
        for (id, settings) in &self.checks {
            let check = known(&format!("doctor.checks.{id}"), id)?;
            thresholds(&format!("doctor.checks.{id}.thresholds"), check, &settings.thresholds)?;
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if let Some(id) = &rule.matching.check {
                let check = known(&format!("doctor.rules[{index}].matching.check"), id)?;
                thresholds(&format!("doctor.rules[{index}].thresholds"), check, &rule.thresholds)?;
            }
        }
        for (index, silence) in self.silences.iter().enumerate() {
            if let Some(id) = &silence.matching.check {
                known(&format!("doctor.silences[{index}].matching.check"), id)?;
            }
        }
        Ok(())
    }

    /// What holds for a check on an object.
    pub fn of(&self, check: &Check, object: &Observed) -> CheckSettings {
        let mut settings = match self.checks.is_empty() {
            true => CheckSettings::default(),
            false => self.checks.get(check.id).cloned().unwrap_or_default(),
        };
        settings.grace_seconds = settings.grace_seconds.or(self.grace_seconds);
        for rule in self.rules.iter().filter(|rule| rule.matching.matches(check, object)) {
            settings.enabled = rule.enabled.or(settings.enabled);
            settings.grace_seconds = rule.grace_seconds.or(settings.grace_seconds);
            settings.severity = rule.severity.or(settings.severity);
            settings.thresholds.extend(rule.thresholds.iter().map(|(name, value)| (name.clone(), *value)));
        }
        settings
    }

    /// Until when findings of a check on an object are not told.
    pub fn silenced_until(&self, check: &Check, object: &Observed, now: Timestamp) -> Option<Timestamp> {
        let fitting = self.silences.iter().filter(|silence| silence.until > now && silence.matching.matches(check, object));
        fitting.map(|silence| silence.until).max()
    }
}

impl Matching {
    fn matches(&self, check: &Check, object: &Observed) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.check, check.id)
            && is(&self.namespace, object.id.namespace.as_str())
            && is(&self.name, object.name())
            && self.labels.iter().all(|(key, value)| object.label(key) == Some(value))
    }
}

fn known(path: &str, id: &str) -> Result<&'static Check, SettingsError> {
    checks::by_id(id).ok_or_else(|| SettingsError::UnknownCheck { path: path.to_owned(), found: id.to_owned() })
}

fn thresholds(path: &str, check: &Check, given: &BTreeMap<String, i64>) -> Result<(), SettingsError> {
    let names: Vec<&str> = check.thresholds.iter().map(|threshold| threshold.name).collect();
    match given.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(SettingsError::UnknownThreshold {
            path: path.to_owned(),
            check: check.id.to_owned(),
            found: name.clone(),
            allowed: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        }),
    }
}
