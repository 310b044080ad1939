//! Package databases that break off, are none, or are more than may be read. All lie in a Debian, so that somebody misses them.

use anyhow::Result;

use super::cases::Case;
use super::cases::Expected::{Fails, Read};
use super::cases::of_tar;
use super::layers::{Tar, zstd_zeros};

const RELEASE: &str = "ID=debian\nVERSION_ID=\"12\"\n";
const STATUS: &str = "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n";

pub(super) fn all() -> Result<Vec<Case>> {
    let in_debian = |path: &str, content: Vec<u8>| {
        Tar::new().file("etc/os-release", RELEASE).file(path, content).finish()
    };
    let unread = |name, path: &str, content: Vec<u8>| of_tar(name, UNREADABLE, in_debian(path, content));
    let mut endless = STATUS.as_bytes().to_vec();
    endless.extend(b"Package: ");
    endless.resize(64 << 20, b'x');
    let sqlite =
        [b"SQLite format 3\0".to_vec(), b"\x10\0\x01\x01\0\x40\x20\x20".to_vec(), vec![0xff; 8192]].concat();
    let bdb = [vec![0; 12], 0x0006_1561_u32.to_le_bytes().to_vec(), vec![0; 500]].concat();
    let ndb = [b"RpmP".to_vec(), vec![0xff; 4096]].concat();
    Ok(vec![
        of_tar("dpkg-honest", Read, in_debian("var/lib/dpkg/status", STATUS.into())),
        unread("dpkg-cut", "var/lib/dpkg/status", STATUS.replace("Version: 1\n", "").into()),
        unread("dpkg-binary", "var/lib/dpkg/status", vec![0; 4096]),
        unread("dpkg-line-of-64-mib", "var/lib/dpkg/status", endless),
        unread("apk-binary", "lib/apk/db/installed", vec![0xff; 4096]),
        unread("rpm-sqlite-broken", "var/lib/rpm/rpmdb.sqlite", sqlite),
        unread("rpm-bdb-of-page-size-0", "var/lib/rpm/Packages", bdb),
        unread("rpm-ndb-broken", "var/lib/rpm/Packages.db", ndb),
        unread("chisel-bomb-512-mib", "var/lib/chisel/manifest.wall", zstd_zeros(512)?),
        of_tar(
            "os-release-of-40-mib",
            Fails(&["file-too-large"]),
            Tar::new().file("etc/os-release", vec![b'x'; 40 << 20]).finish(),
        ),
    ])
}

const UNREADABLE: super::cases::Expected = Fails(&["database-unreadable"]);
