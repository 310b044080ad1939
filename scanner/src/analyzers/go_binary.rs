//! Go programs: an executable in; the modules compiled into it and the toolchain's standard library out.
//!
//! The linker writes where it was built and from what ("build information"), and stripping leaves it alone.
//! [`build_info`] finds and decodes it; this file says what its lines mean. [`functions`] are what of it all was linked. Format: Go's `debug/buildinfo` and
//! `runtime/debug` packages. Of build settings (`GOOS`, `-tags`, `vcs.revision`) only a version that they
//! state ([`stated`]) is kept: no part of a package can hold the others.

use std::collections::HashSet;

use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::{Problem, ProblemKind};

use super::executable::{self, Executables};
use super::{CapturedFile, Found};
use crate::limits::Limits;

mod build_info;
mod functions;
mod stated;

/// Reads the build information of Go programs.
pub(super) const GO_BINARY: Executables =
    Executables { name: "go-binary", version: 4, magics: executable::MAGICS, read };

fn read(file: &CapturedFile<'_>, limits: &Limits) -> Found {
    let mut found = Found::default();
    if !build_info::is_marked(file.content) {
        return found;
    }
    // The architectures of a universal binary mostly carry the same modules.
    let mut seen = HashSet::new();
    let images = executable::images(file.content);
    for image in &images {
        match build_info::find(image) {
            build_info::Search::Found(info) => {
                // Of several architectures nobody knows which one runs; obfuscators take the modules away.
                if let (1, Some(main)) = (images.len(), info.main_package()) {
                    found.functions = functions::linked(image, main);
                }
                let mut packages = packages(&info, &mut found.problems);
                packages.retain(|package| seen.insert(package.clone()));
                packages.into_iter().for_each(|package| found.push(package));
            }
            build_info::Search::Undecodable => {
                let detail = "a Go program whose build information cannot be decoded";
                found.problems.push(Problem::new(ProblemKind::AnalyzerFailed, detail));
            }
            build_info::Search::Nothing => {}
        }
    }
    if found.packages.len() > limits.packages {
        found.packages.truncate(limits.packages);
        let detail = format!("a Go program states more than {} modules", limits.packages);
        found.problems.push(Problem::new(ProblemKind::LimitExceeded, detail));
    }
    let problems = std::mem::take(&mut found.problems).into_iter();
    found.problems = problems.map(|problem| problem.at(file.path)).collect();
    found
}

/// The standard library, the main module and every module that it needs, replacements resolved.
fn packages(info: &build_info::BuildInfo, problems: &mut Vec<Problem>) -> Vec<Package> {
    let mut packages = vec![standard_library(&info.go_version)];
    if info.modules.is_empty() {
        let detail = "a Go program that was built without module information";
        problems.push(Problem::new(ProblemKind::RecordSkipped, detail));
        return packages;
    }
    let mut skipped = 0_u32;
    let mut last: Option<Package> = None;
    for line in info.modules.lines() {
        let mut fields = line.split('\t');
        let (word, path, version) = (fields.next(), fields.next(), fields.next());
        let (path, version) = (path.unwrap_or_default(), version.unwrap_or_default());
        match word {
            Some("mod" | "dep" | "=>") if path.is_empty() => skipped += 1,
            Some("mod") => {
                let mut main = main_module(path, version);
                if main.version == DEVELOPMENT {
                    main.version = stated::version(&info.modules).unwrap_or(main.version);
                }
                packages.extend(last.replace(main));
            }
            Some("dep") => packages.extend(last.replace(module(path, version))),
            Some("=>") => last = last.map(|original| replaced(original, path, version)),
            // `path` names the main package, `build` a setting; anything else is of a later Go.
            Some(_) | None => {}
        }
    }
    packages.extend(last);
    if skipped > 0 {
        let detail = format!("{skipped} lines of a Go program's build information name no module");
        problems.push(Problem::new(ProblemKind::RecordSkipped, detail));
    }
    packages
}

/// What stands for "no version": built from a directory, not from a published module.
const DEVELOPMENT: &str = "(devel)";

fn module(path: &str, version: &str) -> Package {
    let evidence = match version {
        "" | DEVELOPMENT => Evidence::Unmatched,
        _ => Evidence::Embedded,
    };
    Package::new(PackageKind::Golang, path, version, evidence)
}

/// The module being built has a version only if it was built from a published or tagged, unchanged state.
fn main_module(path: &str, version: &str) -> Package {
    let mut package = module(path, version);
    if version.starts_with("v0.0.0-") || version.ends_with("+dirty") || path == "command-line-arguments" {
        package.evidence = Evidence::Unmatched;
    }
    package
}

/// The module that was built in place of another. A local directory keeps the name of what it replaces, and
/// nobody knows what is in it.
fn replaced(original: Package, path: &str, version: &str) -> Package {
    let is_local = path.starts_with(['.', '/']) || path.get(1..3).is_some_and(|drive| drive == ":\\");
    let replacement = module(path, version);
    if is_local || replacement.evidence == Evidence::Unmatched {
        return Package { evidence: Evidence::Unmatched, ..original };
    }
    replacement
}

/// The standard library at the toolchain's version. A vendor's note about its own patches becomes `vendor`.
fn standard_library(go_version: &str) -> Package {
    let Some((version, vendor)) = release(go_version) else {
        // `devel +abc` is nothing that advisories speak of.
        return Package::new(PackageKind::Golang, "stdlib", go_version, Evidence::Unmatched);
    };
    let mut package = Package::new(PackageKind::Golang, "stdlib", version, Evidence::Embedded);
    package.vendor = vendor;
    package
}

/// `go1.21rc2 X:boringcrypto` as `1.21.0-rc.2`, and what a vendor added: `go1.22.9 (Red Hat 1.22.9-1.el9)`.
///
/// So do advisories write candidates: the tenth must follow the ninth (golang.org/x/vuln, `GoTagToSemver`).
fn release(go_version: &str) -> Option<(String, Option<String>)> {
    let text = go_version.strip_prefix("go")?;
    let numbers_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (numbers, rest) = text.split_at(numbers_end);
    let mut parts: Vec<&str> = numbers.trim_end_matches('.').split('.').collect();
    if parts.len() > 3 || parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    parts.resize(3, "0");
    let mut version = parts.join(".");
    let mut rest = rest;
    for stage in ["alpha", "beta", "rc"] {
        if let Some(after) = rest.strip_prefix(stage) {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            version = match &after[..end] {
                "" => format!("{version}-{stage}"),
                number => format!("{version}-{stage}.{number}"),
            };
            rest = &after[end..];
        }
    }
    Some((version, vendor_note(rest)))
}

/// What follows a version, without the experiments (`X:…`) that the user chose.
fn vendor_note(rest: &str) -> Option<String> {
    let without_experiment = |word| match word {
        word if str::starts_with(word, "X:") => "",
        word => word.split("-X:").next().unwrap_or(word),
    };
    let words: Vec<&str> = rest.split_whitespace().map(without_experiment).collect();
    let note = words.join(" ");
    let note = note.trim().trim_start_matches('(').trim_end_matches(')');
    Some(note.to_owned()).filter(|note| !note.is_empty())
}

#[cfg(test)]
mod tests;
