//! The JSON Schema of policy files, for editors. What it cannot say (dates, keys, expressions) `policy check`
//! says; whatever it refuses, the parser refuses too.

use serde_json::{Value, json};

use super::{PodRule, expression};
use crate::model::observation::ObservationKind;
use crate::model::package::PackageKind;
use crate::model::problem::{ProblemKind, Weight};
use crate::model::report::Severity;

/// The schema, draft 2020-12.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:tidewaiter:policy:1",
        "title": "Tidewaiter policy, version 1",
        "type": "object",
        "additionalProperties": false,
        "required": ["version", "name"],
        "properties": {
            "version": { "const": 1 },
            "name": { "type": "string", "pattern": "^[a-z0-9-]{1,63}$", "description": "What ?policy= names." },
            "mode": { "enum": ["enforce", "audit"], "description": "audit: gates never deny, they say what they would have done." },
            "scope": { "$ref": "#/$defs/scope" },
            "registries": object(&["allow"], json!({
                "allow": list_of(json!({ "$ref": "#/$defs/image" }), 1),
                "otherwise": { "$ref": "#/$defs/effect" },
            })),
            "pods": object(&[], pods()),
            "rules": list_of(json!({ "$ref": "#/$defs/rule" }), 0),
            "observations": list_of(json!({ "$ref": "#/$defs/observation_rule" }), 0),
            "licenses": list_of(json!({ "$ref": "#/$defs/license_rule" }), 0),
            "image": list_of(json!({ "$ref": "#/$defs/image_rule" }), 0),
            "signatures": list_of(json!({ "$ref": "#/$defs/signature" }), 0),
            "problems": object(&[], problems()),
            "exceptions": list_of(json!({ "$ref": "#/$defs/exception" }), 0),
            "advisories_max_age_days": days(),
            "platforms": list_of(json!({ "type": "string", "pattern": "^[^/]+/[^/]+(/[^/]+)?$" }), 0),
            "on_unknown": { "$ref": "#/$defs/fail_mode" },
            "on_pending": { "$ref": "#/$defs/fail_mode" },
            "on_error": { "$ref": "#/$defs/fail_mode" },
            "on_stale": { "$ref": "#/$defs/fail_mode" },
        },
        "$defs": definitions(),
    })
}

fn definitions() -> Value {
    json!({
        "effect": { "enum": ["deny", "warn"] },
        "fail_mode": { "enum": ["allow", "deny", "wait"] },
        "level": { "enum": ["off", "warn", "deny"] },
        "image": {
            "type": "string",
            "description": "host/repository, each with *; a star in the host ends at the slash",
            "pattern": "^([^/]*[.:*][^/]*|localhost)/[^:@]+$",
        },
        "glob": { "type": "string", "minLength": 1, "maxLength": 512, "description": "* stands for any characters" },
        "purl": { "type": "string", "pattern": "^pkg:[^*]*\\*?$" },
        "cel": { "type": "string", "minLength": 1, "maxLength": expression::LONGEST },
        "scope": object(&[], json!({
            "repositories": list_of(json!({ "$ref": "#/$defs/image" }), 0),
            "namespaces": list_of(json!({ "$ref": "#/$defs/glob" }), 0),
            "labels": table_of(json!({ "$ref": "#/$defs/glob" })),
        })),
        "rule": object(&["name", "when", "then"], json!({
            "name": name(),
            "when": object(&[], conditions()),
            "then": { "enum": ["deny", "warn", "ignore"] },
            "grace": object(&["days"], json!({
                "days": { "type": "integer", "minimum": 1, "maximum": 3650 },
                "from": { "enum": ["published", "fix"] },
            })),
        })),
        "observation_rule": object(&["name", "when", "then"], json!({
            "name": name(),
            "when": object(&[], observation_conditions()),
            "then": { "enum": ["deny", "warn", "ignore"] },
        })),
        "license_rule": object(&["name", "when", "then"], json!({
            "name": name(),
            "when": object(&[], license_conditions()),
            "then": { "enum": ["deny", "warn", "ignore"] },
        })),
        "image_rule": object(&["name", "when", "then"], json!({
            "name": name(),
            "when": object(&[], image_conditions()),
            "then": { "$ref": "#/$defs/effect" },
        })),
        "signature": object(&["name", "keys"], json!({
            "name": name(),
            "keys": list_of(json!({ "type": "string", "pattern": "-----BEGIN PUBLIC KEY-----" }), 1),
            "then": { "$ref": "#/$defs/effect" },
        })),
        "exception": exception(),
    })
}

