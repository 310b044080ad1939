//! Checks of the final file system: modes, and files that an image is better without.
//!
//! What one layer put there is one finding.

use std::collections::BTreeMap;

use shared::model::report::Severity;

use super::facts::{self, Group, Kept, KeptKind, Trait};
use super::{Check, Finding, Image, few};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "TW-FS-SETID",
        severity: Severity::Medium,
        remediation: "Take the bits away (chmod a-s, setcap -r) in the command that installs the program, or leave it out; \
                      and deny privilege escalation where it is deployed.",
        controls: &["CIS-DI-4.8"],
        judge: privileged,
    },
    Check {
        id: "TW-FS-WORLD-WRITABLE",
        severity: Severity::Low,
        remediation: "Give the files to the user that the image runs as, and let nobody else write to them (chmod o-w).",
        controls: &[],
        judge: world_writable,
    },
    Check {
        id: "TW-FS-CACHE",
        severity: Severity::Low,
        remediation: "Remove caches in the command that fills them, or mount a cache while building.",
        controls: &["CIS-DI-4.3"],
        judge: caches,
    },
    Check {
        id: "TW-FS-SSHD",
        severity: Severity::Medium,
        remediation: "Leave out servers for logins, and keys that open them; use what the cluster offers (exec, ephemeral containers).",
        controls: &["CIS-DI-4.3"],
        judge: logins,
    },
    Check {
        id: "TW-FS-SUDO",
        severity: Severity::Low,
        remediation: "Leave sudo out: run as the right user from the start.",
        controls: &["CIS-DI-4.3"],
        judge: |image| each_layer(image, Trait::Sudo, "sudo is installed"),
    },
    Check {
        id: "TW-FS-TOOLS",
        severity: Severity::Negligible,
        remediation: "Build in one stage and copy what runs into a base without tools.",
        controls: &["CIS-DI-4.3"],
        judge: tools,
    },
    Check {
        id: "TW-FS-JUNK",
        severity: Severity::Low,
        remediation: "Name them in .dockerignore, or copy only what the image needs.",
        controls: &["CIS-DI-4.3"],
        judge: leftovers,
    },
    Check {
        id: "TW-FS-UNOWNED",
        severity: Severity::Negligible,
        remediation: "Nothing, if you know where they are from; advisories for OS packages say nothing about them.",
        controls: &["CIS-DI-4.11"],
        judge: |image| each_layer(image, Trait::Unowned, "Executables that no package owns"),
    },
];

/// Programs that need their bits and that every distribution checks again and again, by name.
const WELL_KNOWN: &[&str] = &[
    "at",
    "bwrap",
    "chage",
    "chfn",
    "chsh",
    "crontab",
    "dbus-daemon-launch-helper",
    "doas",
    "dotlockfile",
    "expiry",
    "fusermount",
    "fusermount3",
    "gpasswd",
    "grub2-set-bootflag",
    "ksu",
    "mount",
    "mount.cifs",
    "mount.nfs",
    "mtr-packet",
    "newgidmap",
    "newgrp",
    "newuidmap",
    "pam_timestamp_check",
    "passwd",
    "ping",
    "ping6",
    "pkexec",
    "polkit-agent-helper-1",
    "ssh-agent",
    "ssh-keysign",
    "su",
    "sudo",
    "sudoedit",
    "umount",
    "unix_chkpwd",
    "unix_update",
    "userhelper",
    "usernetctl",
    "utempter",
    "wall",
    "write",
    "bsd-write",
    "arping",
    "clockdiff",
    "gst-ptp-helper",
    "bbsuid",
];

/// Where distributions install programs: a well-known name elsewhere is somebody else's program.
const HOMES: &[&str] =
    &["bin/", "sbin/", "usr/bin/", "usr/sbin/", "usr/lib/", "usr/libexec/", "lib/", "lib64/", "usr/lib64/"];

fn privileged(image: &Image<'_>) -> Vec<Finding> {
    let group = image.facts.group(Trait::Privileged);
    let is_known = |kept: &&Kept| {
        let name = kept.path.rsplit('/').next().unwrap_or_default();
        WELL_KNOWN.contains(&name) && HOMES.iter().any(|home| kept.path.starts_with(home))
    };
    let mut findings = by_layer(group.kept.iter().filter(|kept| !is_known(kept)), |_| {
        "Programs that run with other rights than their user's".to_owned()
    });
    let known = by_layer(group.kept.iter().filter(is_known), |_| {
        "Well-known programs that run with other rights than their user's".to_owned()
    });
    findings.extend(known.into_iter().map(|finding| finding.rated(Severity::Negligible)));
    with_cut(findings, group)
}

