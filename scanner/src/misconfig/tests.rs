//! Each check by what it says of a config, of a history and of files.

use serde_json::{Value, json};

use super::facts::{Group, Kept, KeptKind, Program};
use super::*;
use crate::analyzers::Account;

/// `id severity title`, without what nearly every image has.
fn judged(config: Value, facts: &Facts) -> Vec<String> {
    let config: ImageConfig = serde_json::from_value(config).unwrap();
    let layers = config.history.iter().filter(|line| !line.empty_layer).count();
    let secrets = Secrets::built_in();
    let observations = Image::new(&config, layers, facts, &secrets).judge();
    for observation in &observations {
        assert!(!observation.remediation.is_empty() && observation.rule.starts_with("TW-"));
    }
    let ordinary = ["It has no health check", "It does not say what to start"];
    let worth = observations.into_iter().filter(|one| !ordinary.contains(&one.title.as_str()));
    worth.map(|one| format!("{} {} {}", one.rule, one.severity, one.title)).collect()
}

/// The one thing that is said of an image with this runtime config and a user, or nothing.
fn check_runtime(runtime: Value, expected: &[&str]) {
    let mut runtime = runtime;
    if runtime.get("User").is_none() {
        runtime["User"] = json!("1000");
    }
    let facts = Facts {
        accounts: vec![
            Account { name: "root".to_owned(), uid: 0 },
            Account { name: "toor".to_owned(), uid: 0 },
            Account { name: "bob".to_owned(), uid: 7 },
        ],
        is_complete: true,
        ..Facts::default()
    };
    assert_eq!(judged(json!({"os": "linux", "config": runtime}), &facts), expected, "{runtime}");
}

#[test]
fn the_config_says_who_runs_what() {
    for (user, expected) in [
        ("", &["TW-CFG-USER medium It runs as root: no user is set"][..]),
        ("0", &["TW-CFG-USER medium It runs as root"]),
        ("root:bob", &["TW-CFG-USER medium It runs as root"]),
        ("toor", &["TW-CFG-USER medium It runs as root, whom it calls toor"]),
        ("eve", &["TW-CFG-USER low It runs as eve, whom etc/passwd does not know: it will not start"]),
        ("bob", &[]),
        ("1000", &[]),
        ("4711:0", &[]),
    ] {
        check_runtime(json!({"User": user}), expected);
    }
    check_runtime(
        json!({"ExposedPorts": {"23/tcp": {}, "80/tcp": {}, "514/udp": {}}}),
        &["TW-CFG-PORTS medium It offers telnet at port 23"],
    );
    check_runtime(
        json!({"Volumes": {"/data": {}, "/proc/": {}, "/var/run/docker.sock": {}}}),
        &["TW-CFG-VOLUME medium It declares places of the system as volumes: /proc/, /var/run/docker.sock"],
    );
    check_runtime(
        json!({"Entrypoint": "/app", "Cmd": null}),
        &["TW-CFG-CMD low It starts /app, which is not in the image"],
    );
    check_runtime(json!({"Cmd": ["app"]}), &[]);
    check_runtime(
        json!({"Healthcheck": {"Test": ["NONE"]}}),
        &["TW-CFG-HEALTHCHECK negligible Its health check is switched off"],
    );
    for (base, expected) in [
        ("debian:latest", &["TW-CFG-LATEST low Its base image is named without a version"][..]),
        ("localhost:5000/debian", &["TW-CFG-LATEST low Its base image is named without a version"]),
        ("debian:12", &[]),
        ("debian@sha256:12", &[]),
        ("scratch", &[]),
    ] {
        check_runtime(json!({"Labels": {"org.opencontainers.image.base.name": base}}), expected);
    }
}

#[test]
fn every_check_is_documented() {
    let documented = include_str!("../../../docs/misconfiguration.md");
    let checks = FAMILIES.iter().copied().flatten().map(|check| check.id);
    for id in checks.chain(age::IDS) {
        assert!(documented.contains(&format!("`{id}`")), "{id}");
    }
}

