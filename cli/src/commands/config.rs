//! `config print` and `config check`.

use shared::config::{Config, Overrides};

use crate::args::ConfigCommand;
use crate::{Exit, Failure, site};

pub(crate) fn run(overrides: &Overrides, command: &ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Print => print(overrides),
        ConfigCommand::Check => check(overrides),
    }
}

fn print(overrides: &Overrides) -> Result<Exit, Failure> {
    let settings = Config::settings(overrides).map_err(Failure::usage)?;
    if settings.is_empty() {
        println!("# nothing is set: every setting has its default");
    }
    for setting in settings {
        println!(
            "{} = {}  # {}",
            setting.key,
            setting.value,
            setting.origin.as_deref().unwrap_or("command line")
        );
    }
    Ok(Exit::Pass)
}

fn check(overrides: &Overrides) -> Result<Exit, Failure> {
    let config = site::configuration(overrides)?;
    let policies = site::policies(&config)?;
    config.registries.client().map_err(Failure::usage)?;
    site::endpoints(&config)?;
    api::webhooks::check(&config.auth).map_err(Failure::usage)?;
    println!(
        "configuration is sound: {} registries, {} policies, {} API tokens, {} webhook sources, {} endpoints to notify",
        config.registries.iter().count(),
        policies.iter().count(),
        config.auth.tokens.len(),
        config.auth.webhooks.len(),
        config.notify.endpoints.len()
    );
    Ok(Exit::Pass)
}