fn world_writable(image: &Image<'_>) -> Vec<Finding> {
    let group = image.facts.group(Trait::WorldWritable);
    let runtime = &image.config.config;
    let is_started = |path: &str| {
        let words = runtime.entrypoint.iter().chain(&runtime.cmd);
        words.filter_map(|word| word.strip_prefix('/')).any(|word| word == path)
    };
    let is_critical = |kept: &&Kept| {
        let path = kept.path.as_str();
        let folders = ["etc/", "lib/", "lib64/", "usr/lib/", "usr/lib64/", "usr/local/lib/"];
        let is_path = ["bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin", "etc"];
        facts::is_in_path(path.as_bytes())
            || is_started(path)
            || folders.iter().any(|folder| path.starts_with(folder))
            || kept.kind == KeptKind::Directory && is_path.contains(&path)
    };
    let critical = by_layer(group.kept.iter().filter(is_critical), |_| {
        "Anybody may change what others execute or are configured by".to_owned()
    });
    let mut findings =
        by_layer(group.kept.iter().filter(|kept| !is_critical(kept)), |_| "Anybody may write to".to_owned());
    findings.extend(critical.into_iter().map(|finding| finding.rated(Severity::Medium)));
    with_cut(findings, group)
}

fn caches(image: &Image<'_>) -> Vec<Finding> {
    let group = image.facts.group(Trait::Cache);
    let titled = |files: &[&Kept]| {
        let bytes = files.iter().fold(0_u64, |sum, kept| sum.saturating_add(kept.size));
        format!("Caches of package managers, {} KiB", bytes.div_ceil(1024))
    };
    with_cut(by_layer(group.kept.iter(), titled), group)
}

/// What no application needs, and every intruder would bring.
const OF_INTRUDERS: &[&str] = &[
    "gdb",
    "masscan",
    "nc.openbsd",
    "nc.traditional",
    "ncat",
    "nmap",
    "socat",
    "strace",
    "tcpdump",
    "telnet",
    "tshark",
];

fn tools(image: &Image<'_>) -> Vec<Finding> {
    let group = image.facts.group(Trait::Tool);
    let is_of_intruders =
        |kept: &&Kept| OF_INTRUDERS.contains(&kept.path.rsplit('/').next().unwrap_or_default());
    let mut findings = by_layer(group.kept.iter().filter(|kept| !is_of_intruders(kept)), |_| {
        "Tools that help whoever breaks in".to_owned()
    });
    let worse = by_layer(group.kept.iter().filter(is_of_intruders), |_| {
        "Tools that whoever breaks in would bring".to_owned()
    });
    findings.extend(worse.into_iter().map(|finding| finding.rated(Severity::Low)));
    with_cut(findings, group)
}

fn logins(image: &Image<'_>) -> Vec<Finding> {
    let mut findings = each_layer(image, Trait::LoginServer, "A server for logins is installed");
    findings.extend(each_layer(image, Trait::AuthorizedKeys, "Keys are let in that came with the image"));
    findings
}

fn leftovers(image: &Image<'_>) -> Vec<Finding> {
    let group = image.facts.group(Trait::Leftover);
    let gives_away = |kept: &&Kept| {
        [".git/HEAD", ".svn/wc.db", ".aws/credentials", ".kube/config"]
            .iter()
            .any(|end| kept.path.ends_with(end))
            || kept.path.contains(".ssh/")
    };
    let worse = by_layer(group.kept.iter().filter(gives_away), |_| {
        "Left over from building: version control, or somebody's logins".to_owned()
    });
    let mut findings = by_layer(group.kept.iter().filter(|kept| !gives_away(kept)), |_| {
        "Left over from building".to_owned()
    });
    findings.extend(worse.into_iter().map(|finding| finding.rated(Severity::Medium)));
    with_cut(findings, group)
}

fn each_layer(image: &Image<'_>, of: Trait, title: &str) -> Vec<Finding> {
    let group = image.facts.group(of);
    with_cut(by_layer(group.kept.iter(), |_| title.to_owned()), group)
}

/// One finding a layer, about all of its files.
fn by_layer<'k>(
    files: impl Iterator<Item = &'k Kept>,
    title: impl Fn(&[&'k Kept]) -> String,
) -> Vec<Finding> {
    let mut layers: BTreeMap<u16, Vec<&Kept>> = BTreeMap::new();
    for kept in files {
        layers.entry(kept.layer).or_default().push(kept);
    }
    let finding = |(layer, files): (u16, Vec<&'k Kept>)| {
        let paths: Vec<&str> = files.iter().map(|kept| kept.path.as_str()).collect();
        let named = few(&paths);
        Finding::new(format!("{}: {named}", title(&files))).in_files(layer, &paths)
    };
    layers.into_iter().map(finding).collect()
}

/// A flood is a finding of its own: something may hide in it.
fn with_cut(mut findings: Vec<Finding>, group: &Group) -> Vec<Finding> {
    if group.is_cut {
        findings.push(Finding::new("There are so many such files that not all were looked at"));
    }
    findings
}
