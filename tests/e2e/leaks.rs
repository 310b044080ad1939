//! Secrets stay where they belong: a distinctive one is planted wherever one can be configured, and in an image; then
//! everything is done that can go well or wrong, and none of them, in no form, is in anything that anybody can read.

use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context, Result, ensure};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::Sha256;
use tests::image::{HARMLESS, Image};
use tests::process::{Process, free_port};
use tests::servers::{BEHIND_PROXY, Broker, Cache, Squid};
use tests::site::{Site, WEBHOOK_TOKEN, eventually, run};

use crate::collector::{Collector, HEADER};

mod plants;
mod wrong;

use plants::{Plants, percent_encoded};

/// Answers everything with what it was told, as a careless server would: the headers too.
struct Echo {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    fn start() -> Result<Self> {
        let (port, asked) = (free_port()?, Arc::new(Mutex::new(Vec::new())));
        let shared = web::Data::new(Arc::clone(&asked));
        let server =
            HttpServer::new(move || App::new().app_data(shared.clone()).default_service(web::to(echo)));
        tokio::spawn(server.workers(1).disable_signals().bind(("127.0.0.1", port))?.run());
        Ok(Self { port, asked })
    }

    /// Whether a request came whose line and headers have this in them.
    fn heard(&self, words: &str) -> bool {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|asked| asked.contains(words))
    }
}

async fn echo(request: HttpRequest, asked: web::Data<Arc<Mutex<Vec<String>>>>) -> HttpResponse {
    let mut said = format!("{} {}", request.method(), request.uri());
    for (name, value) in request.headers() {
        said += &format!(" {name}={}", String::from_utf8_lossy(value.as_bytes()));
    }
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(said.clone());
    let is_registry = request.path().starts_with("/v2/");
    if is_registry && !request.headers().contains_key("authorization") {
        let challenge = ("www-authenticate", "Basic realm=\"echo\"");
        return HttpResponse::Unauthorized().insert_header(challenge).finish();
    }
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let first = format!("{} {said}", authorization.unwrap_or_default());
    if is_registry {
        let body = json!({"errors": [{"code": "DENIED", "message": first, "detail": first}]});
        return HttpResponse::Forbidden().json(body);
    }
    HttpResponse::InternalServerError().body(first)
}

/// Everything that was said by anybody, and by whom.
#[derive(Default)]
struct Said(Vec<(String, Vec<u8>)>);

impl Said {
    fn by(&mut self, whom: impl Into<String>, what: impl Into<Vec<u8>>) {
        self.0.push((whom.into(), what.into()));
    }

    fn by_command(&mut self, whom: impl Into<String>, output: &Output) {
        self.by(whom, [&output.stdout[..], &output.stderr].concat());
    }

