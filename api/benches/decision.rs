//! What a decision about a pod of three known images costs beside a bare handler that reads a body of the same bytes
//! and answers the same bytes: both asked in turn over one connection, so that the difference is the decision.
//!
//! The embedded store, the default policy, spans as in a server at level `info`. `scripts/bench gates` measures the
//! same against Redis and under load.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use actix_web::rt::System;
use actix_web::{App, HttpResponse, HttpServer, web};
use arc_swap::ArcSwap;
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::announce::Announcer;
use shared::config::{Config, Overrides};
use shared::model::digest::Digest;
use shared::model::report::Report;
use shared::policy::{Circumstances, DEFAULT_POLICY, Policy, PolicySet};
use shared::reload::PolicyHealth;
use shared::store::{Acquired, Opened};
use shared::sweeps::Sweeps;
use tokio_util::sync::CancellationToken;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PATH: &str = "/gates/kubernetes/validate";
const NAMES: [&str; 3] = ["web", "queue", "metrics"];

/// A pod of three images, as an API server tells of its creation.
fn question() -> String {
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("r.example/shop/{name}@{}", Digest::of(name.as_bytes())),
            "imagePullPolicy": "IfNotPresent", "args": ["--listen", "0.0.0.0:8080", "--log-format", "json"],
            "env": [
                {"name": "REGION", "value": "eu-central"},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "livenessProbe": {"httpGet": {"path": "/livez", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10},
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
            "securityContext": {
                "runAsNonRoot": true, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [{"name": "cache", "mountPath": "/var/cache"}],
        })
    };
    let containers: Vec<Value> = NAMES.into_iter().map(container).collect();
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "shop-6d4cf56db6-x7hk2", "namespace": "prod", "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            },
            "object": {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": "shop-6d4cf56db6-x7hk2", "namespace": "prod",
                    "labels": {"app": "shop", "pod-template-hash": "6d4cf56db6"},
                },
                "spec": {
                    "serviceAccountName": "shop", "containers": containers,
                    "volumes": [{"name": "cache", "emptyDir": {}}],
                },
            },
            "oldObject": null, "dryRun": false, "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    })
    .to_string()
}

/// The report of an image in which nothing was found.
fn report(digest: &Digest, now: Timestamp) -> Report {
    let value = json!({
        "digest": digest, "subject": {"kind": "image", "layers": [], "packages": []},
        "revisions": {"analyzer": "a", "database": "d", "database_as_of": now},
        "scanned_at": now, "findings": [], "problems": [], "coverage": [],
    });
    serde_json::from_value(value).expect("the shape of a report")
}

async fn judge_all(store: &Opened) {
    let policy = Policy::parse(DEFAULT_POLICY).expect("a policy");
    let now = Timestamp::now();
    for name in NAMES {
        let digest = Digest::of(name.as_bytes());
        let report = report(&digest, now);
        let verdict = policy.judge(&report, &[], &Circumstances::anywhere(now));
        let acquired = store.leases.acquire(&digest, Duration::from_secs(60)).await.expect("a lease");
        let Acquired::Held(lease) = acquired else { panic!("nobody else wants it") };
        store.verdicts.store(&report, &[verdict], &lease).await.expect("it is stored");
    }
}

fn config(folder: &Path) -> Config {
    let file = folder.join("tidewaiter.toml");
    let text = "server.listen = '127.0.0.1:0'\n[registries.shop]\nhost = 'r.example'\n";
    std::fs::write(&file, text).expect("a file");
    let overrides = Overrides { file: Some(file), data_dir: Some(folder.to_owned()), ..Overrides::default() };
    Config::load(&overrides).expect("a configuration")
}

/// The api with a store of its own in `folder`.
async fn server(folder: &Path) -> api::Server {
    let config = config(folder);
    let queue = shared::queue::open(&config.queue).await.expect("a queue");
    let store = shared::store::open(&config.store).await.expect("a store");
    judge_all(&store).await;
    shared::telemetry::start_logging(&config.telemetry).expect("logs");
    let public_url = &config.server.public_url;
    let (announcer, _) = Announcer::new(&store, &queue, &config.notify, &config.attest, public_url);
    let server = api::Server::bind(api::Parts {
        server: config.server,
        auth: config.auth,
        gates: config.gates,
        lent: None,
        registries: config.registries,
        sweeps: Sweeps::new(Arc::clone(&queue.jobs), Arc::clone(&store.notes)),
        queue: queue.jobs,
        store: store.verdicts,
        history: store.history,
        known: store.known,
        announcer,
        policies: Arc::new(ArcSwap::from_pointee(PolicySet::built_in())),
        policy_health: PolicyHealth::default(),
        metrics: shared::telemetry::start_metrics().expect("metrics"),
    });
    server.expect("a server")
}

/// Starts `run` on a thread of its own, which lives as long as the process.
fn serve<S: Future<Output = SocketAddr> + 'static>(start: impl FnOnce() -> S + Send + 'static) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let system = System::new();
        let address = system.block_on(start());
        tell.send(address).expect("somebody waits");
        system.run().expect("it runs");
    });
    told.recv().expect("it starts")
}

fn serve_bare(answer: String) -> SocketAddr {
    serve(|| async move {
        let answer = web::Bytes::from(answer);
        let tell = move |_: web::Bytes| {
            let answer = answer.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(answer) }
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let app = move || App::new().route(PATH, web::post().to(tell.clone()));
        drop(actix_web::rt::spawn(HttpServer::new(app).workers(1).listen(listener).expect("a server").run()));
        address
    })
}

/// One connection that asks again and again.
struct Caller {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Caller {
    fn new(address: SocketAddr, question: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let head = format!(
            "POST {PATH}?timeout=10s HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            question.len()
        );
        Self { stream, request: [head.as_bytes(), question.as_bytes()].concat(), answer: vec![0; 64 << 10] }
    }

    /// The body of the answer, which comes in one piece: it is small.
    fn ask(&mut self) -> &str {
        self.stream.write_all(&self.request).expect("it is sent");
        let length = self.stream.read(&mut self.answer).expect("it is answered");
        let answer = std::str::from_utf8(&self.answer[..length]).expect("an answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        body
    }
}

fn decisions(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_owned();
    let address = serve(|| async move {
        let server = server(&place).await;
        let address = server.address();
        drop(actix_web::rt::spawn(server.run(CancellationToken::new())));
        address
    });
    let question = question();
    let answer = Caller::new(address, &question).ask().to_owned();
    assert!(answer.contains(r#""allowed":true"#) && answer.contains(r#""verdict":"pass""#), "{answer}");
    let bare_address = serve_bare(answer);

    let mut group = criterion.benchmark_group("a pod of three known images");
    for (name, address) in [("a bare handler", bare_address), ("the gate", address)] {
        // Connected only now: a server waits for its next request for some seconds.
        let mut caller = Caller::new(address, &question);
        group.bench_function(name, |bencher| bencher.iter(|| caller.ask().len()));
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
