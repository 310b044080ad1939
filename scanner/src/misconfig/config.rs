//! Checks of the config: who the image runs as, what it opens, mounts and starts.

use shared::model::report::Severity;

use super::facts::Program;
use super::{Check, Finding, Image, few};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "TW-CFG-USER",
        severity: Severity::Medium,
        remediation: "Add a user and end the build with USER and its number, so that the cluster can tell that it is not root.",
        controls: &["CIS-DI-4.1"],
        judge: user,
    },
    Check {
        id: "TW-CFG-HEALTHCHECK",
        severity: Severity::Negligible,
        remediation: "Add a HEALTHCHECK, or probes where it is deployed; Kubernetes ignores the image's own.",
        controls: &["CIS-DI-4.6"],
        judge: healthcheck,
    },
    Check {
        id: "TW-CFG-PORTS",
        severity: Severity::Medium,
        remediation: "Do not offer services that send passwords in the clear or give control without one.",
        controls: &[],
        judge: ports,
    },
    Check {
        id: "TW-CFG-VOLUME",
        severity: Severity::Medium,
        remediation: "Declare volumes for the data of the application only.",
        controls: &[],
        judge: volumes,
    },
    Check {
        id: "TW-CFG-CMD",
        severity: Severity::Low,
        remediation: "Set ENTRYPOINT or CMD to a program that is in the image and may be executed.",
        controls: &[],
        judge: command,
    },
    Check {
        id: "TW-CFG-LATEST",
        severity: Severity::Low,
        remediation: "Name the base image by a version, better by a digest.",
        controls: &["CIS-DI-4.2"],
        judge: latest,
    },
];

fn user(image: &Image<'_>) -> Vec<Finding> {
    let user = image.config.config.user.trim();
    let name = user.split(':').next().unwrap_or_default();
    let title = if image.is_windows() {
        name.to_ascii_lowercase()
            .ends_with("containeradministrator")
            .then(|| "It runs as the container's administrator".to_owned())
    } else if name.is_empty() {
        Some("It runs as root: no user is set".to_owned())
    } else if name == "root" || name.trim_start_matches(['+', '-']).bytes().all(|byte| byte == b'0') {
        Some("It runs as root".to_owned())
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        None
    } else {
        return named(image, name);
    };
    title.map(|title| image.cause("USER", Finding::new(title).in_config("config.User"))).into_iter().collect()
}

/// A name means what the image's own table of accounts says.
fn named(image: &Image<'_>, name: &str) -> Vec<Finding> {
    let accounts = &image.facts.accounts;
    let finding = match accounts.iter().find(|account| account.name == name) {
        Some(account) if account.uid == 0 => Finding::new(format!("It runs as root, whom it calls {name}")),
        Some(_) => return Vec::new(),
        // Without a table, or with one that was not read to its end, nobody knows.
        None if accounts.is_empty() || image.facts.accounts_cut => return Vec::new(),
        None => Finding::new(format!("It runs as {name}, whom etc/passwd does not know: it will not start"))
            .rated(Severity::Low),
    };
    vec![image.cause("USER", finding.in_config("config.User"))]
}

fn healthcheck(image: &Image<'_>) -> Vec<Finding> {
    let title = match image.config.config.healthcheck.test.first().map(String::as_str) {
        None => "It has no health check",
        Some("NONE") => "Its health check is switched off",
        Some(_) => return Vec::new(),
    };
    vec![image.cause("HEALTHCHECK", Finding::new(title).in_config("config.Healthcheck"))]
}

/// Ports of services that no container should offer.
const PORTS: &[(&str, &str)] = &[
    ("21", "FTP"),
    ("22", "SSH"),
    ("23", "telnet"),
    ("512", "rexec"),
    ("513", "rlogin"),
    ("514", "rsh"),
    ("2375", "Docker without TLS"),
    ("5900", "VNC"),
    ("6000", "X11"),
];

fn ports(image: &Image<'_>) -> Vec<Finding> {
    let exposed = image.config.config.exposed_ports.keys();
    let of_port = |text: &String| {
        let number = text.split('/').next().unwrap_or_default();
        // The system's log listens there, too.
        let is_log = text.ends_with("/udp");
        let (_, service) = PORTS.iter().find(|(port, _)| *port == number && !is_log)?;
        let severity = if *service == "SSH" { Severity::Low } else { Severity::Medium };
        let finding = Finding::new(format!("It offers {service} at port {number}")).rated(severity);
        Some(image.cause("EXPOSE", finding.in_config(format!("config.ExposedPorts[{text}]"))))
    };
    exposed.filter_map(of_port).collect()
}

/// Places of the system, or of the node.
const SYSTEM: &[&str] = &["", "/sys", "/proc", "/dev", "/etc", "/boot", "/root"];

fn volumes(image: &Image<'_>) -> Vec<Finding> {
    let is_system = |path: &&String| {
        let path = path.trim_end_matches('/');
        SYSTEM.contains(&path) || path.ends_with("docker.sock") || path.ends_with("containerd.sock")
    };
    let volumes = image.config.config.volumes.keys().filter(is_system).map(String::as_str);
    let volumes: Vec<&str> = volumes.collect();
    if volumes.is_empty() {
        return Vec::new();
    }
    let named = few(&volumes);
    let finding = Finding::new(format!("It declares places of the system as volumes: {named}"));
    vec![image.cause("VOLUME", finding.in_config("config.Volumes"))]
}

fn command(image: &Image<'_>) -> Vec<Finding> {
    let runtime = &image.config.config;
    let (place, words) = match (&runtime.entrypoint, &runtime.cmd) {
        (entrypoint, _) if !entrypoint.is_empty() => ("Entrypoint", entrypoint),
        (_, cmd) if !cmd.is_empty() => ("Cmd", cmd),
        _ => {
            let finding = Finding::new("It does not say what to start").rated(Severity::Negligible);
            return vec![finding.in_config("config.Cmd")];
        }
    };
    let program = words.first().map(String::as_str).unwrap_or_default();
    // Names are looked up in PATH, and what layers could not be read may hold it.
    if !program.starts_with('/') || image.is_windows() || !image.facts.is_complete {
        return Vec::new();
    }
    let title = match image.facts.program {
        Program::Executable => return Vec::new(),
        Program::Missing => format!("It starts {program}, which is not in the image"),
        Program::NotExecutable => format!("It starts {program}, which may not be executed"),
    };
    vec![image.cause(place, Finding::new(title).in_config(format!("config.{place}")))]
}

fn latest(image: &Image<'_>) -> Vec<Finding> {
    const LABEL: &str = "org.opencontainers.image.base.name";
    let labels = &image.config.config.labels;
    let Some(base) = labels.get(LABEL).filter(|base| !base.is_empty()) else { return Vec::new() };
    let tag = base.rsplit('/').next().unwrap_or_default().split_once(':').map(|(_, tag)| tag);
    let is_open = tag.is_none_or(|tag| tag == "latest") && base != "scratch";
    if base.contains('@') || labels.contains_key("org.opencontainers.image.base.digest") || !is_open {
        return Vec::new();
    }
    vec![
        Finding::new("Its base image is named without a version")
            .in_config(format!("config.Labels[{LABEL}]")),
    ]
}