    /// The status and whatever else is in the answer.
    async fn by_server(
        &mut self,
        whom: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<(StatusCode, Value)> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
        let body = answer.bytes().await?;
        self.by(format!("{whom}: {status}"), [headers.as_bytes(), &body].concat());
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// The servers of one trial, each with a password that is planted.
struct Servers {
    folder: tempfile::TempDir,
    cache: Cache,
    broker: Broker,
    echo: Echo,
    collector: Collector,
    squid: Squid,
}

impl Servers {
    fn start(plants: &mut Plants) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let cache = Cache::start(folder.path())?;
        cache.command(&format!("CONFIG SET requirepass {}", plants.plant("redis")))?;
        let broker = Broker::start(folder.path())?;
        broker.control(&["add_user", "planter", &plants.plant("rabbitmq")])?;
        broker.control(&["set_permissions", "planter", ".*", ".*", ".*"])?;
        plants.add("traces", HEADER.rsplit(' ').next().unwrap_or_default());
        plants.add("webhook", WEBHOOK_TOKEN);
        let squid = Squid::start(folder.path(), &plants.plant("proxy"))?;
        Ok(Self { folder, cache, broker, echo: Echo::start()?, collector: Collector::start()?, squid })
    }

    fn amqp(&self, password: &str) -> String {
        format!("amqp://planter:{}@127.0.0.1:{}", percent_encoded(password), self.broker.port)
    }

    fn redis(&self, password: &str) -> String {
        format!("redis://:{}@127.0.0.1:{}", percent_encoded(password), self.cache.port)
    }

    /// A configuration with a secret in every place that takes one.
    fn configuration(&self, plants: &mut Plants) -> Result<String> {
        let key = self.folder.path().join("keys");
        std::fs::create_dir_all(&key)?;
        let made = Command::new(tests::site::binary()).args(["attest", "key", "-o"]).arg(&key).output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pem = std::fs::read_to_string(key.join("tidewaiter.key"))?;
        plants.add("attest key", pem.lines().nth(1).context("a key has a second line")?);
        let echo = self.echo.port;
        Ok(format!(
            "username = \"robot\"\npassword = \"{main}\"\n\
             [registries.refused]\nhost = \"127.0.0.1:{echo}\"\nplain_http = true\nsweep_every = \"off\"\nusername = \"robot\"\npassword = \"{refused}\"\n\
             [registries.behind]\nhost = \"{BEHIND_PROXY}:{echo}\"\nplain_http = true\nsweep_every = \"off\"\n{egress}\
             [auth.tokens.all]\ntoken = \"{token}\"\nscopes = [\"read\", \"push\", \"admin\"]\n\
             [auth.webhooks.github]\nhmac_secret = \"{hmac}\"\n\
             [auth.webhooks.dockerhub]\ntoken = \"{parameter}\"\n\
             [auth.webhooks.generic]\nusername = \"u\"\npassword = \"{basic}\"\n\
             [worker]\nsecret_key = \"{fingerprints}\"\n\
             [gates.harbor]\ncredentials_key = \"{lending}\"\n\
             [notify.ops]\nurl = \"http://127.0.0.1:{echo}/hook/{path}?key={query}\"\nplain_http = true\nsecret = \"{signing}\"\ntoken = \"{bearer}\"\n\
             [attest]\nkey_file = \"{key}\"\n\
             [telemetry]\nlog = \"trace\"\n{traces}",
            egress = self.squid.section(&plants.of("proxy")),
            main = plants.plant("registry"),
            refused = plants.plant("refused registry"),
            token = plants.plant("api token"),
            hmac = plants.plant("github hmac"),
            parameter = plants.plant("dockerhub token"),
            basic = plants.plant("generic password"),
            fingerprints = plants.plant("secret key"),
            lending = plants.plant("credentials key"),
            path = percent_encoded(&plants.plant("notify path")),
            query = percent_encoded(&plants.plant("notify query")),
            signing = plants.plant("notify secret"),
            bearer = plants.plant("notify token"),
            key = key.join("tidewaiter.key").display(),
            traces = self.collector.section(),
        ))
    }
}

/// Whoever asks, with whatever he shows.
struct Client<'a> {
    site: &'a Site,
    http: reqwest::Client,
    token: String,
}

impl Client<'_> {
    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.site.url)).bearer_auth(&self.token)
    }

    fn post(&self, path: &str, body: &str) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.site.url));
        request.header("content-type", "application/json").body(body.to_owned())
    }
}

