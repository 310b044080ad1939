//! Policies that change while a process runs: the folder is looked at again and again, and what is in it takes
//! the place of what was, all at once.
//!
//! Content is compared, not times: that also sees the swapped links of a Kubernetes ConfigMap, and a file that
//! was written again with the same text changes nothing. Files that cannot be used change nothing either: the
//! last good policies stay in force, and the process says so in its log (once), as
//! `tidewaiter_policies_broken`, and to whoever asks [`PolicyHealth`].

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use metrics::{counter, gauge};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::model::digest::{Algorithm, Digest, Hasher};
use crate::model::report::Revision;
use crate::policy::PolicySet;
use crate::telemetry::chain;

/// How soon a changed file is noticed without a signal.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longer than any policy may be; what follows changes nothing.
const MOST_BYTES: u64 = 8 << 20;

/// What is wrong with the policy files, as other parts of the process see it.
#[derive(Clone, Debug, Default)]
pub struct PolicyHealth(Arc<ArcSwapOption<String>>);

impl PolicyHealth {
    /// Why the files are not what is in force; `None` while they are.
    pub fn broken(&self) -> Option<String> {
        self.0.load().as_ref().map(|error| error.to_string())
    }
}

/// The revision of all policies together: equal sets judge equally.
pub fn revision_of(policies: &PolicySet) -> Revision {
    let mut text = String::new();
    for policy in policies.iter() {
        text.push_str(&format!("{} {}\n", policy.name, policy.revision));
    }
    Revision::of(text.as_bytes())
}

/// Keeps the policies of a process like those of a folder.
pub struct Reload {
    folder: PathBuf,
    policies: Arc<ArcSwap<PolicySet>>,
    health: PolicyHealth,
    /// The files as they were loaded last, whether or not they could be used.
    seen: Option<Digest>,
}

/// What a look at the folder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// What is in force, or what is known to be broken.
    Same,
    /// Other policies, which are in force now.
    Loaded(Revision),
    /// Something that cannot be used; what was in force stays.
    Broken(String),
    /// What was broken can be used again.
    Repaired(Revision),
}

impl Reload {
    /// Will keep `policies`, which were loaded from `folder`, as they are there, and tell `health`.
    pub fn new(folder: PathBuf, policies: Arc<ArcSwap<PolicySet>>, health: PolicyHealth) -> Self {
        gauge!("tidewaiter_policies_broken").set(0.0);
        Self { folder, policies, health, seen: None }
    }

    /// Looks every two seconds, and whenever it is `nudged`, until `shutdown`.
    pub async fn run(mut self, nudged: Arc<Notify>, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = nudged.notified() => {
                    tracing::info!("told to read the policies again");
                    self.seen = None;
                }
                () = shutdown.cancelled() => return,
            }
            let looked = tokio::task::spawn_blocking(move || {
                let look = self.look();
                (self, look)
            });
            let Ok((again, look)) = looked.await else {
                tracing::error!("reading the policies panicked; they will not be read again");
                return;
            };
            self = again;
            look.tell();
        }
    }

    /// Looks once; blocks for as long as the disk takes.
    pub fn look(&mut self) -> Look {
        let found = fingerprint(&self.folder);
        if self.seen.as_ref() == Some(&found) {
            return Look::Same;
        }
        let loaded = PolicySet::load(&self.folder);
        // Files that change while they are read are read again at the next look.
        self.seen = Some(found.clone()).filter(|_| fingerprint(&self.folder) == found);
        let before = self.health.0.load_full();
        match loaded {
            Ok(policies) => {
                let (old, new) = (revision_of(&self.policies.load()), revision_of(&policies));
                self.policies.store(Arc::new(policies));
                self.health.0.store(None);
                match before {
                    Some(_) => Look::Repaired(new),
                    None if old == new => Look::Same,
                    None => Look::Loaded(new),
                }
            }
            Err(error) => {
                let error = chain(&error);
                if before.is_some_and(|before| *before == error) {
                    return Look::Same;
                }
                self.health.0.store(Some(Arc::new(error.clone())));
                Look::Broken(error)
            }
        }
    }
}