#[test]
fn windows_has_an_administrator() {
    let of = |user: &str| judged(json!({"os": "windows", "config": {"User": user}}), &Facts::default());
    assert_eq!(of("ContainerAdministrator"), ["TW-CFG-USER medium It runs as the container's administrator"]);
    assert!(of("ContainerUser").is_empty() && of("").is_empty());
}

#[test]
fn the_history_says_how_it_was_built() {
    const PIPED: &str = "TW-HIST-PIPE medium While building, something that was downloaded is run unseen";
    const REMOTE: &str = "TW-HIST-ADD low ADD fetches a remote file without a checksum";
    const ALONE: &str = "TW-HIST-UPDATE-ALONE low Package lists are updated by a command of their own";
    for (line, expected) in [
        ("/bin/sh -c curl -sSL https://example.org/x | sh", &[PIPED][..]),
        ("RUN /bin/sh -c wget -O- https://example.org/x | sudo -E bash - # buildkit", &[PIPED]),
        ("|1 A=b /bin/sh -c curl https://example.org/x | python3", &[PIPED]),
        ("RUN bash -c \"$(curl -fsSL https://example.org/x)\"", &[PIPED]),
        ("RUN /bin/sh -c bash <(curl -s https://example.org/x)", &[PIPED]),
        ("powershell -Command iwr https://example.org/x | iex", &[PIPED]),
        ("/bin/sh -c curl -sSL https://example.org/x | sha256sum", &[]),
        ("/bin/sh -c curl -o x https://example.org/x && echo '1  x' | sha256sum -c && sh x", &[]),
        (
            "RUN /bin/sh -c curl -sk https://example.org/x",
            &["TW-HIST-PIPE medium While building, curl does not check certificates"],
        ),
        (
            "RUN /bin/sh -c apk add --allow-untrusted x.apk",
            &["TW-HIST-PIPE medium While building, apk installs unsigned packages"],
        ),
        (
            "RUN /bin/sh -c pip install --trusted-host x y",
            &["TW-HIST-PIPE medium While building, pip does not check certificates"],
        ),
        ("ADD https://example.org/x /x # buildkit", &[REMOTE]),
        ("ADD --checksum=sha256:12 https://example.org/x /x # buildkit", &[]),
        ("/bin/sh -c #(nop) ADD file:12 in /app/x ", &["TW-HIST-ADD negligible ADD where COPY suffices"]),
        ("ADD rootfs.tar.xz / # buildkit", &[]),
        ("COPY . /app # buildkit", &[]),
        ("/bin/sh -c apt-get update", &[ALONE]),
        ("RUN /bin/sh -c apt-get -qq update -y # buildkit", &[ALONE]),
        ("RUN /bin/sh -c apt-get update && apt-get install -y curl", &[]),
        (
            "RUN /bin/sh -c apt-get dist-upgrade -y",
            &["TW-HIST-UPDATE-ALONE low The whole distribution is upgraded"],
        ),
        ("bazel build ...", &[]),
        ("", &[]),
    ] {
        let history = json!([{"created_by": "/bin/sh -c #(nop) ADD file:1a in / "}, {"created_by": line}]);
        let config = json!({"os": "linux", "config": {"User": "1"}, "history": history});
        assert_eq!(judged(config, &Facts::default()), expected, "{line}");
    }
}

