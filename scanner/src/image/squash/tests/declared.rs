//! Lock files beside what was installed, and without it.

use super::{DPKG, check, debian};
use crate::image::built::*;

const LOCK: &str = "app/lock";

#[test]
fn a_lock_file_counts_only_where_nothing_of_its_kind_is_installed_below() {
    let declared = "pkg:maven/a@1 at app/lock from 0";
    check(&[&[file(LOCK, "a 1")]], &[declared]);
    check(&[&[file(LOCK, "a 1"), file("app/lib/a.jar", "a 2")]], &["pkg:maven/a@2 at app/lib/a.jar from 0"]);
    check(
        &[&[file(LOCK, "a 1"), file("other/b.jar", "b 1")]],
        &[declared, "pkg:maven/b@1 at other/b.jar from 0"],
    );
    check(
        &[&[file(LOCK, "a 1"), file("app2/b.jar", "b 1")]],
        &[declared, "pkg:maven/b@1 at app2/b.jar from 0"],
    );
}

#[test]
fn another_kind_of_package_covers_nothing() {
    let binary = file("app/tool", "\x7fELFgo 1");
    check(
        &[&[file(LOCK, "a 1"), binary]],
        &["pkg:golang/go@1 at app/tool from 0", "pkg:maven/a@1 at app/lock from 0"],
    );
    check(
        &[&[debian(), file(DPKG, "bash 5"), file("lock", "a 1")]],
        &[
            "pkg:deb/debian/bash@5?distro=debian-12 at var/lib/dpkg/status from 0",
            "pkg:maven/a@1 at lock from 0",
        ],
    );
}

#[test]
fn removing_what_was_installed_leaves_what_is_declared() {
    let lower: &[Put] = &[file(LOCK, "a 1"), file("app/lib/a.jar", "a 2")];
    check(&[lower, &[file("app/.wh.lib", "")]], &["pkg:maven/a@1 at app/lock from 0"]);
}

#[test]
fn what_the_system_has_says_nothing_about_a_project_at_the_root() {
    check(
        &[&[file("lock", "a 1"), file("usr/share/java/b.jar", "b 1")]],
        &["pkg:maven/a@1 at lock from 0", "pkg:maven/b@1 at usr/share/java/b.jar from 0"],
    );
    check(&[&[file("lock", "a 1"), file("libs/b.jar", "b 1")]], &["pkg:maven/b@1 at libs/b.jar from 0"]);
}

#[test]
fn a_package_that_npm_lists_and_that_is_seen_itself_is_one() {
    let list = file("app/node_modules/.package-lock.json", "a 1\nb 1");
    check(
        &[&[list.clone(), file("app/node_modules/a/package.json", "a 1")]],
        &[
            "pkg:npm/a@1 at app/node_modules/a/package.json from 0",
            "pkg:npm/b@1 at app/node_modules/.package-lock.json from 0",
        ],
    );
    check(
        &[&[list, file("other/node_modules/a/package.json", "a 1")]],
        &[
            "pkg:npm/a@1 at app/node_modules/.package-lock.json from 0",
            "pkg:npm/a@1 at other/node_modules/a/package.json from 0",
            "pkg:npm/b@1 at app/node_modules/.package-lock.json from 0",
        ],
    );
}
