//! The table: a name, an image made by code, and what the verdict about it must say.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use shared::model::digest::Digest;
use shared::model::document::{IMAGE_CONFIG_TYPES, INDEX_TYPES, MANIFEST_TYPES};

use super::layers::{Tar, gzip, gzip_fast, gzip_zeros, zstd_zeros};
use super::upload::Upload;
use super::{archives, databases};

pub(super) const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// An image and what must be said of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) image: Upload,
    pub(super) expected: Expected,
}

/// A verdict, as far as it depends on the image alone.
pub(super) enum Expected {
    /// It fails, and these are all kinds of problems that it names.
    Fails(&'static [&'static str]),
    /// Everything that matters was read: nothing stands in the way of a pass.
    Read,
    /// It cannot be examined at all, for this reason.
    Refused(&'static str),
    /// There is nothing to run.
    NotAnImage,
}

/// The repository's advisories are as old as they are: a problem of the site, not of the image.
const OF_THE_SITE: &str = "advisories-stale";

impl Expected {
    pub(super) fn met_by(&self, verdict: &Value) -> Result<()> {
        let mut kinds: Vec<&str> = verdict["problems"].as_array().map_or_else(Vec::new, |problems| {
            problems.iter().filter_map(|problem| problem["kind"].as_str()).collect()
        });
        kinds.retain(|kind| *kind != OF_THE_SITE);
        kinds.sort_unstable();
        kinds.dedup();
        let outcome = verdict["outcome"].as_str().unwrap_or_default();
        let is_met = match self {
            Self::Fails(expected) => outcome == "fail" && kinds == *expected,
            Self::Read => matches!(outcome, "pass" | "warn") && kinds.is_empty(),
            Self::Refused(expected) => outcome == "error" && kinds == [*expected],
            Self::NotAnImage => outcome == "not_an_image",
        };
        if !is_met {
            bail!("{outcome} with {kinds:?}");
        }
        Ok(())
    }
}

use Expected::{Fails, NotAnImage, Read, Refused};

/// Every case.
pub(super) fn all() -> Result<Vec<Case>> {
    let mut cases = documents();
    cases.extend(streams()?);
    cases.extend(tars()?);
    cases.extend(archives::all()?);
    cases.extend(databases::all()?);
    Ok(cases)
}

pub(super) fn case(name: &'static str, expected: Expected, image: Upload) -> Case {
    Case { name, image, expected }
}

/// A case of one uncompressed layer.
pub(super) fn of_tar(name: &'static str, expected: Expected, tar: Vec<u8>) -> Case {
    case(name, expected, image(&[(TAR, tar.clone(), tar)]))
}

/// Layers that no gzip, zstd or tar should be.
fn streams() -> Result<Vec<Case>> {
    let motd = || Tar::new().file("etc/motd", "hello").finish();
    let stream = |name, expected, media_type, stored: Vec<u8>| {
        case(name, expected, image(&[(media_type, stored, motd())]))
    };
    let nested = gzip(&gzip(&gzip_zeros(64)?)?)?;
    let mut cut = gzip(&motd())?;
    cut.truncate(cut.len() / 2);
    let empty = gzip(b"")?;
    Ok(vec![
        stream("zeros-1-gib-in-1-mib", Fails(&["limit-exceeded"]), GZIP, gzip_zeros(1024)?),
        stream("zeros-1-gib-in-32-kib", Fails(&["limit-exceeded"]), ZSTD, zstd_zeros(1024)?),
        stream("gzip-in-gzip", Fails(&["diffid-mismatch", "layer-malformed"]), GZIP, nested),
        stream("members-200000", Read, GZIP, [empty.repeat(200_000), gzip(&motd())?].concat()),
        stream("stream-cut", Fails(&["layer-malformed"]), GZIP, cut),
        stream(
            "data-after-gzip",
            Fails(&["trailing-data"]),
            GZIP,
            [gzip(&motd())?, b"more".to_vec()].concat(),
        ),
        stream(
            "window-of-2-gib",
            Fails(&["limit-exceeded"]),
            ZSTD,
            b"\x28\xb5\x2f\xfd\x00\xa8\x00\x00".to_vec(),
        ),
        stream(
            "no-layer-at-all",
            Fails(&["diffid-mismatch", "layer-malformed"]),
            GZIP,
            b"<html>please log in</html>".repeat(100),
        ),
        stream("nothing", Fails(&["diffid-mismatch"]), GZIP, b"".to_vec()),
    ])
}

