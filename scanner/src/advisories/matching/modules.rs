//! Modular rpms: one name, several streams that live side by side, and advisories that may not say which.
//!
//! A fix for `nodejs:18` says nothing about `nodejs:20`, although its version is comparable.

use shared::model::report::Confidence;

use super::fixes::RecordFix;
use crate::advisories::record::StoredAdvisory;

/// What is known about the module of an installed rpm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Installed<'p> {
    pub(super) version: &'p str,
    /// `name:stream:version:context`, where the database has it.
    pub(super) label: Option<&'p str>,
}

/// How sure it is that an advisory speaks about the installed stream; `None` if it speaks about another.
pub(super) fn compare(
    installed: Installed<'_>,
    fix: &RecordFix,
    head: &StoredAdvisory,
) -> Option<Confidence> {
    let RecordFix::In(fixed) = fix else {
        return Some(Confidence::Exact);
    };
    let modular = (is_modular(installed.version) || stream_of(installed).is_some(), is_modular(fixed));
    match modular {
        (false, false) => return Some(Confidence::Exact),
        (true, true) => {}
        (true, false) | (false, true) => return None,
    }
    if let (Some((module, stream)), Some(summary)) = (stream_of(installed), head.summary.as_deref())
        && let Some(announced) = announced_stream(summary, module)
    {
        return (announced == stream).then_some(Confidence::Exact);
    }
    let of_other_stream = head
        .summary
        .as_deref()
        .and_then(announced_line)
        .is_some_and(|line| is_of_line(fixed, line) && !is_of_line(installed.version, line));
    if of_other_stream || platform(installed.version) != platform(fixed) {
        return None;
    }
    let (own, other) = (line(installed.version), line(fixed));
    (own.0 == other.0).then_some(Confidence::ModuleUnverified)
}

fn is_modular(version: &str) -> bool {
    version.contains(".module")
}

/// Module and stream of the label; `(none)` is what some distributions write for "I do not know".
fn stream_of(installed: Installed<'_>) -> Option<(&str, &str)> {
    let mut parts = installed.label?.split(':');
    let (module, stream) = (parts.next()?, parts.next()?);
    (!module.is_empty() && module != "(none)" && !stream.is_empty()).then_some((module, stream))
}

/// The stream of a module that an announcement's title names: `Moderate: ruby:3.3 security update`.
fn announced_stream<'s>(summary: &'s str, module: &str) -> Option<&'s str> {
    summary.split_whitespace().find_map(|word| word.strip_prefix(module)?.strip_prefix(':'))
}

/// The stream that a title names for whatever module, where it is a version as most streams are: the 3.3 of `ruby:3.3`.
fn announced_line(summary: &str) -> Option<&str> {
    let mut streams = summary.split_whitespace().filter_map(|word| word.split_once(':'));
    streams.find_map(|(_, stream)| stream.starts_with(|first: char| first.is_ascii_digit()).then_some(stream))
}

/// Whether the upstream version begins with the numbers of a stream. A module's libraries have numbers of their own.
fn is_of_line(version: &str, stream: &str) -> bool {
    let rest = upstream(version).strip_prefix(stream);
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

/// The `elN` of a release.
fn platform(version: &str) -> Option<&str> {
    let start = version.find(".module")?;
    let release = &version[start..];
    let start = release.find("el")? + "el".len();
    let digits = release[start..].bytes().take_while(u8::is_ascii_digit).count();
    Some(&release[start..start + digits])
}

/// The first two numbers of the upstream version.
fn line(version: &str) -> (&str, &str) {
    let mut numbers = upstream(version).split('.');
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

/// The version without epoch and release.
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    version.split('-').next().unwrap_or(version)
}
