//! What a configuration file promises: a setting is used or refused by name, never passed over.

use super::*;
use crate::model::image::ImageName;

fn load(text: &str) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidewaiter.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(&Overrides { file: Some(file), ..Overrides::default() })
}

fn refused(text: &str, fragments: &[&str]) {
    let error = load(text).expect_err(text).to_string();
    for fragment in fragments {
        assert!(error.contains(fragment), "{error:?} lacks {fragment:?}");
    }
}

#[test]
fn an_empty_file_is_the_embedded_default() {
    let config = load("").unwrap();
    assert!(matches!(config.queue, QueueConfig::Embedded { .. }));
    assert!(matches!(config.store, StoreConfig::Embedded { .. }));
    assert!(config.server.listen.ip().is_loopback());
    assert_eq!(config.advisories.database, PathBuf::from("tidewaiter-data/advisories.db"));
}

#[test]
fn urls_choose_the_servers() {
    let config = load("[queue]\nurl = \"amqp://u:p@mq/v\"\n[store]\nurl = \"redis://cache\"").unwrap();
    assert!(matches!(config.queue, QueueConfig::Rabbitmq(_)));
    assert!(matches!(config.store, StoreConfig::Redis(_)));
}

#[test]
fn a_registry_is_known_by_its_host_and_its_aliases() {
    let config = load(
        "[registries.main]\nhost = \"registry.example.com\"\naliases = [\"registry:5000\"]\nplain_http = true",
    )
    .unwrap();
    let image: ImageName = "registry:5000/team/app".parse().unwrap();
    assert_eq!(config.registries.canonical(&image).unwrap().to_string(), "registry.example.com/team/app");
    assert!(config.registries.canonical(&"evil.example.com/x".parse().unwrap()).is_none(), "I8");
}

#[test]
fn a_registry_is_swept_daily_unless_it_offers_no_catalogue_or_nobody_wants_it() {
    for (host, more, expected) in [
        ("registry.example.com", "", Some(86400)),
        ("registry.example.com", "sweep_every = \"6h\"", Some(21600)),
        ("registry.example.com", "sweep_every = \"off\"", None),
        ("docker.io", "", None),
        ("docker.io", "repositories = [\"team/app\"]", Some(86400)),
        ("europe-docker.pkg.dev", "", None),
    ] {
        let config = load(&format!("[registries.main]\nhost = \"{host}\"\n{more}")).unwrap();
        let found = config.registries.named("main").unwrap();
        assert_eq!(config.registries.named(host).map(|same| &same.name), Some(&found.name));
        assert_eq!(found.sweep.every.map(|every| every.as_secs()), expected, "{host} {more}");
    }
}

#[test]
fn mistakes_name_the_key_and_the_fix() {
    refused("[registries.a]\nhost = \"r.io\"\nsweep_every = \"1s\"", &["registries.a.sweep_every", "off"]);
    refused("[registries.a]\nhost = \"r.io\"\nsweep_every = \"daily\"", &["sweep_every", "24h"]);
    refused(
        "[registries.a]\nhost = \"r.io\"\nsweep_rate = 0.0",
        &["registries.a.sweep_rate", "between 0.1 and 1000"],
    );
    refused(
        "[registries.a]\nhost = \"r.io\"\nrepositories = [\"Team\"]",
        &["repositories", "not a repository"],
    );
    refused("[server]\nlissten = \"x\"", &["lissten"]);
    refused("[servr]\nlisten = \"x\"", &["servr"]);
    refused("[server]\nlisten = \"nowhere\"", &["server.listen"]);
    refused("[server]\nlongest_wait = \"60\"", &["longest_wait", "30s"]);
    refused("[server]\nbody_limit = \"1MB\"", &["body_limit", "64MiB"]);
    refused("[queue]\nurl = \"http://mq\"", &["queue.url", "amqp://"]);
    refused("[store]\ncluster = [\"redis://b\"]", &["store", "store.url"]);
    refused("[store]\nurl = \"redis://a\"\nmaster = \"m\"", &["store", "sentinels together with master"]);
    refused(
        "[auth.tokens.ci]\ntoken = \"short\"\nscopes = [\"read\"]",
        &["auth.tokens.ci.token", "openssl rand"],
    );
    refused("[auth.tokens.ci]\ntoken = \"0123456789abcdef\"\nscopes = []", &["scopes"]);
    refused(
        "[auth.tokens.ci]\ntoken_file = \"/nonexistent\"\nscopes = [\"read\"]",
        &["token_file", "/nonexistent"],
    );
    refused("[auth.webhooks.harbor]\n", &["auth.webhooks.harbor", "open = true"]);
    refused("[registries.a]\nhost = \"r.io\"\nusername = \"u\"", &["registries.a", "one way to log in"]);
    refused(
        "[registries.a]\nhost = \"r.io\"\n[registries.b]\nhost = \"x.io\"\naliases = [\"r.io\"]",
        &["already claimed"],
    );
    refused("[worker]\nlease = \"1s\"", &["worker.lease"]);
}

#[test]
fn a_named_file_must_exist() {
    let overrides = Overrides { file: Some(PathBuf::from("/nonexistent.toml")), ..Overrides::default() };
    assert!(matches!(Config::load(&overrides), Err(ConfigError::Missing(_))));
}

#[test]
fn the_command_line_has_the_last_word() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    std::fs::write(&file, "data_dir = \"/from/file\"\n[server]\nlisten = \"127.0.0.1:1\"").unwrap();
    let overrides = Overrides {
        file: Some(file),
        data_dir: Some(PathBuf::from("/from/flag")),
        settings: BTreeMap::from([("server.listen".to_owned(), "127.0.0.1:2".to_owned())]),
    };
    let config = Config::load(&overrides).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.advisories.database, PathBuf::from("/from/flag/advisories.db"));
    let settings = Config::settings(&overrides).unwrap();
    let listen = settings.iter().find(|setting| setting.key == "server.listen").unwrap();
    assert_eq!((listen.value.as_str(), &listen.origin), ("127.0.0.1:2", &None));
}
