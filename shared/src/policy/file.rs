//! Policy files: YAML in, a [`Policy`] or an error with line and column out.

mod checked;
mod raw;

use std::path::{Path, PathBuf};

use super::Policy;
use crate::model::report::Revision;
use crate::model::verdict::PolicyName;
use raw::RawPolicy;
use serde_saphyr::{MessageFormatter, UserMessageFormatter};

/// Raised whenever the same file could be judged differently.
const ENGINE_VERSION: u32 = 3;
/// A policy file is written by hand; more than this is a mistake.
const LARGEST_FILE: u64 = 4 << 20;

/// Where something stands in a policy file; both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a policy file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read policy {}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than any policy written by hand.
    #[error("policy {} has more than {LARGEST_FILE} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Not YAML, an unknown key, a wrong value; the text names line and column.
    #[error("{0}")]
    Syntax(String),
    /// A rule or exception that contradicts itself or says nothing.
    #[error("{at}: {place}: {reason}")]
    Invalid {
        /// Where in the file.
        at: Position,
        /// Which part: `rules[2] "high"`.
        place: String,
        /// What is wrong and how to repair it.
        reason: String,
    },
    /// Two files define the same policy.
    #[error("policy {name} is defined in {} and in {}; rename one", first.display(), second.display())]
    Duplicate {
        /// The name.
        name: PolicyName,
        /// The file read first.
        first: PathBuf,
        /// The file read after it.
        second: PathBuf,
    },
    /// An error in a file, with the file's name before it.
    #[error("{}", path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: Box<PolicyError>,
    },
}

impl Policy {
    /// Reads and parses one policy file.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let unreadable = |source| PolicyError::Io { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(unreadable)?.len() > LARGEST_FILE {
            return Err(PolicyError::TooLarge(path.to_owned()));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text)
            .map_err(|source| PolicyError::InFile { path: path.to_owned(), source: Box::new(source) })
    }

    /// Parses the text of a policy file. Unknown keys are errors. An exception that has expired is none: it
    /// merely holds no longer, or time alone could stop a server from starting.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let raw: RawPolicy =
            serde_saphyr::from_str(text).map_err(|error| PolicyError::Syntax(told(text, &error)))?;
        let revision = Revision::of(format!("{ENGINE_VERSION}\n{text}").as_bytes());
        checked::policy(raw, text.into(), revision)
    }
}

/// What is wrong with the text as YAML, in one line like every other mistake.
fn told(text: &str, error: &serde_saphyr::Error) -> String {
    if text.trim().is_empty() {
        return "the file is empty; a policy begins with version and name".to_owned();
    }
    let error = error.without_snippet();
    let what = UserMessageFormatter.format_message(error);
    match error.location() {
        Some(at) => format!("{}: {what}", Position { line: at.line(), column: at.column() }),
        None => what.into_owned(),
    }
}

#[cfg(test)]
mod tests;
