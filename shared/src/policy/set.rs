//! All policies of a process: which of them judges where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DEFAULT_POLICY, Place, Policy, PolicyError};
use crate::model::verdict::{Mode, PolicyName};

/// All policies of a process, by name. There is always one called `default`.
#[derive(Clone, Debug)]
pub struct PolicySet(BTreeMap<PolicyName, Arc<Policy>>);

impl PolicySet {
    /// Only the built-in default policy.
    pub fn built_in() -> Self {
        let policy = Policy::parse(DEFAULT_POLICY).expect("the built-in policy is tested");
        Self(BTreeMap::from([(policy.name.clone(), Arc::new(policy))]))
    }

    /// The built-in default, then every `*.yaml` and `*.yml` in `folder`; a file whose policy is named
    /// `default` replaces the built-in one. Two files with one name are an error.
    pub fn load(folder: &Path) -> Result<Self, PolicyError> {
        let mut set = Self::built_in();
        let mut seen: BTreeMap<PolicyName, PathBuf> = BTreeMap::new();
        for path in Self::files(folder)? {
            let policy = Policy::load(&path)?;
            if let Some(first) = seen.insert(policy.name.clone(), path.clone()) {
                return Err(PolicyError::Duplicate { name: policy.name, first, second: path });
            }
            set.0.insert(policy.name.clone(), Arc::new(policy));
        }
        Ok(set)
    }

    /// The policy files in a folder, sorted: every `*.yaml` and `*.yml`.
    pub fn files(folder: &Path) -> Result<Vec<PathBuf>, PolicyError> {
        let mut files = Vec::new();
        let unreadable = |source| PolicyError::Io { path: folder.to_owned(), source };
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// The policy of that name.
    pub fn get(&self, name: &PolicyName) -> Option<&Arc<Policy>> {
        self.0.get(name)
    }

    /// Every policy that judges at a place, by name. The strictest of their answers is the answer.
    ///
    /// The policy named `default` is the fallback: it is among them only where no other enforcing policy
    /// covers the place. One that is tried out in audit mode does not switch it off.
    pub fn covering(&self, place: &Place) -> Vec<Arc<Policy>> {
        let named = |policy: &&Arc<Policy>| !policy.name.is_default() && policy.scope.covers(place);
        let mut covering: Vec<_> = self.0.values().filter(named).cloned().collect();
        if covering.iter().all(|policy| policy.mode == Mode::Audit) {
            covering.extend(self.0.values().find(|policy| policy.name.is_default()).cloned());
        }
        covering
    }

    /// Every policy, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.0.values()
    }
}
