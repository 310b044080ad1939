//! Distributions of Python that were installed from a directory of whoever built the image (PEP 610): they are
//! projects of their own, and whatever the index calls so says nothing about them.
//!
//! Where a distribution is from stands in another file than what it is, so that only here both are seen.

use std::collections::HashSet;

use shared::model::package::{Evidence, PackageKind};

use super::Located;
use crate::image::matcher::split;

/// The file that says so.
const ORIGIN: &[u8] = b"direct_url.json";

/// Takes distributions from a directory out of matching; what says where they are from is no second package.
pub(super) fn settle(located: &mut Vec<Located<'_, '_>>) {
    let directories =
        |located: &[Located<'_, '_>], wanted: fn(&Located<'_, '_>) -> bool| -> HashSet<Vec<u8>> {
            let wanted = located.iter().filter(|located| wanted(located));
            wanted.map(|located| split(&located.sighting.path).0.to_vec()).collect()
        };
    let own = directories(located, is_origin);
    if own.is_empty() {
        return;
    }
    let described = directories(located, |located| is_python(located) && !is_origin(located));
    located.retain(|located| !is_origin(located) || !described.contains(split(&located.sighting.path).0));
    for located in located.iter_mut().filter(|located| is_python(located)) {
        if own.contains(split(&located.sighting.path).0) {
            located.package.package.evidence = Evidence::Unmatched;
        }
    }
}

fn is_python(located: &Located<'_, '_>) -> bool {
    located.package.package.kind == PackageKind::PyPi
}

fn is_origin(located: &Located<'_, '_>) -> bool {
    is_python(located) && split(&located.sighting.path).1 == ORIGIN
}
