//! What a configuration file promises: a setting is used or refused by name, never passed over.

use secrecy::ExposeSecret;

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
fn traces_go_where_an_endpoint_says_and_nowhere_by_default() {
    assert!(load("").unwrap().telemetry.traces.is_none());
    for (endpoint, expected) in [
        ("https://collector:4318", "https://collector:4318/v1/traces"),
        ("https://collector/otlp/v1/traces", "https://collector/otlp/v1/traces"),
    ] {
        let text = format!("[telemetry.traces]\nendpoint = \"{endpoint}\"\nheaders = \"x-key: a\"");
        let traces = load(&text).unwrap().telemetry.traces.unwrap();
        assert_eq!((traces.endpoint.as_str(), traces.sample_ratio), (expected, 1.0));
        assert_eq!(traces.callers, Callers::Sampled);
        assert_eq!(
            (traces.headers[0].name.as_str(), traces.headers[0].value.expose_secret()),
            ("x-key", "a")
        );
    }
}

const PROXY: &str = "[egress]\nproxy = \"http://proxy.example.com:3128\"\n";

#[test]
fn requests_leave_directly_unless_a_proxy_is_configured() {
    assert!(load("").unwrap().egress.proxy().is_none());
    let is_proxied = |text: &str, url: &str| load(text).unwrap().egress.is_proxied(&url.parse().unwrap());
    assert!(is_proxied(PROXY, "https://registry.example.com/"));
    for list in ["[\".example.com\", \"10.0.0.0/8\"]", "\".example.com,10.0.0.0/8\""] {
        let text = format!("{PROXY}no_proxy = {list}");
        assert!(!is_proxied(&text, "https://registry.example.com/"), "{list}");
        assert!(!is_proxied(&text, "http://10.1.2.3/"), "{list}");
        assert!(is_proxied(&text, "https://quay.io/"), "{list}");
    }
}

