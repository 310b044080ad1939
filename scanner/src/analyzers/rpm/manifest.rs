//! `container-manifest-2`: what rpm knew when the image was built without a database, one package a line.
//!
//! Tab-separated: name, version-release, install time, build time, vendor, epoch, size, architecture, epoch as
//! a number, source rpm. Written by the build of Azure Linux's distroless images with an rpm query format.

use shared::model::package::{Evidence, Package, PackageKind};

use super::package::{full_version, present, source};
use crate::analyzers::ledger::{Ledger, lines, text};

/// Enters the package of every line.
pub(super) fn read(content: &[u8], ledger: &mut Ledger<'_>) {
    for (number, line) in lines(content).filter(|(_, line)| !line.trim_ascii().is_empty()) {
        if ledger.is_full() {
            return;
        }
        match package(line) {
            Some(package) if package.name == "gpg-pubkey" => {}
            Some(package) => ledger.package(package),
            None => ledger.damage(format_args!("line {number} is not a package of an rpm manifest")),
        }
    }
    if !content.is_empty() && !content.ends_with(b"\n") {
        ledger.damage("the file ends in the middle of a line");
    }
}

fn package(line: &[u8]) -> Option<Package> {
    let mut fields = line.split(|byte| *byte == b'\t').map(text).map(present);
    let mut next = || fields.next();
    let (name, version) = (next()??, next()??);
    let (_installed, _built, vendor, _epoch) = (next()?, next()?, next()?, next()?);
    let (_size, architecture) = (next()?, next()?);
    let epoch = match next()? {
        Some(epoch) => epoch.parse().ok()?,
        None => 0,
    };
    let source = next().flatten().as_deref().and_then(|file| source(file, &version));
    Some(Package {
        kind: PackageKind::Rpm,
        namespace: None,
        name,
        version: full_version(epoch, &version),
        architecture,
        source,
        vendor,
        module: None,
        qualifiers: std::collections::BTreeMap::new(),
        licenses: Vec::new(),
        evidence: Evidence::Installed,
    })
}