/// Every sender, right and wrong.
async fn send_all(client: &Client<'_>, plants: &Plants, notice: &str, said: &mut Said) -> Result<()> {
    let of = |name: &str| plants.of(name);
    let signed = |key: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length");
        mac.update(notice.as_bytes());
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    };
    let parameter = |value: &str| format!("/webhooks/dockerhub?token={}", percent_encoded(value));
    for (whom, mistake, expected) in
        [("the right one", "", StatusCode::ACCEPTED), ("a mistyped one", "x", StatusCode::UNAUTHORIZED)]
    {
        let shown = |name: &str| of(name) + mistake;
        let scan = client.post("/v1/scans", notice).bearer_auth(shown("api token"));
        assert_eq!(said.by_server(&format!("scan, {whom}"), scan).await?.0, expected);
        let basic = client.post("/webhooks/generic", notice);
        let basic = basic.basic_auth("u", Some(shown("generic password")));
        assert_eq!(said.by_server(&format!("generic, {whom}"), basic).await?.0, expected);
        let bearer = client.post("/webhooks/distribution", "{").bearer_auth(shown("webhook"));
        said.by_server(&format!("distribution, {whom}"), bearer).await?;
        let github = client.post("/webhooks/github", notice).header("x-github-event", "ping");
        let github = github.header("x-hub-signature-256", signed(&shown("github hmac")));
        said.by_server(&format!("github, {whom}"), github).await?;
        let dockerhub = client.post(&parameter(&shown("dockerhub token")), notice);
        said.by_server(&format!("dockerhub, {whom}"), dockerhub).await?;
        let read = client.http.get(format!("{}/v1/queue", client.site.url)).bearer_auth(shown("api token"));
        said.by_server(&format!("queue, {whom}"), read).await?;
        let harbor = client.http.get(format!("{}/gates/harbor/api/v1/metadata", client.site.url));
        let harbor = harbor.basic_auth("u", Some(shown("api token")));
        said.by_server(&format!("harbor, {whom}"), harbor).await?;
    }
    Ok(())
}

/// Everything that can be asked about an image and the process.
async fn ask_all(client: &Client<'_>, digest: &str, said: &mut Said) -> Result<()> {
    let mut paths: Vec<String> =
        ["/openapi.json", "/metrics", "/readyz", "/v1/queue", "/v1/queue/dead", "/v1/policies", "/v1/sweeps"]
            .map(str::to_owned)
            .to_vec();
    for format in ["json", "sarif", "cyclonedx", "spdx", "openvex", "junit", "markdown", "table"] {
        paths.push(format!("/v1/reports/{digest}?format={format}"));
    }
    paths.push(format!("/v1/verdicts/{digest}"));
    paths.push(format!("/v1/verdicts/{digest}/history"));
    for path in paths {
        let asked = client.get(&path);
        said.by_server(&path, asked).await?;
    }
    Ok(())
}

/// Every key of Redis with its value, and whatever is compressed in it.
fn stored(servers: &Servers, password: &str) -> Result<Vec<u8>> {
    let cli = |arguments: &[&str]| -> Result<Vec<u8>> {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &servers.cache.port.to_string(), "--no-auth-warning", "-a", password]);
        Ok(command.args(arguments).output().context("redis-cli is missing; run `make test`")?.stdout)
    };
    let file = servers.folder.path().join("dump.rdb");
    cli(&["CONFIG", "SET", "rdbcompression", "no"])?;
    cli(&["--rdb", &file.display().to_string()])?;
    let mut bytes = std::fs::read(&file)?;
    let magic = zstd::zstd_safe::MAGICNUMBER.to_le_bytes();
    let frames: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, window)| *window == magic).map(|(at, _)| at).collect();
    let mut opened = Vec::new();
    for at in &frames {
        let mut decoder = zstd::Decoder::new(&bytes[*at..])?.single_frame();
        // What only looks like a frame ends with an error.
        let _ = std::io::copy(&mut decoder, &mut opened);
    }
    ensure!(!frames.is_empty() && opened.len() > 1000, "reports are stored compressed");
    bytes.extend(opened);
    Ok(bytes)
}

