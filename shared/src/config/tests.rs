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
    refused(
        "[auth.webhooks.harbor]\ntoken = \"harbor-token\"\nopen = true",
        &["auth.webhooks.harbor", "set one of"],
    );
    refused("[auth.webhooks.harbor]\ntoken = \"\"", &["auth.webhooks.harbor.token", "openssl rand"]);
    refused("[auth.webhooks.ecr]\nheader = \"x\"", &["auth.webhooks.ecr.header", "token"]);
    refused(
        "[auth.webhooks.ecr]\nheader = \"a b\"\ntoken = \"api-key-of-ecr\"",
        &["auth.webhooks.ecr.header", "X-Api-Key"],
    );
    refused("[auth.webhooks.zot]\nusername = \"u\"", &["auth.webhooks.zot", "belong together"]);
    refused("[auth.webhooks.gar.oidc]\naudience = \"a\"", &["auth.webhooks.gar.oidc", "email"]);
    let gar = "[auth.webhooks.gar.oidc]\naudience = \"a\"\nemail = \"e\"\n";
    refused(&format!("{gar}keys_url = \"http://keys\""), &["auth.webhooks.gar.oidc.keys_url", "https://"]);
    refused(&format!("{gar}issuer = \"https://i\""), &["auth.webhooks.gar.oidc.keys_url", "keys_file"]);
    let nexus = "[auth.webhooks.nexus]\nhmac_secret = \"hmac-secret\"\n";
    refused(
        &format!("{nexus}repositories = [{{key = \"a\", registry = \"r.io\", prefix = \"A//B\"}}]"),
        &["auth.webhooks.nexus.repositories[0].prefix"],
    );
    refused(
        &format!(
            "{nexus}repositories = [{{key = \"a\", registry = \"r.io\"}}, {{key = \"a\", registry = \"x.io\"}}]"
        ),
        &["auth.webhooks.nexus.repositories[1].key", "mapped already"],
    );
    let events =
        "[auth.webhooks.cloudevents]\ntoken = \"cloud-token\"\n[[auth.webhooks.cloudevents.events]]\n";
    refused(&format!("{events}type = \"t\""), &["cloudevents.events[0]", "set reference"]);
    refused(&format!("{events}type = \"t\"\nreference = \"ref\""), &["events[0].reference", "JSON Pointer"]);
    refused("[registries.a]\nhost = \"r.io\"\nusername = \"u\"", &["registries.a", "one way to log in"]);
    refused(
        "[registries.a]\nhost = \"r.io\"\n[registries.b]\nhost = \"x.io\"\naliases = [\"r.io\"]",
        &["already claimed"],
    );
    refused("[worker]\nlease = \"1s\"", &["worker.lease"]);
}

#[test]
fn a_webhook_source_says_how_it_proves_itself_and_what_its_events_leave_out() {
    let config = load(
        r#"
        [auth.webhooks.ecr]
        token = "api-key-of-ecr"
        header = "X-Api-Key"
        [auth.webhooks.gar.oidc]
        audience = "https://tidewaiter.example.com/webhooks/gar"
        email = "push@project.iam.gserviceaccount.com"
        [auth.webhooks.nexus]
        hmac_secret = "hmac-secret"
        repositories = [
            {key = "Apps.One", registry = "nexus.example.com:8083"},
            {key = "two", registry = "nexus.example.com", prefix = "repository/two"},
            {key = "three", registry = "nexus.example.com", prefix = ""},
        ]
        [[auth.webhooks.cloudevents.events]]
        type = "com.example.pushed.*"
        reference = "/image"
        [auth.webhooks.cloudevents]
        token = "cloud-token"
        "#,
    )
    .unwrap();
    let webhooks = &config.auth.webhooks;
    assert!(matches!(&webhooks["ecr"].proof, WebhookProof::Header { name, .. } if name == "x-api-key"));
    let WebhookProof::Oidc(oidc) = &webhooks["gar"].proof else { panic!("gar shows identity tokens") };
    assert_eq!(oidc.issuer, "https://accounts.google.com");
    assert!(matches!(&oidc.keys, OidcKeys::Url(url) if url.scheme() == "https"));
    let pulled: Vec<String> = webhooks["nexus"]
        .settings
        .repositories
        .iter()
        .map(|mapping| format!("{} {}", mapping.key, mapping.image("team/app", None).unwrap()))
        .collect();
    assert_eq!(
        pulled,
        [
            "Apps.One nexus.example.com:8083/team/app",
            "two nexus.example.com/repository/two/team/app",
            "three nexus.example.com/team/app"
        ]
    );
    let event = &webhooks["cloudevents"].settings.events[0];
    assert!(event.is_about("com.example.pushed.v1") && !event.is_about("com.example.pulled"));
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