/// Tars that say what no file system would.
fn tars() -> Result<Vec<Case>> {
    let long = vec![b'n'; 1 << 20];
    let deep = "d/".repeat(2040) + "f";
    let header = Tar::new().file("etc/motd", "x").unfinished();
    let mut wrong_sum = header.clone();
    wrong_sum[0] ^= 1;
    let mut many = Tar::new();
    for number in 0..500_000 {
        many = many.file(&format!("srv/{}/{number}", number % 1000), "");
    }
    let many = many.finish();
    let looped = Tar::new().symlink("var", "a").symlink("a", "b").symlink("b", "var").symlink("etc", "etc");
    let climbing = Tar::new().file("../../etc/passwd", "x").file("a/../../b", "x").file("/etc/motd", "x");
    let sparse = [
        ("GNU.sparse.major", &b"1"[..]),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"var/lib/dpkg/status"),
        ("GNU.sparse.realsize", b"1099511627776"),
    ];
    let map = [&b"1\n1099511627771\n5\n"[..], &[0; 494], b"tail\n"].concat();
    Ok(vec![
        case("entries-500000", Read, image(&[(GZIP, gzip_fast(&many)?, many)])),
        of_tar(
            "name-of-1-mib",
            Fails(&["limit-exceeded"]),
            Tar::new().pax(&[("path", &long)]).file("x", "").finish(),
        ),
        of_tar(
            "path-deep",
            Fails(&["limit-exceeded"]),
            Tar::new().pax(&[("path", deep.as_bytes())]).file("x", "y").finish(),
        ),
        of_tar(
            "path-with-nul",
            Fails(&["layer-malformed"]),
            Tar::new().pax(&[("path", b"a\0b")]).file("x", "").finish(),
        ),
        of_tar("climbing-paths", Read, climbing.finish()),
        of_tar("symlink-loops", Read, looped.finish()),
        of_tar(
            "links-out",
            Read,
            Tar::new().symlink("a", "../../../etc").symlink("b", "/proc/self/root").finish(),
        ),
        of_tar(
            "hardlink-to-nothing",
            Fails(&["layer-malformed", "unknown-distribution"]),
            Tar::new().hardlink("var/lib/dpkg/status", "gone").finish(),
        ),
        of_tar(
            "hardlink-to-itself",
            Fails(&["layer-malformed", "unknown-distribution"]),
            Tar::new().hardlink("lib/apk/db/installed", "lib/apk/db/installed").finish(),
        ),
        of_tar(
            "file-hidden-behind-the-end",
            Fails(&["data-after-tar-end"]),
            Tar::new().file("a", "x").raw(&[0; 1024]).file("b", "x").finish(),
        ),
        of_tar("checksum-wrong", Fails(&["layer-malformed"]), wrong_sum),
        of_tar(
            "size-beyond-the-end",
            Fails(&["layer-malformed"]),
            Tar::new().member(b'0', b"a", b"", 1 << 30, b"short").unfinished(),
        ),
        of_tar(
            "size-of-nothing",
            Fails(&["layer-malformed"]),
            Tar::new().member(b'0', b"a", b"", u64::MAX >> 31, b"").finish(),
        ),
        of_tar(
            "whiteout-of-nothing",
            Fails(&["layer-malformed"]),
            Tar::new().file(".wh.", "").file("a/.wh..", "").finish(),
        ),
        of_tar(
            "same-path-twice",
            Read,
            Tar::new().file("a", "1").file("a", "2").symlink("a", "b").file("a/c", "3").finish(),
        ),
        of_tar(
            "devices",
            Read,
            Tar::new().member(b'3', b"dev/zero", b"", 0, b"").member(b'6', b"fifo", b"", 0, b"").finish(),
        ),
        of_tar(
            "sparse-1-tib",
            Fails(&["file-too-large", "unknown-distribution"]),
            Tar::new().pax(&sparse).member(b'0', b"s", b"", map.len() as u64, &map).finish(),
        ),
        of_tar(
            "names-that-command",
            Read,
            Tar::new().file("\u{1b}[2J<script>\n=cmd()", "x").file("\u{202e}gpj.exe", "x").finish(),
        ),
    ])
}

