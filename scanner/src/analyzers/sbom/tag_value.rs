//! SPDX 2 in its tag-value form: one `Tag: value` a line, `<text>…</text>` over several lines, `#` for remarks. A package
//! begins with `PackageName` and ends where a file, a snippet or a licence begins. Specification: SPDX 2.3, clause 7.

use std::borrow::Cow;

use super::spdx::{Package, Relationship, Spdx, is_purl};

/// Whether a text is such a document: its first statement is the version.
pub(super) fn is_one(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.next().is_some_and(|line| line.starts_with("SPDXVersion:"))
}

/// What a document states.
pub(super) fn read(text: &str) -> Spdx<'_> {
    let mut spdx = Spdx::default();
    // Statements of files and snippets have the same tags as those of packages.
    let mut is_package = false;
    let mut in_text = false;
    for line in text.lines() {
        if in_text {
            in_text = !line.contains("</text>");
            continue;
        }
        let Some((tag, value)) = statement(line) else { continue };
        in_text = value.contains("<text>") && !value.contains("</text>");
        let value = value.trim_start_matches("<text>").trim_end_matches("</text>").trim();
        match tag {
            "PackageName" => {
                spdx.packages.push(Package { name: Cow::Borrowed(value), ..Package::default() });
                is_package = true;
            }
            "FileName" | "SnippetSPDXID" | "LicenseID" | "Annotator" => is_package = false,
            "Relationship" => spdx.relationships.extend(relationship(value)),
            _ => {
                if let Some(package) = spdx.packages.last_mut().filter(|_| is_package) {
                    state(package, tag, value);
                }
            }
        }
    }
    spdx
}

fn statement(line: &str) -> Option<(&str, &str)> {
    let (tag, value) = line.split_once(':')?;
    let tag = tag.trim();
    (!tag.starts_with('#')).then(|| (tag, value.trim()))
}

fn state<'a>(package: &mut Package<'a>, tag: &str, value: &'a str) {
    match tag {
        "SPDXID" => package.id = Cow::Borrowed(value),
        "PackageVersion" => package.version = Cow::Borrowed(value),
        "PrimaryPackagePurpose" => package.purpose = Cow::Borrowed(value),
        "ExternalRef" => {
            let mut words = value.split_whitespace();
            if let (Some(_category), Some(kind), Some(locator)) = (words.next(), words.next(), words.next())
                && is_purl(kind)
            {
                package.purls.push(Cow::Borrowed(locator));
            }
        }
        _ => {}
    }
}

fn relationship(value: &str) -> Option<Relationship<'_>> {
    let mut words = value.split_whitespace().map(Cow::Borrowed);
    Some(Relationship { from: words.next()?, kind: words.next()?, to: words.next()? })
}