/// Everything that the broker has on disk: messages, and those that it has delivered lately.
fn queued(folder: &std::path::Path, bytes: &mut Vec<u8>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            queued(&path, bytes)?;
        } else if path.is_file() {
            bytes.extend(std::fs::read(&path).unwrap_or_default());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_anything_that_anybody_can_read() -> Result<()> {
    let mut plants = Plants::default();
    let servers = Servers::start(&mut plants)?;
    let extra = servers.configuration(&mut plants)?;
    let (amqp, redis) = (servers.amqp(&plants.of("rabbitmq")), servers.redis(&plants.of("redis")));
    let mut site = Site::distributed_between(1, &amqp, &redis, &extra).await?;
    let mut said = Said::default();

    let file = format!("GITHUB_TOKEN={}\n", plants.token("in a file"));
    let gone = format!("password: {}\n", plants.token("in a deleted file"));
    let image = Image::debian_with_python(HARMLESS)
        .layer([("srv/.env", file.as_str()), ("srv/old.yaml", gone.as_str())])
        .layer([("srv/.wh.old.yaml", "")])
        .runs(json!({"Env": [format!("GITHUB_TOKEN={}", plants.token("in the environment"))]}));
    let digest = site.push(&image, "team/app", "1.0")?;
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).build()?;
    let client = Client { site: &site, http, token: plants.of("api token") };
    let notice = json!({"image": site.name("team/app", &digest)}).to_string();
    send_all(&client, &plants, &notice, &mut said).await?;

    // A registry that refuses the login, and repeats it; an endpoint that fails, and repeats everything.
    let refused = format!("127.0.0.1:{}/team/app@{digest}", servers.echo.port);
    let scan = client.post("/v1/scans", &json!({"image": refused}).to_string()).bearer_auth(&client.token);
    said.by_server("scan, refused registry", scan).await?;
    eventually("the verdict", || async {
        Ok(client.get(&format!("/v1/verdicts/{digest}")).send().await?.status() == StatusCode::OK)
    })
    .await?;
    // One behind the proxy, which says of everything what it heard.
    let behind = format!("{BEHIND_PROXY}:{}/team/behind@{digest}", servers.echo.port);
    let scan = client.post("/v1/scans", &json!({"image": behind}).to_string()).bearer_auth(&client.token);
    said.by_server("scan, registry behind the proxy", scan).await?;
    let told = || async {
        let asked = ["POST /hook/", "/v2/team/app", "/v2/team/behind"];
        Ok(asked.into_iter().all(|asked| servers.echo.heard(asked)))
    };
    eventually("registry and endpoint are asked", told).await?;
    assert!(!servers.echo.heard("proxy-authorization"), "the login of the proxy is for the proxy");
    let buried = || async {
        let dead = client.get("/v1/queue").send().await?.json::<Value>().await?;
        Ok(dead["dead"].as_u64() > Some(0) && dead["retrying"].as_u64() > Some(0))
    };
    eventually("a dead letter, and an event that waits", buried).await?;
    ask_all(&client, &digest.to_string(), &mut said).await?;

    for arguments in [
        &["config", "print"][..],
        &["config", "check"],
        &["doctor"],
        &["doctor", "refused"],
        &["doctor", "behind"],
        &["scan", &refused],
        &["scan", &behind],
    ] {
        said.by_command(arguments.join(" "), &site.run(arguments)?);
    }
    wrong::configurations(&plants, &mut said)?;
    wrong::passwords(&servers, &site, &plants, &mut said)?;

    said.by("Redis", stored(&servers, &plants.of("redis"))?);
    let mut messages = Vec::new();
    queued(&servers.folder.path().join("rabbitmq/mnesia"), &mut messages)?;
    said.by("RabbitMQ", messages);
    drop(client);
    assert!(site.front.terminate(Duration::from_secs(30))?.success());
    assert!(site.workers[0].terminate(Duration::from_secs(30))?.success());
    ensure!(!servers.collector.bytes().is_empty(), "traces were sent");
    said.by("traces", servers.collector.bytes());
    said.by("the api's log", site.front.log());
    said.by("the worker's log", site.workers[0].log());
    let leaks: Vec<String> = said
        .0
        .iter()
        .flat_map(|(whom, what)| plants.found_in(what).into_iter().map(move |leak| format!("{whom}: {leak}")))
        .collect();
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    Ok(())
}
