//! Linux kernels: `vmlinuz` and `lib/modules/<release>/modules.builtin` in, the release out, as inventory.
//!
//! A container runs on its host's kernel; what lies in an image is for others to boot. Where an OS package owns the file
//! that package tells. Formats: Linux, "The Linux/x86 Boot Protocol", `kernel_version` of the header (0x20e); kmod's
//! layout of `lib/modules`.

use shared::model::package::{Evidence, PackageKind};

use super::lock::{self, Entries};
use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

/// The analyzer's name.
pub(crate) const NAME: &str = "kernel";

/// What `uname -s` prints.
const LINUX: &str = "linux";

/// Reads which release of Linux a kernel is.
#[derive(Debug)]
pub struct Kernel;

impl Analyzer for Kernel {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Name("modules.builtin"), Trigger::Name("vmlinuz"), Trigger::Parent("boot")]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let name = file.path.rsplit(|byte| *byte == b'/').next().unwrap_or(file.path);
        match name {
            b"modules.builtin" => release_of_directory(&String::from_utf8_lossy(file.path)).is_some(),
            _ => name.starts_with(b"vmlinuz"),
        }
    }

    fn class(&self) -> FileClass {
        FileClass::Beginning
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let of_header = || release_of_header(file.content);
        let of_name = || lock::file_name(file.path).strip_prefix("vmlinuz-").map(str::to_owned);
        let of_directory = || release_of_directory(file.path).map(str::to_owned);
        let release = of_header().or_else(of_name).or_else(of_directory);
        let mut entries = Entries::new(file, limits);
        let package =
            |release: String| lock::package(PackageKind::Generic, LINUX, &release, Evidence::Unmatched);
        entries.add(release.and_then(package));
        entries.finish()
    }
}

/// `6.1.0-18-amd64` of `usr/lib/modules/6.1.0-18-amd64/modules.builtin`.
fn release_of_directory(path: &str) -> Option<&str> {
    let (directory, _) = path.rsplit_once('/')?;
    let (modules, release) = directory.rsplit_once('/')?;
    (modules == "lib/modules" || modules.ends_with("/lib/modules")).then_some(release)
}

/// The first word of the text that an x86 kernel's header points to; other machines' kernels have none.
fn release_of_header(content: &[u8]) -> Option<String> {
    /// Longer ones are none.
    const LONGEST: usize = 256;
    if content.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let pointer = content.get(0x20e..0x210)?;
    let begin = 0x200 + usize::from(u16::from_le_bytes([pointer[0], pointer[1]]));
    let text = content.get(begin..content.len().min(begin + LONGEST))?;
    let word = text.split(|byte| *byte == 0 || byte.is_ascii_whitespace()).next()?;
    let is_release = word.first().is_some_and(u8::is_ascii_digit) && word.is_ascii();
    is_release.then(|| String::from_utf8_lossy(word).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::analyze;
    use super::*;

    /// A header as Debian's kernels have it, and the text that it points to.
    fn header(pointer: u16, text: &[u8]) -> Vec<u8> {
        let mut content = vec![0; 0x4000];
        content[0x202..0x206].copy_from_slice(b"HdrS");
        content[0x20e..0x210].copy_from_slice(&pointer.to_le_bytes());
        content.extend_from_slice(text);
        content
    }

    /// The release, or the slug of the problem.
    fn check(path: &str, content: &[u8], expected: Option<&str>) {
        let found = analyze(&Kernel, path, content);
        let packages = found.packages.iter().map(|found| {
            assert_eq!((found.package.name.as_str(), found.package.evidence), (LINUX, Evidence::Unmatched));
            found.package.version.clone()
        });
        let told: Vec<_> =
            packages.chain(found.problems.iter().map(|problem| problem.kind.to_string())).collect();
        assert_eq!(told, Vec::from_iter(expected), "{path}");
    }

    #[test]
    fn a_kernel_is_known_by_its_header_its_name_or_its_modules() {
        let text = b"6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2\0";
        check("boot/vmlinuz-x", &header(0x3e00, text), Some("6.1.0-56-cloud-amd64"));
        check("boot/vmlinuz-6.1.0-56-arm64", b"MZ", Some("6.1.0-56-arm64"));
        check("usr/lib/modules/6.8/vmlinuz", b"MZ", Some("6.8"));
        check("lib/modules/6.8.1/modules.builtin", b"kernel/a.ko\n", Some("6.8.1"));
        check("rootfs/lib/modules/6.8.1/modules.builtin", b"", Some("6.8.1"));
        check("boot/vmlinuz", b"MZ", Some("record-skipped"));
        check("boot/vmlinuz", &header(0xffff, b""), Some("record-skipped"));
        check("boot/vmlinuz", &header(0x3e00, b"\xff\xff"), Some("record-skipped"));
        check("boot/config-6.1", b"", None);
        check("srv/6.1/modules.builtin", b"", None);
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>, pointer: u16, text in "\\PC{0,40}") {
            analyze(&Kernel, "boot/vmlinuz", &content);
            analyze(&Kernel, "boot/vmlinuz", &header(pointer, text.as_bytes()));
            analyze(&Kernel, &format!("lib/modules/{text}/modules.builtin"), &content);
        }
    }
}
