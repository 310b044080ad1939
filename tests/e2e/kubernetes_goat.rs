//! Kubernetes Goat, a cluster that is vulnerable on purpose, meets the default policy: every workload is answered in
//! time and with a reason that a person can act on.
//!
//! The pods here are written anew with the traits of the scenarios; where `TIDEWAITER_FIXTURES` names the folder that
//! has them, the requests made from the project's own manifests are sent too.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::site::Site;

use crate::gates::{VALIDATE, answer, message, review};

/// A workload whose pod has this specification.
fn workload(spec: &Value) -> Value {
    json!({"metadata": {"name": "goat"}, "spec": {"template": {"metadata": {"labels": {"app": "goat"}}, "spec": spec}}})
}

/// Scenario, kind, pod, and what the denial says.
fn scenarios() -> Vec<(&'static str, &'static str, Value, Vec<&'static str>)> {
    let host = |name: &str, path: &str| json!({"name": name, "hostPath": {"path": path}});
    vec![
        (
            "2 health-check: a container that commands its node's container runtime",
            "Deployment",
            json!({
                "containers": [{"name": "health-check", "image": "goat/health-check", "securityContext": {"privileged": true}}],
                "volumes": [host("socket", "/run/containerd/containerd.sock")],
            }),
            vec!["is privileged", "access to the container runtime"],
        ),
        (
            "4 system-monitor: out of the container onto the node",
            "Deployment",
            json!({
                "hostPID": true, "hostIPC": true,
                "containers": [{
                    "name": "system-monitor", "image": "goat/system-monitor",
                    "securityContext": {"allowPrivilegeEscalation": true, "privileged": true},
                    "env": [{"name": "VAULT_KEY", "valueFrom": {"secretKeyRef": {"name": "vault", "key": "key"}}}],
                }],
                "volumes": [host("node", "/")],
            }),
            vec!["is privileged", "hostPID", "the node's path"],
        ),
        (
            "5 docker-bench-security: everything of the node, to check it",
            "DaemonSet",
            json!({
                "hostPID": true, "hostIPC": true, "hostNetwork": true, "securityContext": {"runAsUser": 0},
                "containers": [{
                    "name": "docker-bench", "image": "goat/hacker-container",
                    "securityContext": {"privileged": true, "capabilities": {"add": ["AUDIT_CONTROL"]}},
                }],
                "volumes": [host("etc", "/etc"), host("lib", "/var/lib"), host("sock", "/var/run/docker.sock")],
            }),
            vec!["is privileged", "hostNetwork"],
        ),
        (
            "6 kube-bench: the node's processes and files, without privileges",
            "Job",
            json!({
                "hostPID": true, "restartPolicy": "Never",
                "containers": [{"name": "kube-bench", "image": "docker.io/goat/kube-bench:latest"}],
                "volumes": [host("etcd", "/var/lib/etcd"), host("kubelet", "/var/lib/kubelet")],
            }),
            vec!["hostPID", "/var/lib/etcd"],
        ),
        (
            "13 hunger-check: nothing but an unknown image without limits",
            "Deployment",
            json!({"containers": [{"name": "hunger-check", "image": "goat/hunger-check"}]}),
            vec!["registry docker.io is not configured", "[registries]"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_of_kubernetes_goat_is_denied_with_its_own_reason() -> Result<()> {
    let site = Site::embedded().await?;
    for (scenario, kind, spec, fragments) in scenarios() {
        let began = Instant::now();
        let response = answer(&site, VALIDATE, &review(kind, &workload(&spec))).await?;
        assert!(began.elapsed() < Duration::from_secs(5), "{scenario}: {:?}", began.elapsed());
        assert_eq!(response["allowed"], false, "{scenario}: {response:#}");
        for fragment in fragments {
            assert!(
                message(&response).contains(fragment),
                "{scenario}: {:?} lacks {fragment:?}",
                message(&response)
            );
        }
        assert!(message(&response).contains("Read more: http://"), "{scenario}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_pod_is_only_warned_about() -> Result<()> {
    let policies = tempfile::tempdir()?;
    // The default policy's pod rules, with unknown images let in: only the pod itself is judged.
    let text = shared::policy::DEFAULT_POLICY.replace("on_unknown: wait", "on_unknown: allow");
    std::fs::write(policies.path().join("default.yaml"), text)?;
    let site = Site::embedded_with(&format!("[policies]\ndir = \"{}\"\n", policies.path().display())).await?;
    let ordinary = json!({"containers": [{
        "name": "web", "image": "nginx:1.27", "env": [{"name": "DB_PASSWORD", "value": "hunter2"}],
        "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}},
    }]});
    let response = answer(&site, VALIDATE, &review("Deployment", &workload(&ordinary))).await?;
    assert_eq!(response["allowed"], true, "{response:#}");
    let warnings = response["warnings"].to_string();
    for fragment in ["may run as root", "no limit", "by tag", "DB_PASSWORD", "NET_ADMIN"] {
        assert!(warnings.contains(fragment), "{warnings} lacks {fragment:?}");
    }
    assert!(!warnings.contains("hunter2"), "a secret is never repeated");
    Ok(())
}

/// The project's own manifests: file, and whether a pod rule denies it by itself.
const MANIFESTS: &[(&str, &[&str])] = &[
    ("batch-check--job--job-batch-check-job.json", &["docker.io is not configured"]),
    ("build-code--deployment--deployment-build-code-deployment.json", &["docker.io is not configured"]),
    ("cache-store--deployment--deployment-cache-store-deployment.json", &["docker.io is not configured"]),
    (
        "docker-bench-security--deployment--daemonset-docker-bench-security.json",
        &["is privileged", "hostNetwork"],
    ),
    (
        "health-check--deployment--deployment-health-check-deployment.json",
        &["is privileged", "container runtime"],
    ),
    ("hidden-in-layers--deployment--job-hidden-in-layers.json", &["docker.io is not configured"]),
    ("hunger-check--deployment--deployment-hunger-check-deployment.json", &["docker.io is not configured"]),
    ("internal-proxy--deployment--deployment-internal-proxy-deployment.json", &["internal-api", "info-app"]),
    ("kube-bench-security--master-job--job-kube-bench-master.json", &["hostPID", "/var/lib/etcd"]),
    ("kube-bench-security--node-job--job-kube-bench-node.json", &["hostPID", "/var/lib/etcd"]),
    (
        "kubernetes-goat-home--deployment--deployment-kubernetes-goat-home-deployment.json",
        &["docker.io is not configured"],
    ),
    ("poor-registry--deployment--deployment-poor-registry-deployment.json", &["docker.io is not configured"]),
    ("system-monitor--deployment--deployment-system-monitor-deployment.json", &["is privileged", "hostPID"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_of_kubernetes_goat_is_answered_in_time_with_a_reason() -> Result<()> {
    let Some(folder) = std::env::var_os("TIDEWAITER_FIXTURES") else { return Ok(()) };
    let folder = PathBuf::from(folder).join("wire/gates/kubernetes-goat");
    let site = Site::embedded().await?;
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("_index.json"))?)?;
    assert_eq!(index["requests"].as_array().map(Vec::len), Some(MANIFESTS.len()));
    for (file, fragments) in MANIFESTS {
        let request: Value = serde_json::from_slice(&std::fs::read(folder.join(file)).context(*file)?)?;
        let began = Instant::now();
        let response = answer(&site, VALIDATE, &request).await?;
        assert!(began.elapsed() < Duration::from_secs(5), "{file}: {:?}", began.elapsed());
        assert_eq!(response["allowed"], false, "{file}: {response:#}");
        println!("{file}\n    {}\n", message(&response));
        for fragment in *fragments {
            assert!(
                message(&response).contains(fragment),
                "{file}: {:?} lacks {fragment:?}",
                message(&response)
            );
        }
    }
    Ok(())
}
