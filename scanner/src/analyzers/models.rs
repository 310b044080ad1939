//! Models of machine learning: what the beginning of a file says about the model, and what a pickle does when it is loaded.
//!
//! GGUF and safetensors hold numbers and a description; they are inventory, for nobody publishes advisories about models.
//! A pickle is a program for Python's unpickler, and PyTorch's files are pickles in a zip archive: whoever loads one runs
//! what it imports (`pickle`). Formats: ggml, "GGUF"; Hugging Face, "Safetensors"; CPython, `pickletools`.

mod gguf;
mod pickle;
mod safetensors;

use shared::model::observation::ObservationKind;
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::report::Severity;

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, FoundObservation, Trigger, lock};
use crate::limits::Limits;

/// Reads the beginnings of models.
pub struct Models;

const GGUF: &[u8] = b"GGUF";
/// The longest word about a model that is kept, in bytes.
const LONGEST: usize = 200;

impl Analyzer for Models {
    fn name(&self) -> &'static str {
        "models"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Magic(GGUF),
            Trigger::Extension(".safetensors"),
            Trigger::Extension(".pkl"),
            Trigger::Extension(".pickle"),
            Trigger::Extension(".joblib"),
            Trigger::Extension(".pt"),
            Trigger::Extension(".pth"),
            Trigger::Extension(".ckpt"),
            Trigger::Name("pytorch_model.bin"),
        ]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.head.starts_with(GGUF) || is_safetensors(file.head) || pickle::is_one(file.head)
    }

    fn class(&self) -> FileClass {
        FileClass::Beginning
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let mut found = Found::default();
        if file.content.starts_with(GGUF) {
            found.push(model(file.path, "gguf", gguf::read(file.content)));
        } else if is_safetensors(file.content) {
            found.push(model(file.path, "safetensors", safetensors::read(file.content)));
        } else {
            found.observations.extend(observation(&pickle::imports(file.content)));
        }
        found
    }
}

/// The length of a JSON object, 64 bits, and its beginning.
fn is_safetensors(head: &[u8]) -> bool {
    head.get(8) == Some(&b'{') && head.get(5..8) == Some(&[0, 0, 0])
}

/// What a file says about its model.
#[derive(Debug, Default, PartialEq, Eq)]
struct Description {
    name: Option<String>,
    version: Option<String>,
    architecture: Option<String>,
    license: Option<String>,
}

/// A model; one without a name is called as its file is.
fn model(path: &str, format: &str, description: Description) -> Package {
    let stated = |text: Option<String>| text.filter(|text| !text.trim().is_empty() && text.len() <= LONGEST);
    let file = lock::file_name(path);
    let name = stated(description.name).unwrap_or_else(|| file.chars().take(LONGEST).collect());
    let version = stated(description.version).unwrap_or_default();
    let mut package = Package::new(PackageKind::Generic, name, version, Evidence::Unmatched);
    package.qualifiers.insert("format".to_owned(), format.to_owned());
    if let Some(architecture) = stated(description.architecture) {
        package.qualifiers.insert("architecture".to_owned(), architecture);
    }
    package.licenses.extend(stated(description.license));
    package
}

/// What to say about a pickle that imports something.
fn observation(imports: &pickle::Imports) -> Option<FoundObservation> {
    let (severity, named, what) = if imports.dangerous.is_empty() {
        (Severity::Negligible, &imports.others, "loading it makes objects of")
    } else {
        (Severity::High, &imports.dangerous, "loading it can run anything by")
    };
    if named.is_empty() {
        return None;
    }
    let shown: Vec<&str> = named.iter().take(5).map(String::as_str).collect();
    let more = if named.len() > shown.len() { " and more" } else { "" };
    Some(FoundObservation {
        rule: "TW-FS-PICKLE".to_owned(),
        kind: ObservationKind::Misconfiguration,
        severity,
        title: format!("A pickle: {what} {}{more}", shown.join(", ")),
        remediation:
            "Load models from safetensors or GGUF, and pickles only from whom you would take a program."
                .to_owned(),
        inner_path: None,
        line: None,
        masked: None,
        fingerprint: None,
        controls: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
