//! `config print` and `config check`.

use shared::config::{Config, Overrides};

use crate::args::ConfigCommand;
use crate::{Exit, Failure, site};

pub(crate) fn run(overrides: &Overrides, command: &ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Print => print(overrides),
        ConfigCommand::Check => check(overrides),
        ConfigCommand::Metrics => {
            print!("{}", shared::telemetry::metrics_document());
            Ok(Exit::Pass)
        }
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
    site::secrets(&config.worker)?;
    site::malware(&config.worker.malware)?;
    api::webhooks::check(&config.auth).map_err(Failure::usage)?;
    println!(
        "configuration is sound: {}, {}, {}, {}, {} to notify",
        counted(config.registries.iter().count(), "registry", "registries"),
        counted(policies.iter().count(), "policy", "policies"),
        counted(config.auth.tokens.len(), "API token", "API tokens"),
        counted(config.auth.webhooks.len(), "webhook source", "webhook sources"),
        counted(config.notify.endpoints.len(), "endpoint", "endpoints")
    );
    Ok(Exit::Pass)
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
