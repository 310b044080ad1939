//! Landlock: which files may be changed, and which may be run (`landlock(7)`).
//!
//! Reading stays allowed: policies, certificates and token files are read again while the process runs, wherever
//! the site keeps them.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus,
};

use super::{Got, Needs, Programs};

/// The newest interface whose meaning is known here; older kernels give less of it.
const NEWEST: ABI = ABI::V5;

pub(super) fn confine(needs: &Needs) -> Got {
    match restrict(needs) {
        Ok(RulesetStatus::FullyEnforced) => Got::Full,
        Ok(RulesetStatus::PartiallyEnforced) => Got::Part("as far as this kernel's version goes"),
        Ok(RulesetStatus::NotEnforced) => Got::Nothing("this kernel does not offer it".to_owned()),
        Err(error) => Got::Nothing(error.to_string()),
    }
}

fn restrict(needs: &Needs) -> Result<RulesetStatus, RulesetError> {
    let changes = AccessFs::from_write(NEWEST);
    let forbidden: BitFlags<AccessFs> = match needs.programs {
        Programs::None => changes | AccessFs::Execute,
        Programs::CredentialHelpers => changes,
    };
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(forbidden)?
        .create()?
        .no_new_privs(true);
    // Where credential helpers write and what devices they use is theirs; ours is the data folder and /dev/null.
    let places = needs.writes.iter().map(PathBuf::as_path);
    for place in places.chain([Path::new("/dev/null")]) {
        // What does not exist is not written either; the embedded stores make their folder before this.
        if let Ok(opened) = PathFd::new(place) {
            let allowed = if place.is_dir() { changes } else { changes & AccessFs::from_file(NEWEST) };
            rules = rules.add_rule(PathBeneath::new(opened, allowed))?;
        }
    }
    Ok(rules.restrict_self()?.ruleset)
}
