//! Flatpaks that an image installed: the `metadata` of each deployment in, the application or runtime out.
//!
//! Deployments lie in `app/<id>/<arch>/<branch>/<commit>` and `runtime/…` of `/var/lib/flatpak`, or of a user's
//! `.local/share/flatpak`. The metadata state no version: a branch, `stable` or `23.08`, is what Flatpak itself tells
//! installations apart by. Format: flatpak-metadata(5), `name` of the group `Application` or `Runtime`.

use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads what flatpaks say about themselves.
#[derive(Debug)]
pub struct Flatpak;

impl PackageList for Flatpak {
    const NAME: &'static str = "flatpak";
    const TRIGGERS: &'static [Trigger] =
        &[Trigger::Below("flatpak/app", "metadata"), Trigger::Below("flatpak/runtime", "metadata")];

    fn is_one(path: &str) -> bool {
        Deployment::of(path).is_some()
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        if let Some(deployment) = Deployment::of(path) {
            entries.add(name(text).and_then(|name| deployment.package(name)));
        }
        Ok(())
    }
}

/// What the place of a deployment tells of it.
struct Deployment<'a> {
    architecture: &'a str,
    branch: &'a str,
}

impl<'a> Deployment<'a> {
    /// `None` for files inside of a deployment.
    fn of(path: &'a str) -> Option<Self> {
        let parts: Vec<&str> = path.rsplit('/').take(7).collect();
        match parts.as_slice() {
            ["metadata", _commit, branch, architecture, _id, "app" | "runtime", "flatpak"] => {
                Some(Self { architecture, branch })
            }
            _ => None,
        }
    }

    fn package(&self, name: &str) -> Option<Package> {
        let mut package = lock::package(PackageKind::Generic, name, self.branch, Evidence::Installed)?;
        package.architecture = Some(self.architecture.to_owned());
        Some(package)
    }
}

/// The name that the metadata state; other groups have names of other things.
fn name(text: &str) -> Option<&str> {
    let lines = text.lines().map(str::trim);
    let group = lines.skip_while(|line| !matches!(*line, "[Application]" | "[Runtime]")).skip(1);
    let mut entries = group.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    entries.find_map(|(key, value)| (key.trim_end() == "name").then(|| value.trim_start()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const APPLICATION: &str = "var/lib/flatpak/app/org.gnome.Calculator/x86_64/stable/5d0f1a9be9e3/metadata";
    const RUNTIME: &str =
        "home/user/.local/share/flatpak/runtime/org.gnome.Platform/aarch64/45/active/metadata";

    #[test]
    fn a_deployment_is_an_installed_program_of_its_branch() {
        let application = "[Application]\nname=org.gnome.Calculator\nruntime=org.gnome.Platform/x86_64/45\n\n[Context]\nshared=network;ipc;\n";
        let runtime = "# a comment\n[Runtime]\nruntime=org.gnome.Platform/aarch64/45\nname = org.gnome.Platform\n\n[Extension org.gnome.Platform.Locale]\nname=other\n";
        for (path, text, expected) in [
            (APPLICATION, application, "generic/org.gnome.Calculator@stable?arch=x86_64 Installed"),
            (RUNTIME, runtime, "generic/org.gnome.Platform@45?arch=aarch64 Installed"),
            (RUNTIME, "[Extension a]\nname=a\n[Runtime]\nsdk=b\n[Context]\nname=c\n", "record-skipped"),
            (RUNTIME, "[Runtime]\nname=\n", "record-skipped"),
            (RUNTIME, "", "record-skipped"),
        ] {
            check(&Flatpak, path, text, &[expected]);
            check(&Flatpak, path, &text.replace('\n', "\r\n"), &[expected]);
        }
    }

    #[test]
    fn only_the_metadata_of_a_deployment_are_read() {
        let text = "[Application]\nname=a\n";
        for path in [
            "var/lib/flatpak/app/a/x86_64/stable/00/files/metadata",
            "var/lib/flatpak/app/a/metadata",
            "srv/app/a/x86_64/stable/00/metadata",
            "var/lib/flatpak/repo/a/x86_64/stable/00/metadata",
        ] {
            check(&Flatpak, path, text, &[]);
        }
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>, text in "(\\[Runtime\\]|\\[|name|=|é|\n){0,12}", path in "(flatpak/|app/|a/|metadata){0,9}") {
            analyze(&Flatpak, RUNTIME, &content);
            analyze(&Flatpak, APPLICATION, text.as_bytes());
            analyze(&Flatpak, &path, text.as_bytes());
        }
    }
}