/// Manifests, indexes and configs.
fn documents() -> Vec<Case> {
    let motd = || Tar::new().file("etc/motd", "hello").finish();
    let honest = || image(&[(TAR, motd(), motd())]);
    let config = |config: &[u8]| with_config(config, &[(TAR, motd())]);
    let diff_id = Digest::of(&motd());
    let nulls = json!({
        "architecture": null, "os": null, "history": null, "created": null,
        "config": {"User": "1000", "Env": null, "Cmd": null, "Labels": null, "Entrypoint": null, "Volumes": null},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let too_few = json!({"config": {"User": "1000"}, "rootfs": {"type": "layers", "diff_ids": []}});
    let deep = "[".repeat(100_000);
    let history = vec![json!({"created_by": "\u{1b}]0;pwned\u{7}<script>alert(1)</script>\n=cmd()"}); 10_000];
    let history = json!({"config": {"User": "1000"}, "history": history, "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    let layers = vec![(TAR, motd(), motd()); 600];
    vec![
        case("honest", Read, honest()),
        case("diff-id-that-lies", Fails(&["diffid-mismatch"]), image(&[(TAR, motd(), b"another".to_vec())])),
        case("diff-ids-too-few", Fails(&["malformed-manifest"]), config(too_few.to_string().as_bytes())),
        case("config-of-nulls", Read, config(nulls.to_string().as_bytes())),
        case("config-that-is-none", Fails(&["malformed-manifest"]), config(b"not json")),
        case("config-nested-deep", Fails(&["malformed-manifest"]), config(deep.as_bytes())),
        case("history-that-commands", Read, config(history.to_string().as_bytes())),
        case("layers-600", Refused("malformed-manifest"), image(&layers)),
        case(
            "encrypted",
            Fails(&["encrypted-layer"]),
            image(&[("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", b"?".to_vec(), motd())]),
        ),
        case(
            "invented-layer-type",
            Fails(&["unknown-layer-type"]),
            image(&[("application/vnd.invented", motd(), motd())]),
        ),
        case("index-of-nothing", NotAnImage, index(&[])),
        case("indexes-nested-deep", Fails(&["limit-exceeded"]), nested_indexes(8)),
    ]
}

/// An image of these layers: media type, stored bytes, and the bytes that its diff id is of.
pub(super) fn image(layers: &[(&str, Vec<u8>, Vec<u8>)]) -> Upload {
    let diff_ids: Vec<Digest> = layers.iter().map(|(_, _, raw)| Digest::of(raw)).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {"User": "1000"},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let layers: Vec<(&str, Vec<u8>)> =
        layers.iter().map(|(media_type, stored, _)| (*media_type, stored.clone())).collect();
    with_config(config.to_string().as_bytes(), &layers)
}

fn with_config(config: &[u8], layers: &[(&str, Vec<u8>)]) -> Upload {
    let described: Vec<Value> =
        layers.iter().map(|(media_type, stored)| descriptor(media_type, stored)).collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST_TYPES[0],
        "config": descriptor(IMAGE_CONFIG_TYPES[0], config), "layers": described,
    });
    let mut blobs: Vec<Vec<u8>> = layers.iter().map(|(_, stored)| stored.clone()).collect();
    blobs.dedup();
    blobs.push(config.to_vec());
    Upload {
        media_type: MANIFEST_TYPES[0],
        manifest: manifest.to_string().into_bytes(),
        blobs,
        children: Vec::new(),
    }
}

fn index(children: &[Value]) -> Upload {
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": children});
    Upload {
        media_type: INDEX_TYPES[0],
        manifest: index.to_string().into_bytes(),
        blobs: Vec::new(),
        children: Vec::new(),
    }
}

/// An index in an index, so many times; each has an image of its own.
fn nested_indexes(depth: usize) -> Upload {
    let mut outer = index(&[]);
    for level in 0..depth {
        let tar = Tar::new().file("level", level.to_string()).finish();
        let leaf = image(&[(TAR, tar.clone(), tar)]);
        let mut child = descriptor(MANIFEST_TYPES[0], &leaf.manifest);
        child["platform"] = json!({"os": "linux", "architecture": format!("a{level}")});
        let next = index(&[child, descriptor(INDEX_TYPES[0], &outer.manifest)]);
        let Upload { manifest, mut blobs, mut children, .. } = outer;
        blobs.extend(leaf.blobs);
        children.extend([(INDEX_TYPES[0], manifest), (MANIFEST_TYPES[0], leaf.manifest)]);
        outer = Upload { blobs, children, ..next };
    }
    outer
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}