fn conditions() -> Value {
    let ecosystems: Vec<&str> = PackageKind::ALL.iter().map(|kind| kind.purl_type()).collect();
    let severities: Vec<&str> = Severity::WORST_FIRST.iter().map(|severity| severity.name()).collect();
    json!({
        "severity": list_of(json!({ "enum": severities }), 0),
        "kind": list_of(json!({ "enum": ["vulnerability", "malware", "informational"] }), 0),
        "fixable": { "type": "boolean" },
        "known_exploited": { "type": "boolean" },
        "epss_at_least": { "type": "number", "minimum": 0, "maximum": 1 },
        "ecosystem": list_of(json!({ "enum": ecosystems }), 0),
        "package": { "$ref": "#/$defs/purl" },
        "published_days_at_least": days(),
        "fix_days_at_least": days(),
        "origin": list_of(json!({ "enum": ["base", "app"] }), 0),
        "cel": { "$ref": "#/$defs/cel" },
    })
}

fn observation_conditions() -> Value {
    let severities: Vec<&str> = Severity::WORST_FIRST.iter().map(|severity| severity.name()).collect();
    let kinds: Vec<&str> = ObservationKind::ALL.iter().map(|kind| kind.name()).collect();
    json!({
        "kind": list_of(json!({ "enum": kinds }), 0),
        "severity": list_of(json!({ "enum": severities }), 0),
        "check": list_of(json!({ "$ref": "#/$defs/glob" }), 0),
        "path": list_of(json!({ "$ref": "#/$defs/glob" }), 0),
        "visible": { "type": "boolean" },
    })
}

fn license_conditions() -> Value {
    let ecosystems: Vec<&str> = PackageKind::ALL.iter().map(|kind| kind.purl_type()).collect();
    let licenses = || list_of(json!({ "$ref": "#/$defs/glob" }), 0);
    json!({
        "requires": licenses(),
        "beyond": licenses(),
        "stated": list_of(json!({ "enum": ["missing", "unknown"] }), 0),
        "ecosystem": list_of(json!({ "enum": ecosystems }), 0),
        "package": { "$ref": "#/$defs/purl" },
    })
}

fn image_conditions() -> Value {
    json!({
        "runs_as_root": { "type": "boolean" },
        "exposes": list_of(json!({ "$ref": "#/$defs/glob" }), 0),
        "lacks_labels": list_of(json!({ "type": "string" }), 0),
        "labels": table_of(json!({ "$ref": "#/$defs/glob" })),
        "healthcheck": { "type": "boolean" },
        "secrets_in_environment": { "type": "boolean" },
        "environment": list_of(json!({ "$ref": "#/$defs/glob" }), 0),
        "built_days_at_least": days(),
        "scanned_days_at_least": days(),
        "advisories_days_at_least": days(),
        "support_ends_within_days": days(),
        "cel": { "$ref": "#/$defs/cel" },
    })
}

fn exception() -> Value {
    let mut exception = object(
        &["owner", "reason", "expires"],
        json!({
            "advisory": { "type": "string", "description": "By any of its names." },
            "package": { "$ref": "#/$defs/purl" },
            "observation": { "$ref": "#/$defs/glob", "description": "A check, for example TW-SEC-PRIVATE-KEY." },
            "path": { "$ref": "#/$defs/glob", "description": "The file of the observation." },
            "license": { "$ref": "#/$defs/glob", "description": "The licence expression, for example AGPL-*." },
            "scope": { "$ref": "#/$defs/scope" },
            "owner": { "type": "string", "pattern": "\\S" },
            "reason": { "type": "string", "pattern": "\\S" },
            "expires": { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "The last day on which it holds, UTC." },
        }),
    );
    exception["anyOf"] = json!([{ "required": ["advisory"] }, { "required": ["package"] }, { "required": ["observation"] }, { "required": ["license"] }]);
    exception
}

fn pods() -> Value {
    PodRule::ALL.iter().map(|rule| (rule.name().to_owned(), json!({ "$ref": "#/$defs/level" }))).collect()
}

fn problems() -> Value {
    let blocking = ProblemKind::ALL.iter().filter(|kind| kind.weight() == Weight::Blocking);
    blocking.map(|kind| (kind.slug().to_owned(), json!({ "enum": ["deny", "warn", "accept"] }))).collect()
}

fn object(required: &[&str], properties: Value) -> Value {
    let mut schema = json!({ "type": "object", "additionalProperties": false, "required": required });
    schema["properties"] = properties;
    schema
}

fn list_of(items: Value, least: usize) -> Value {
    let mut schema = json!({ "type": "array", "minItems": least });
    schema["items"] = items;
    schema
}

fn table_of(values: Value) -> Value {
    let mut schema = json!({ "type": "object" });
    schema["additionalProperties"] = values;
    schema
}

fn name() -> Value {
    json!({ "type": "string", "pattern": "\\S", "description": "For people, in reasons; unique in the policy." })
}

fn days() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}
