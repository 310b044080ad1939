//! `POST /gates/kubernetes/validate` about three images that are known, beside a bare handler that reads a body
//! of the same bytes and answers the same bytes.

use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::image::{HARMLESS, Image};
use tests::servers::amqp_url;
use tests::site::Site;

use crate::bare;
use crate::load::{CONNECTIONS, Post, most, paced, with_cost};
use crate::scan::JSON_LOGS;
use crate::statistics::{median, percentile, shown};
use crate::table::{Budget, Table};

const ROUNDS: usize = 5;
const PACED: Duration = Duration::from_secs(10);
const PATH: &str = "/gates/kubernetes/validate?timeout=10s";

/// The rate, and the 99th percentile at half of it.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let site = Site::distributed_on(1, &amqp_url()?, JSON_LOGS).await?;
    let question = question(&site).await?.to_string();
    let answer = answered(&site, &question).await?;
    let file = site.folder.path().join("answer.json");
    std::fs::write(&file, &answer)?;
    let (bare_server, bare_port) = bare::start(site.folder.path(), &file)?;
    let bare_url = format!("http://127.0.0.1:{bare_port}{PATH}");
    let our_url = format!("{}{PATH}", site.url);
    let post = Some(&Post { body: &question, authorization: "" });

    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut own_costs, mut bare_costs) = (Vec::new(), Vec::new());
    // Once for nothing: connections, pages and branch predictors.
    most(&bare_url, 1, post)?;
    most(&our_url, 1, post)?;
    for _ in 0..ROUNDS {
        let (bare, cost) = with_cost(&bare_url, bare_server.id(), post)?;
        bare_costs.push(cost);
        let (own, cost) = with_cost(&our_url, site.front.id(), post)?;
        own_costs.push(cost);
        ratios.push(own / bare);
        ours.push(own);
        theirs.push(bare);
    }
    let (own, bare) = (median(&mut ours), median(&mut theirs));
    table.judged(
        "gate decisions, rate",
        median(&mut ratios),
        format!(
            "a bare handler of the same {} bytes in and {} out: {own:.0}/s of {bare:.0}/s, {CONNECTIONS} connections",
            question.len(),
            answer.len()
        ),
        Budget::AtLeast(0.5, "×"),
    );
    table.told(
        "gate decisions, processor time of the server for each",
        format!("{:.1} µs; the bare handler {:.1} µs", median(&mut own_costs), median(&mut bare_costs)),
    );
    let mut own_times = paced(site.port()?, PATH, post, own / 2.0, PACED).await?;
    let mut bare_times = paced(bare_port, PATH, post, own / 2.0, PACED).await?;
    table.judged(
        "gate decisions, p99 at half of that rate",
        percentile(&mut own_times, 0.99).as_secs_f64() * 1e3,
        format!(
            "p50 {}; the bare handler at the same rate: p50 {}, p99 {}",
            shown(percentile(&mut own_times, 0.5)),
            shown(percentile(&mut bare_times, 0.5)),
            shown(percentile(&mut bare_times, 0.99))
        ),
        Budget::AtMost(5.0, "ms"),
    );
    Ok(())
}

/// The answer to a question, which has to be that all of it may run by verdicts that are known.
async fn answered(site: &Site, question: &str) -> Result<Vec<u8>> {
    let answer = site.send(PATH, "application/json", question.to_owned()).await?;
    let status = answer.status();
    let bytes = answer.bytes().await?;
    let told: Value = serde_json::from_slice(&bytes)?;
    let verdict = &told["response"]["auditAnnotations"]["verdict"];
    // The repository's own advisories grow old, which is worth a warning.
    let judged = *verdict == json!("pass") || *verdict == json!("warn");
    let allowed = told["response"]["allowed"] == json!(true);
    ensure!(status == StatusCode::OK && allowed && judged, "{status}: {told:#}");
    Ok(bytes.to_vec())
}

/// A pod of three known images, as an API server tells of it.
async fn question(site: &Site) -> Result<Value> {
    let mut containers = Vec::new();
    for name in ["web", "queue", "metrics"] {
        let image = Image::debian_with_python(HARMLESS).layer([("app/main.py", name)]);
        let digest = site.push(&image, &format!("bench/{name}"), "1")?;
        site.verdict(&digest).await?;
        containers.push(container(name, &site.name(&format!("bench/{name}"), &digest)));
    }
    Ok(review(
        &json!({"serviceAccountName": "shop", "containers": containers, "volumes": [{"name": "cache", "emptyDir": {}}]}),
    ))
}

fn container(name: &str, image: &str) -> Value {
    json!({
        "name": name, "image": image, "imagePullPolicy": "IfNotPresent",
        "args": ["--listen", "0.0.0.0:8080", "--log-format", "json"],
        "env": [
            {"name": "REGION", "value": "eu-central"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http", "scheme": "HTTP"}, "periodSeconds": 5},
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
        "securityContext": {
            "runAsNonRoot": true, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "cache", "mountPath": "/var/cache"}],
    })
}

/// The creation of a pod with this specification.
pub(crate) fn review(spec: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
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
                "spec": spec,
            },
            "oldObject": null, "dryRun": false, "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    })
}
