//! Custom resource definitions: from the definition object to a served type.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::resource::{ResourceDef, Traits, table_name};
use crate::tree;

/// What one version of a custom resource declares.
#[derive(Debug, Clone)]
pub(crate) struct CustomVersion {
    /// `openAPIV3Schema`.
    pub(crate) schema: Option<Value>,
    /// `additionalPrinterColumns`.
    pub(crate) columns: Vec<Value>,
    /// `subresources.scale`.
    pub(crate) scale: Option<Value>,
    /// Whether the version has a status subresource.
    pub(crate) status: bool,
}

/// The type that a definition asks for; `None` while it serves no version.
pub(crate) fn served_type(definition: &Value) -> Option<ResourceDef> {
    let group = tree::text(definition, "/spec/group");
    let names = "/spec/names";
    let text = |field: &str| tree::text(definition, &format!("{names}/{field}")).to_owned();
    let list = |field: &str| -> Vec<String> {
        tree::items(definition, &format!("{names}/{field}")).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut custom = BTreeMap::new();
    let mut versions = Vec::new();
    let mut storage_version = String::new();
    for version in tree::items(definition, "/spec/versions") {
        let name = tree::text(version, "/name").to_owned();
        if tree::flag(version, "/storage") {
            storage_version = name.clone();
        }
        if tree::flag(version, "/served") {
            versions.push(name.clone());
            custom.insert(name, custom_version(version));
        }
    }
    versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
    if versions.is_empty() {
        return None;
    }
    let status = custom.values().any(|version: &CustomVersion| version.status);
    let scale = custom.values().any(|version| version.scale.is_some());
    let plural = text("plural");
    let kind = text("kind");
    let list_kind = Some(text("listKind")).filter(|kind| !kind.is_empty()).unwrap_or_else(|| format!("{kind}List"));
    let singular = Some(text("singular")).filter(|name| !name.is_empty()).unwrap_or_else(|| kind.to_lowercase());
    Some(ResourceDef {
        group: group.to_owned(),
        versions,
        storage_version,
        list_kind,
        singular,
        short_names: list("shortNames"),
        categories: list("categories"),
        namespaced: tree::text(definition, "/spec/scope") == "Namespaced",
        traits: Traits { status, scale, generation: true, create_only: false },
        table: table_name(group, &plural),
        plural,
        kind,
        custom,
    })
}

fn custom_version(version: &Value) -> CustomVersion {
    CustomVersion {
        schema: version.pointer("/schema/openAPIV3Schema").cloned(),
        columns: tree::items(version, "/additionalPrinterColumns").to_vec(),
        scale: version.pointer("/subresources/scale").cloned(),
        status: version.pointer("/subresources/status").is_some(),
    }
}

/// Order of versions: stable before beta before alpha, higher before lower, anything else last.
fn priority(version: &str) -> (u8, u64, u64) {
    let parse = || -> Option<(u8, u64, u64)> {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, stage) = rest.split_at(digits);
        let major: u64 = major.parse().ok()?;
        match stage {
            "" => Some((3, major, 0)),
            _ => {
                let (rank, minor) =
                    stage.strip_prefix("beta").map(|minor| (2, minor)).or_else(|| stage.strip_prefix("alpha").map(|minor| (1, minor)))?;
                Some((rank, major, minor.parse().ok()?))
            }
        }
    };
    parse().unwrap_or((0, 0, 0))
}
