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
fn mistakes_name_the_key_and_the_fix() {
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

/// A folder with `a.key`, `a.pub` and `b.pub`.
fn attest_keys() -> tempfile::TempDir {
    use crate::attest::keys::PrivateKey;
    use secrecy::ExposeSecret;
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
    std::fs::write(folder.path().join("a.key"), a.to_pem().expose_secret()).unwrap();
    std::fs::write(folder.path().join("a.pub"), a.public().to_pem()).unwrap();
    std::fs::write(folder.path().join("b.pub"), b.public().to_pem()).unwrap();
    folder
}

#[test]
fn attestation_is_off_until_somebody_signs_or_is_believed() {
    let keys = attest_keys();
    let file = |name: &str| format!("{:?}", keys.path().join(name));
    assert!(matches!(load("").unwrap().attest, AttestConfig::Off));
    let text = format!("[attest]\nkey_file = {}\ntrusted_keys = [{}]", file("a.key"), file("b.pub"));
    let config = load(&text).unwrap();
    let AttestConfig::On(attesting) = &config.attest else { panic!("{:?}", config.attest) };
    assert_eq!(attesting.trust.keys.len(), 2, "the own key is believed, and the rotated one");
    assert_eq!(attesting.trust.restore, Restore::FromAttestations);
    assert!(!format!("{config:?}").contains("BEGIN"), "no key is ever shown");
    let AttestConfig::Restore(_) =
        load(&format!("[attest]\ntrusted_keys = [{}]", file("a.pub"))).unwrap().attest
    else {
        panic!("whoever has no key can still believe")
    };
    let off = load(&format!("[attest]\nenabled = false\nkey_file = {}", file("a.key"))).unwrap();
    assert!(matches!(off.attest, AttestConfig::Off));
    let hook = format!(
        "[attest]\nhook_url = \"https://kms.example.com/\"\nhook_public_key_file = {}",
        file("a.pub")
    );
    assert!(matches!(load(&hook).unwrap().attest, AttestConfig::On(_)));
    let only = format!(
        "[registries.main]\nhost = \"r.io\"\n[registries.b]\nhost = \"b.io\"\n[attest]\nkey_file = {}\nregistries = [\"main\"]",
        file("a.key")
    );
    let config = load(&only).unwrap();
    let trust = config.attest.trust().unwrap();
    assert!(trust.covers(&"r.io".parse().unwrap()) && !trust.covers(&"b.io".parse().unwrap()));
}

#[test]
fn contradictory_attest_settings_name_the_key_and_the_fix() {
    let keys = attest_keys();
    let file = |name: &str| format!("{:?}", keys.path().join(name));
    let key = format!("key_file = {}\n", file("a.key"));
    for (text, fragments) in [
        (format!("{key}hook_url = \"https://k.io\""), ["attest.hook_url", "keep one"]),
        ("enabled = true".to_owned(), ["attest.enabled", "attest.key_file"]),
        ("restore = true".to_owned(), ["attest.restore", "attest.trusted_keys"]),
        ("cosign = \"tag\"".to_owned(), ["attest.key_file", "nobody signs"]),
        ("hook_url = \"https://k.io\"".to_owned(), ["attest.hook_public_key_file", "public half"]),
        ("hook_url = \"http://k.io\"".to_owned(), ["attest.hook_url", "https"]),
        ("hook_timeout = \"1s\"".to_owned(), ["attest.hook_url", "is missing"]),
        (format!("{key}policies = []"), ["attest.policies", "is empty"]),
        (format!("{key}registries = [\"nobody\"]"), ["attest.registries", "nobody"]),
        (format!("{key}statement_type = \"v2\""), ["statement_type", "v0.1"]),
        (format!("{key}cosign = \"yes\""), ["cosign", "bundle"]),
        (format!("key_file = {}", file("a.pub")), ["attest.key_file", "P-256"]),
        (format!("trusted_keys = [{}]", file("a.key")), ["attest.trusted_keys", "openssl pkey"]),
        ("key_file = \"/nonexistent\"".to_owned(), ["attest.key_file", "/nonexistent"]),
    ] {
        refused(&format!("[attest]\n{text}"), &fragments);
    }
}