#[test]
fn what_is_wrong_with_a_proxy_is_named_and_no_password_repeated() {
    for (text, fragments) in [
        ("proxy = \"proxy:3128\"", ["egress.proxy:", "http://proxy.example.com:3128"]),
        ("proxy = \"socks5://proxy:1080\"", ["egress.proxy:", "SOCKS"]),
        ("proxy = \"http://u:hunter2@proxy:3128\"", ["egress.proxy:", "egress.proxy_password_file"]),
        ("proxy = \"http://proxy:3128/path\"", ["egress.proxy:", "a host and a port"]),
        ("no_proxy = [\"a.io\"]", ["egress.proxy:", "is missing"]),
        ("proxy_password = \"hunter2\"", ["egress.proxy:", "is missing"]),
        ("proxy = \"http://p\"\nproxy_user = \"u\"", ["egress.proxy_password:", "proxy_password_file"]),
        ("proxy = \"http://p\"\nproxy_password = \"hunter2\"", ["egress.proxy_user:", "is missing"]),
        (
            "proxy = \"http://p\"\nproxy_user = \"a:b\"\nproxy_password = \"hunter2\"",
            ["egress.proxy_user:", "colon"],
        ),
        ("proxy = \"http://p\"\nno_proxy = \"a.io,*\"", ["egress.no_proxy:", "leave egress.proxy out"]),
        ("proxy = \"http://p\"\nno_proxy = [\"10.0.0.0/40\"]", ["egress.no_proxy:", "10.0.0.0/40"]),
        ("proxy = \"http://p\"\nno_proxy = 5", ["no_proxy", "a list of hosts"]),
        (
            "proxy = \"http://p\"\nca_certificates = [\"/absent.pem\"]",
            ["egress.ca_certificates:", "/absent.pem"],
        ),
        ("proxie = \"http://p\"", ["proxie", "unknown"]),
    ] {
        let error = load(&format!("[egress]\n{text}")).expect_err(text).to_string();
        for fragment in fragments {
            assert!(error.contains(fragment), "{error:?} lacks {fragment:?}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn i8_no_credentials_are_configured_that_a_proxy_would_read() {
    let registry =
        "[registries.a]\nhost = \"r.io:5000\"\nplain_http = true\nusername = \"u\"\npassword = \"p\"\n";
    let endpoint = "[notify.ops]\nurl = \"http://hooks.io\"\nplain_http = true\ntoken = \"t\"\n";
    let traces = "[telemetry.traces]\nendpoint = \"http://otel.io\"\nplain_http = true\nheaders = \"a: b\"\n";
    for (text, key, host) in [
        (registry, "registries.a", "r.io:5000"),
        (endpoint, "notify.ops.token", "hooks.io"),
        (traces, "telemetry.traces.headers", "otel.io"),
    ] {
        assert!(load(text).is_ok(), "{text}");
        refused(&format!("{text}{PROXY}"), &[key, "clear text", "egress.no_proxy"]);
        assert!(load(&format!("{text}{PROXY}no_proxy = [\"{host}\"]")).is_ok(), "{text}");
    }
    assert!(load(&format!("[registries.a]\nhost = \"r.io\"\nplain_http = true\n{PROXY}")).is_ok());
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
    refused(
        "[telemetry.traces]\nendpoint = \"https://c\"\ncallers = \"all\"",
        &["telemetry.traces.callers", "sampled nor followed"],
    );
    refused("[telemetry.traces]\ncallers = \"followed\"", &["telemetry.traces.endpoint"]);
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
    refused("[queue]\ncluster = [\"amqp://b\"]", &["queue.cluster", "queue.url"]);
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
    refused("[gates.kubernetes]\nmargin = \"10s\"", &["gates.kubernetes.margin", "has to be smaller"]);
    refused("[gates.kubernets]\nopen = true", &["kubernets"]);
    let traces = |line: &str| format!("[telemetry.traces]\n{line}");
    refused(&traces("headers = \"a: hunter2\""), &["telemetry.traces.endpoint", "is missing"]);
    refused(&traces("endpoint = \"http://c:4318\""), &["telemetry.traces.endpoint", "plain_http = true"]);
    refused(&traces("endpoint = \"grpc://c:4317\""), &["telemetry.traces.endpoint", "gRPC"]);
    refused(&traces("endpoint = \"https://u:p@c\""), &["telemetry.traces.endpoint", "headers"]);
    let collector = "endpoint = \"https://c\"\n";
    refused(&traces(&format!("{collector}sample_ratio = 2.0")), &["telemetry.traces.sample_ratio", "0"]);
    refused(&traces(&format!("{collector}timeout = \"2m\"")), &["telemetry.traces.timeout", "60s"]);
    refused(&traces(&format!("{collector}headers = \"hunter2\"")), &["telemetry.traces.headers", "line 1"]);
    refused("[server.tls]\ncertificate = \"a.pem\"", &["key"]);
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

#[test]
fn the_gate_at_the_registrys_door_fits_the_patience_of_its_proxy() {
    let pull = load("[gates.pull]\nregistry = \"r.example.com\"\ndeadline = \"200ms\"").unwrap().gates.pull;
    assert_eq!(pull.registry.unwrap().as_str(), "r.example.com");
    assert_eq!(pull.namespaces, Namespaces::Ignored);
    // Envoy waits no longer where nothing is said.
    assert_eq!(pull.gate.allowance(None), std::time::Duration::from_millis(160));
    assert_eq!(pull.gate.access, GateAccess::Token);
    let open = load("[gates.pull]\nopen = true\nnamespaces = true").unwrap().gates.pull;
    assert_eq!((open.gate.access, open.namespaces), (GateAccess::Open, Namespaces::NameTheRegistry));
    refused("[gates.pull]\ndeadline = \"1s\"\nmargin = \"1s\"", &["gates.pull.margin"]);
    refused("[gates.pull]\nregistry = \"a b\"", &["registry host"]);
}

#[test]
fn gates_for_other_policy_engines_have_their_own_deadlines() {
    let gates = load("[gates.gatekeeper]\nopen = true\n[gates.kyverno]\ndeadline = \"20s\"").unwrap().gates;
    assert_eq!(gates.gatekeeper.access, GateAccess::Open);
    assert_eq!(gates.gatekeeper.allowance(None), std::time::Duration::from_millis(1750));
    assert_eq!(gates.kyverno.allowance(None), std::time::Duration::from_secs(19));
    refused("[gates.kyverno]\nopne = true", &["opne"]);
}

#[test]
fn the_key_for_lent_credentials_is_a_secret_that_cannot_be_guessed() {
    let harbor = load("[gates.harbor]\ncredentials_key = \"0123456789abcdef0123\"").unwrap().gates.harbor;
    assert!(harbor.credentials_key.is_some());
    assert!(!format!("{harbor:?}").contains("0123456789abcdef0123"));
    assert!(load("").unwrap().gates.harbor.credentials_key.is_none());
    refused("[gates.harbor]\ncredentials_key = \"short\"", &["gates.harbor.credentials_key", "openssl rand"]);
}

#[test]
fn the_key_of_fingerprints_is_a_secret_out_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let text = format!("[worker]\nsecret_key_file = {:?}", file.display().to_string());
    refused(&text, &["worker.secret_key_file", "cannot read"]);
    std::fs::write(&file, "0123456789abcdef0123\n").unwrap();
    let worker = load(&text).unwrap().worker;
    assert_eq!(worker.secret_key.as_ref().map(ExposeSecret::expose_secret), Some("0123456789abcdef0123"));
    assert!(!format!("{worker:?}").contains("0123456789abcdef0123"));
    refused(&format!("{text}\nsecret_key = \"0123456789abcdef0123\""), &["worker.secret_key", "keep one"]);
    std::fs::write(&file, "short\n").unwrap();
    refused(&text, &["worker.secret_key", "openssl rand"]);
    assert!(load("").unwrap().worker.secret_key.is_none());
}

#[test]
fn i9_a_gate_answers_before_its_callers_patience_ends() {
    use std::time::Duration;
    let config = load("[gates.kubernetes]\nopen = true\ndeadline = \"6s\"\nmargin = \"2s\"").unwrap();
    let gate = config.gates.kubernetes;
    assert_eq!(gate.access, GateAccess::Open);
    for (patience, expected) in [(None, 4_000), (Some(10_000), 8_000), (Some(3_000), 1_500), (Some(0), 0)] {
        let allowance = gate.allowance(patience.map(Duration::from_millis));
        assert_eq!(allowance, Duration::from_millis(expected), "{patience:?}");
    }
    assert_eq!(load("").unwrap().gates.kubernetes.access, GateAccess::Token);
    let tls = load("[server.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"").unwrap();
    assert_eq!(tls.server.public_url.scheme(), "https");
}

#[test]
fn endpoints_are_told_what_they_ask_for_over_https() {
    let config = load(
        "[notify.ops]\nurl = \"https://hooks.example.com/x\"\nsecret = \"k\"\noutcomes = [\"pass->fail\"]\n\
         repositories = [\"r.io/team/*\"]\npolicies = [\"default\"]\nmode = \"binary\"\ntimeout = \"3s\"\n\
         [notify.lan]\nurl = \"http://10.0.0.5/x\"\nplain_http = true",
    )
    .unwrap();
    let ops = &config.notify.endpoints[&"ops".parse().unwrap()];
    assert_eq!((ops.mode, ops.timeout.as_secs()), (ContentMode::Binary, 3));
    assert_eq!((ops.interest.outcomes.len(), ops.interest.repositories.len()), (1, 1));
    let lan = &config.notify.endpoints[&"lan".parse().unwrap()];
    assert_eq!((lan.mode, lan.give_up_after.as_secs()), (ContentMode::Structured, 86_400));
    assert!(lan.secret.is_none() && lan.interest == crate::announce::Interest::default());
    assert!(!format!("{config:?}").contains("hooks.example.com"), "the URL may be a secret");
}

#[test]
fn an_endpoint_that_would_leak_or_never_match_is_refused_by_name() {
    let url = "url = \"https://h.io/\"";
    refused("[notify.ops]\n", &["notify.ops.url"]);
    refused("[notify.ops]\nurl = \"http://h.io/\"", &["notify.ops.url", "plain_http = true"]);
    refused("[notify.ops]\nurl = \"ftp://h.io/\"", &["notify.ops.url", "https://"]);
    refused("[notify.ops]\nurl = \"https://user:pw@h.io/\"", &["notify.ops.url", "token"]);
    refused(&format!("[notify.ops]\n{url}\nsecret = \"\""), &["notify.ops.secret", "openssl rand"]);
    refused(&format!("[notify.ops]\n{url}\ntoken = \"a b\""), &["notify.ops.token"]);
    refused(&format!("[notify.ops]\n{url}\noutcomes = [\"bad\"]"), &["notify.ops.outcomes", "pass->fail"]);
    refused(&format!("[notify.ops]\n{url}\nrepositories = [\"team\"]"), &["notify.ops.repositories"]);
    refused(&format!("[notify.ops]\n{url}\ntimeout = \"5m\""), &["notify.ops.timeout", "60s"]);
    refused(&format!("[notify.ops]\n{url}\nretries = 3"), &["retries"]);
    refused(&format!("[notify.\"a.b\"]\n{url}"), &["a.b"]);
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