impl Look {
    /// Says in the log and the metrics what there is to say.
    fn tell(&self) {
        let (broken, result) = match self {
            Self::Same => return,
            Self::Loaded(revision) => {
                tracing::info!(policies.revision = %revision, "policies loaded again");
                (0.0, "loaded")
            }
            Self::Repaired(revision) => {
                tracing::info!(policies.revision = %revision, "policies can be used again, and are in force");
                (0.0, "loaded")
            }
            Self::Broken(error) => {
                tracing::error!(error, "policies cannot be used; those loaded before stay in force");
                (1.0, "broken")
            }
        };
        gauge!("tidewaiter_policies_broken").set(broken);
        counter!("tidewaiter_policy_reloads_total", "result" => result).increment(1);
    }
}

/// The names and bytes of all policy files, or why they cannot be read, as one digest.
fn fingerprint(folder: &Path) -> Digest {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut names = Vec::new();
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            names.extend(entries.flatten().map(|entry| entry.path()).filter(|path| is_policy(path)))
        }
        Err(error) => hasher.update(error.to_string().as_bytes()),
    }
    names.sort();
    for path in names {
        hasher.update(path.as_os_str().as_encoded_bytes());
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
        match read {
            Ok(length) => hasher.update(&length.to_be_bytes()),
            Err(error) => hasher.update(error.to_string().as_bytes()),
        }
        hasher.update(&bytes);
    }
    hasher.finish()
}

fn is_policy(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::model::sample;

    const STRICT: &str =
        "version: 1\nname: strict\nrules:\n  - name: any\n    when: {severity: [low]}\n    then: deny\n";

    fn reload(folder: &Path) -> (Reload, Arc<ArcSwap<PolicySet>>, PolicyHealth) {
        let policies = Arc::new(ArcSwap::from_pointee(PolicySet::load(folder).unwrap()));
        let health = PolicyHealth::default();
        (Reload::new(folder.to_owned(), Arc::clone(&policies), health.clone()), policies, health)
    }

    #[test]
    fn a_changed_folder_takes_the_place_of_what_was_and_a_broken_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (mut reload, policies, health) = reload(folder.path());
        let has_strict = || policies.load().get(&sample::policy("strict")).is_some();
        assert_eq!(reload.look(), Look::Same);

        let file = folder.path().join("strict.yaml");
        std::fs::write(&file, STRICT).unwrap();
        assert!(matches!(reload.look(), Look::Loaded(_)));
        assert!(has_strict());
        assert_eq!(reload.look(), Look::Same);
        std::fs::write(&file, STRICT).unwrap();
        assert_eq!(reload.look(), Look::Same, "the same text is the same policy");

        std::fs::write(&file, STRICT.replace("deny", "dany")).unwrap();
        let Look::Broken(error) = reload.look() else { panic!("it is broken") };
        assert!(
            error.contains("strict.yaml") && error.contains("line 6"),
            "file and place are named: {error}"
        );
        assert!(has_strict(), "the last good ones stay in force");
        assert_eq!(health.broken(), Some(error.clone()));
        assert_eq!(reload.look(), Look::Same, "told once");
        std::fs::write(folder.path().join("unrelated.yaml"), STRICT.replace("strict", "other")).unwrap();
        assert_eq!(reload.look(), Look::Same, "the same error is not told again");

        std::fs::write(&file, STRICT).unwrap();
        assert!(matches!(reload.look(), Look::Repaired(_)));
        assert_eq!(health.broken(), None);
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(reload.look(), Look::Loaded(_)));
        assert!(!has_strict());
    }

    #[test]
    fn a_config_map_is_followed_through_its_links() {
        let mount = tempfile::tempdir().unwrap();
        let at = |name: &str| mount.path().join(name);
        for (version, effect) in [("..v1", "deny"), ("..v2", "warn")] {
            std::fs::create_dir(at(version)).unwrap();
            std::fs::write(at(version).join("strict.yaml"), STRICT.replace("deny", effect)).unwrap();
        }
        symlink("..v1", at("..data")).unwrap();
        symlink("..data/strict.yaml", at("strict.yaml")).unwrap();
        let (mut reload, policies, _) = reload(mount.path());
        assert_eq!(reload.look(), Look::Same);
        let before = revision_of(&policies.load());

        symlink("..v2", at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        let Look::Loaded(after) = reload.look() else { panic!("the links lead elsewhere") };
        assert_ne!(after, before);
        assert_eq!(revision_of(&policies.load()), after);
    }

    #[test]
    fn a_folder_that_vanished_leaves_the_policies_in_force() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("policies");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("strict.yaml"), STRICT).unwrap();
        let (mut reload, policies, _) = reload(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(reload.look(), Look::Broken(_)));
        assert!(policies.load().get(&sample::policy("strict")).is_some());
    }
}