#[test]
fn a_line_is_named_with_the_layer_that_it_made() {
    let config: ImageConfig = serde_json::from_value(json!({"history": [
        {"created_by": "/bin/sh -c #(nop) ADD file:1a in / "},
        {"created_by": "/bin/sh -c #(nop) ENV A=b", "empty_layer": true},
        {"created_by": "/bin/sh -c curl -u bob:s3cr3t9 https://example.org/x | sh"},
    ]}))
    .unwrap();
    let (facts, secrets) = (Facts::default(), Secrets::built_in());
    let found = Image::new(&config, 2, &facts, &secrets).judge();
    let found = found.iter().find(|one| one.rule == "TW-HIST-PIPE").unwrap();
    assert_eq!(found.place.config.as_deref(), Some("history[2]"));
    assert_eq!(found.place.layer, Some(LayerIndex(1)));
    let line = found.place.created_by.as_deref().unwrap();
    assert!(line.contains("curl -u bob:") && !line.contains("s3cr3t9"), "{line}");
    let unaligned = Image::new(&config, 5, &facts, &secrets).judge();
    assert!(unaligned.iter().all(|one| one.place.layer.is_none()));
}

fn files(of: Trait, paths: &[(&str, u16)]) -> Facts {
    let kept = |(path, layer): &(&str, u16)| Kept {
        path: (*path).to_owned(),
        layer: *layer,
        mode: 0o4755,
        size: 2048,
        kind: KeptKind::File,
    };
    let mut facts = Facts { program: Program::Executable, is_complete: true, ..Facts::default() };
    facts.groups[of as usize] = Group { kept: paths.iter().map(kept).collect(), is_cut: false };
    facts
}

#[test]
fn files_of_one_layer_are_one_finding() {
    let config = || json!({"os": "linux", "config": {"User": "1"}});
    let many: Vec<String> = (0..8).map(|number| format!("opt/{number}")).collect();
    let many: Vec<(&str, u16)> = many.iter().map(|path| (path.as_str(), 3)).collect();
    for (of, paths, expected) in [
        (
            Trait::Privileged,
            &[("usr/bin/passwd", 0), ("usr/bin/su", 0), ("opt/su", 1)][..],
            &[
                "TW-FS-SETID medium Programs that run with other rights than their user's: opt/su",
                "TW-FS-SETID negligible Well-known programs that run with other rights than their user's: \
                 usr/bin/passwd, usr/bin/su",
            ][..],
        ),
        (
            Trait::WorldWritable,
            &many,
            &["TW-FS-WORLD-WRITABLE low Anybody may write to: opt/0, opt/1, opt/2, opt/3, opt/4 and 3 more"],
        ),
        (
            Trait::WorldWritable,
            &[("usr/local/bin/x", 0)],
            &[
                "TW-FS-WORLD-WRITABLE medium Anybody may change what others execute or are configured by: usr/local/bin/x",
            ],
        ),
        (
            Trait::Cache,
            &[("var/cache/apk/x", 0)],
            &["TW-FS-CACHE low Caches of package managers, 2 KiB: var/cache/apk/x"],
        ),
        (
            Trait::Leftover,
            &[("app/.git/HEAD", 0)],
            &[
                "TW-FS-JUNK medium Left over from building: version control, or somebody's logins: app/.git/HEAD",
            ],
        ),
        (
            Trait::Unowned,
            &[("usr/bin/x", 0)],
            &["TW-FS-UNOWNED negligible Executables that no package owns: usr/bin/x"],
        ),
    ] {
        assert_eq!(judged(config(), &files(of, paths)), expected);
    }
    let started = files(Trait::WorldWritable, &[("app/start.sh", 0)]);
    for (config, severity) in [
        (json!({"User": "1", "Entrypoint": ["/app/start.sh"]}), "medium"),
        (json!({"User": "1", "Entrypoint": ["/bin/sh", "/app/start.sh"]}), "medium"),
        (json!({"User": "1", "Entrypoint": ["/app/other"]}), "low"),
    ] {
        let found = judged(json!({"os": "linux", "config": config}), &started);
        assert!(found[0].starts_with(&format!("TW-FS-WORLD-WRITABLE {severity}")), "{config}: {found:?}");
    }
    let mut flood = files(Trait::Privileged, &[]);
    flood.groups[Trait::Privileged as usize].is_cut = true;
    assert_eq!(judged(config(), &flood).len(), 1);
}
