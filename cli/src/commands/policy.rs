//! `policy check`; `policy simulate` has a file of its own.

use std::path::Path;

use shared::policy::{Policy, PolicySet};

use super::simulate;
use crate::args::PolicyCommand;
use crate::{Exit, Failure};

pub(crate) async fn run(command: PolicyCommand) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Check { paths } => {
            for path in &paths {
                check(path)?;
            }
            Ok(Exit::Pass)
        }
        PolicyCommand::Simulate(arguments) => simulate::run(arguments).await,
    }
}

fn check(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        let set = PolicySet::load(path).map_err(Failure::usage)?;
        for policy in set.iter() {
            println!("{}", summary(policy));
        }
    } else {
        println!("{}", summary(&Policy::load(path).map_err(Failure::usage)?));
    }
    Ok(())
}

fn summary(policy: &Policy) -> String {
    let now = jiff::Timestamp::now();
    let expired = policy.exceptions.iter().filter(|exception| exception.expires <= now).count();
    let expired = if expired == 0 { String::new() } else { format!(" ({expired} expired)") };
    format!(
        "{}: {} rules, {} exceptions{expired}, revision {}",
        policy.name,
        policy.rules.len(),
        policy.exceptions.len(),
        policy.revision
    )
}
