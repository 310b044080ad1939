//! `POST /gates/kubernetes/validate` about three images that are known, beside a bare handler that reads a body
//! of the same bytes and answers the same bytes.

use anyhow::{Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::image::{HARMLESS, Image};
use tests::servers::amqp_url;
use tests::site::Site;

use crate::beside_bare::{self, Contest};
use crate::load::Post;
use crate::scan::JSON_LOGS;
use crate::table::Table;

const PATH: &str = "/gates/kubernetes/validate?timeout=10s";

/// The rate, and the 99th percentile at half of it.
pub(crate) async fn measure(table: &mut Table) -> Result<()> {
    let site = Site::distributed_on(1, &amqp_url()?, JSON_LOGS).await?;
    let question = question(&site).await?.to_string();
    let answer = answered(&site, &question).await?;
    let contest = Contest {
        what: "gate decisions",
        path: PATH,
        post: Some(&Post { body: &question, authorization: "" }),
        answer: &answer,
        least_rate: 0.5,
        most_millis: 5.0,
    };
    beside_bare::measure(table, &site, &contest).await
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
