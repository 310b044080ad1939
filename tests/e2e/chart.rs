//! The Helm chart: rendered by helm itself where it is there, and as it was recorded everywhere.
//!
//! `deploy/chart/ci/NAME.rendered.yaml` is what helm makes of `NAME.yaml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::site::binary;

/// Values that the chart is rendered with, and the release's name and namespace.
const VALUES: [&str; 3] = ["cpu", "full", "least"];

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart")
}

fn recorded(values: &str) -> PathBuf {
    chart().join(format!("ci/{values}.rendered.yaml"))
}

/// What would be applied to a cluster.
struct Manifests(Vec<Value>);

impl Manifests {
    fn recorded(values: &str) -> Result<Self> {
        let text = std::fs::read_to_string(recorded(values))?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        Ok(Self(documents.into_iter().filter(|document| !document.is_null()).collect()))
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |document| document["kind"] == kind)
    }

    fn named<'a>(&'a self, kind: &'a str, name: &Value) -> Option<&'a Value> {
        self.of_kind(kind).find(|document| &document["metadata"]["name"] == name)
    }

    /// Deployments whose pods have these labels.
    fn selected(&self, labels: &Value) -> Vec<&Value> {
        let labels = labels.as_object().expect("a selector is a map");
        let has_all = |deployment: &&Value| {
            let of_pod = &deployment["spec"]["template"]["metadata"]["labels"];
            labels.iter().all(|(name, value)| &of_pod[name] == value)
        };
        self.of_kind("Deployment").filter(has_all).collect()
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[test]
fn helm_renders_what_is_recorded() -> Result<()> {
    let helm = std::env::var_os("HELM").unwrap_or_else(|| "helm".into());
    if Command::new(&helm).arg("version").output().is_err() {
        eprintln!("helm is not there: the recorded rendering is checked alone");
        return Ok(());
    }
    for values in VALUES {
        let file = chart().join(format!("ci/{values}.yaml"));
        let done = Command::new(&helm)
            .args([
                "template",
                "tidewaiter",
                ".",
                "--namespace",
                "tidewaiter",
                "--kube-version",
                "1.31.0",
                "--values",
            ])
            .arg(&file)
            .current_dir(chart())
            .output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let rendered = String::from_utf8(done.stdout)?;
        assert!(
            rendered == std::fs::read_to_string(recorded(values))?,
            "record it again: helm template tidewaiter . --namespace tidewaiter --kube-version 1.31.0 --values ci/{values}.yaml > ci/{values}.rendered.yaml"
        );
    }
    Ok(())
}

/// Helm holds values against the schema itself, where it is there.
#[test]
fn values_are_what_the_schema_says_and_mistakes_are_not() -> Result<()> {
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(chart().join("values.schema.json"))?)?;
    let validator = jsonschema::validator_for(&schema)?;
    let read =
        |path: PathBuf| -> Result<Value> { Ok(serde_saphyr::from_str(&std::fs::read_to_string(path)?)?) };
    let files = VALUES.into_iter().map(|values| chart().join(format!("ci/{values}.yaml")));
    for file in files.chain([chart().join("values.yaml")]) {
        let wrong: Vec<String> =
            validator.iter_errors(&read(file.clone())?).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", file.display());
    }
    let defaults = read(chart().join("values.yaml"))?;
    for (place, mistake) in [
        ("/egress/proxy", json!("proxy:3128")),
        ("/egress/proxy", json!("http://user:password@proxy:3128")),
        ("/egress", json!({"proxi": "http://proxy:3128"})),
        ("/autoscaling/kind", json!("often")),
        ("/worker/replicas", json!("two")),
        ("/tls/source", json!("none")),
        ("/admission/failurePolicy", json!("Perhaps")),
        ("/networkPolicy/egress", json!({})),
    ] {
        let mut values = defaults.clone();
        *values.pointer_mut(place).with_context(|| format!("{place} is a value"))? = mistake.clone();
        assert!(!validator.is_valid(&values), "{place}: {mistake} is accepted");
    }
    Ok(())
}

#[test]
fn everything_that_the_chart_refers_to_is_there() -> Result<()> {
    for values in VALUES {
        let manifests = Manifests::recorded(values)?;
        for deployment in manifests.of_kind("Deployment") {
            let selected = manifests.selected(&deployment["spec"]["selector"]["matchLabels"]);
            assert_eq!(selected, [deployment], "{values}: each selects its own pods");
            let pod = &deployment["spec"]["template"]["spec"];
            let volumes: Vec<&Value> = items(&pod["volumes"]).map(|volume| &volume["name"]).collect();
            for container in items(&pod["containers"]) {
                for mount in items(&container["volumeMounts"]) {
                    assert!(volumes.contains(&&mount["name"]), "{values}: {mount}");
                }
                let security = &container["securityContext"];
                assert_eq!(security["readOnlyRootFilesystem"], true, "{values}");
                assert_eq!(security["allowPrivilegeEscalation"], false, "{values}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{values}");
                let ports: Vec<&Value> = items(&container["ports"]).map(|port| &port["name"]).collect();
                for probe in ["readinessProbe", "livenessProbe"] {
                    assert!(ports.contains(&&container[probe]["httpGet"]["port"]), "{values}: {probe}");
                }
            }
            for volume in items(&pod["volumes"]).filter(|volume| volume["name"] != "ca") {
                if let Some(map) = volume["configMap"].as_object() {
                    assert!(manifests.named("ConfigMap", &map["name"]).is_some(), "{values}: {volume}");
                }
            }
            assert_eq!(pod["automountServiceAccountToken"], false, "{values}");
            assert!(manifests.named("ServiceAccount", &pod["serviceAccountName"]).is_some(), "{values}");
        }
        let budgets = manifests.of_kind("PodDisruptionBudget").map(|budget| &budget["spec"]["selector"]);
        let policies = manifests.of_kind("NetworkPolicy").map(|policy| &policy["spec"]["podSelector"]);
        for selector in budgets.chain(policies) {
            assert_eq!(manifests.selected(&selector["matchLabels"]).len(), 1, "{values}: {selector}");
        }
        for service in manifests.of_kind("Service") {
            let selected = manifests.selected(&service["spec"]["selector"]);
            let ports = &selected[0]["spec"]["template"]["spec"]["containers"][0]["ports"];
            assert_eq!(selected.len(), 1, "{values}");
            assert!(
                items(ports).any(|port| port["name"] == service["spec"]["ports"][0]["targetPort"]),
                "{values}"
            );
        }
        for kind in ["ScaledObject", "HorizontalPodAutoscaler"] {
            for scaler in manifests.of_kind(kind) {
                let target = manifests.named("Deployment", &scaler["spec"]["scaleTargetRef"]["name"]);
                assert!(target.is_some_and(|target| target["spec"]["replicas"].is_null()), "{values}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_gate_of_the_chart_leads_to_its_service_and_spares_its_own_namespace() -> Result<()> {
    for values in VALUES {
        let manifests = Manifests::recorded(values)?;
        let [service] = &manifests.of_kind("Service").collect::<Vec<_>>()[..] else { panic!("one service") };
        let mut gates = 0;
        for kind in ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"] {
            for webhook in manifests.of_kind(kind).flat_map(|document| items(&document["webhooks"])) {
                let called = &webhook["clientConfig"]["service"];
                assert_eq!(called["name"], service["metadata"]["name"], "{values}");
                assert_eq!(called["port"], service["spec"]["ports"][0]["port"], "{values}");
                assert_eq!(called["namespace"], "tidewaiter", "{values}");
                let spared = &webhook["namespaceSelector"]["matchExpressions"][0]["values"];
                assert!(items(spared).any(|namespace| namespace == "tidewaiter"), "{values}");
                assert!(items(spared).any(|namespace| namespace == "kube-system"), "{values}");
                gates += 1;
            }
        }
        assert_eq!(gates, 2, "{values}");
    }
    let full = Manifests::recorded("full")?;
    let queues = full.of_kind("ScaledObject").flat_map(|scaler| items(&scaler["spec"]["triggers"]));
    let mut queues: Vec<_> = queues.filter_map(|trigger| trigger["metadata"]["queueName"].as_str()).collect();
    queues.sort_unstable();
    assert_eq!(queues, ["tidewaiter.jobs.background", "tidewaiter.jobs.push", "tidewaiter.jobs.urgent"]);
    Ok(())
}

/// The files of a ConfigMap, in a folder.
fn unpack(map: &Value, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, text) in map["data"].as_object().into_iter().flatten() {
        std::fs::write(folder.join(name), text.as_str().context("a file is text")?)?;
    }
    Ok(())
}

#[test]
fn both_roles_accept_the_configuration_that_the_chart_gives_them() -> Result<()> {
    for values in VALUES {
        let manifests = Manifests::recorded(values)?;
        for deployment in manifests.of_kind("Deployment") {
            let pod = &deployment["spec"]["template"]["spec"];
            let container = &pod["containers"][0];
            let folder = tempfile::tempdir()?;
            for mount in items(&container["volumeMounts"]) {
                let volume = items(&pod["volumes"]).find(|volume| volume["name"] == mount["name"]);
                let map =
                    volume.and_then(|volume| manifests.named("ConfigMap", &volume["configMap"]["name"]));
                let place = mount["mountPath"].as_str().context("a path")?.trim_start_matches('/');
                if let Some(map) = map {
                    unpack(map, &folder.path().join(place))?;
                }
            }
            let mut settings = BTreeMap::new();
            for variable in items(&container["env"]) {
                let value = variable["value"].as_str().context("a value is text")?;
                let here = value.replace("/policies", &folder.path().join("policies").display().to_string());
                settings.insert(variable["name"].as_str().context("a name")?.to_owned(), here);
            }
            let secret = manifests.named("Secret", &container["envFrom"][0]["secretRef"]["name"]);
            match secret.and_then(|secret| secret["stringData"].as_object()) {
                Some(secret) => settings.extend(
                    secret
                        .iter()
                        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())),
                ),
                None => settings.extend([
                    ("TIDEWAITER__QUEUE__URL".to_owned(), "amqp://broker".to_owned()),
                    ("TIDEWAITER__STORE__URL".to_owned(), "redis://store".to_owned()),
                    (
                        "TIDEWAITER__AUTH__TOKENS__CI__TOKEN".to_owned(),
                        "0123456789abcdef0123456789abcdef".to_owned(),
                    ),
                ]),
            }
            let done = Command::new(binary())
                .args(["--config", "etc/tidewaiter/tidewaiter.toml", "config", "check"])
                .current_dir(folder.path())
                .envs(&settings)
                .output()?;
            let said = String::from_utf8([done.stdout, done.stderr].concat())?;
            assert!(done.status.success(), "{values} {}: {said}", deployment["metadata"]["name"]);
            assert!(said.contains("1 registry") && said.contains("1 API token"), "{values}: {said}");
        }
    }
    Ok(())
}
