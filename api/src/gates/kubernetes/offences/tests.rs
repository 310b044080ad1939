//! What each pod rule sees: one pod, one rule, one sentence.

use serde_json::{Value, json};

use super::*;
use crate::gates::kubernetes::json::Document;

fn of(spec: &Value) -> Vec<(PodRule, String)> {
    let object = json!({"spec": spec}).to_string();
    let document = Document::read(object.as_bytes()).unwrap();
    let pod = PodView::find(document.root(), "").unwrap().unwrap();
    find(&pod).into_iter().map(|offence| (offence.rule, offence.message)).collect()
}

/// A container that offends nothing, with further keys.
fn tidy(further: Value) -> Value {
    let mut container = json!({
        "name": "app",
        "image": "r.io/a@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "resources": {"limits": {"memory": "64Mi", "cpu": "1"}},
        "securityContext": {"runAsNonRoot": true},
    });
    let Value::Object(further) = further else { panic!("expected keys") };
    for (key, value) in further {
        container[key] = value;
    }
    container
}

fn check(spec: &Value, expected: &[(PodRule, &str)]) {
    let found = of(spec);
    assert_eq!(found.len(), expected.len(), "{spec}\ngave {found:#?}");
    for ((rule, message), (wanted, fragment)) in found.iter().zip(expected) {
        assert_eq!(rule, wanted, "{message}");
        assert!(message.contains(fragment), "{message:?} lacks {fragment:?}");
    }
}

#[test]
fn a_tidy_pod_offends_nothing() {
    check(&json!({"containers": [tidy(json!({}))]}), &[]);
    check(&json!({"containers": null, "initContainers": null, "volumes": null}), &[]);
}

#[test]
fn what_takes_the_node_is_privileged_under_every_name() {
    use PodRule::{AddedCapabilities, Privileged};
    let with = |security: Value| json!({"containers": [tidy(json!({"securityContext": security}))]});
    check(
        &with(json!({"runAsUser": 5, "privileged": true})),
        &[(Privileged, "container \"app\" is privileged")],
    );
    check(
        &with(json!({"runAsUser": 5, "capabilities": {"add": ["CAP_SYS_ADMIN", "net_admin", "CHOWN"]}})),
        &[(Privileged, "SYS_ADMIN"), (AddedCapabilities, "NET_ADMIN")],
    );
    check(
        &with(json!({"runAsUser": 5, "windowsOptions": {"hostProcess": true}})),
        &[(Privileged, "host process")],
    );
    check(&with(json!({"runAsUser": 5, "privileged": "true"})), &[]);
}

#[test]
fn containers_of_all_three_lists_are_looked_at() {
    let bad = tidy(json!({"securityContext": {"runAsUser": 5, "privileged": true}}));
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        check(&json!({list: [bad]}), &[(PodRule::Privileged, "\"app\"")]);
    }
}

#[test]
fn what_belongs_to_the_node_is_named() {
    use PodRule::{HostNamespaces, HostPaths, RuntimeSockets};
    check(
        &json!({"hostPID": true, "hostNetwork": true, "hostIPC": false, "containers": [tidy(json!({}))]}),
        &[(HostNamespaces, "hostNetwork"), (HostNamespaces, "hostPID")],
    );
    check(
        &json!({"volumes": [{"name": "logs", "hostPath": {"path": "/var/log"}}]}),
        &[(HostPaths, "/var/log")],
    );
    check(
        &json!({"volumes": [{"name": "sock", "hostPath": {"path": "/var/run/docker.sock"}}, {"emptyDir": {}}]}),
        &[(HostPaths, "sock"), (RuntimeSockets, "docker.sock")],
    );
}

#[test]
fn root_is_what_nothing_excludes() {
    use PodRule::RootUser;
    let pod = |of_pod: Value, own: Value| json!({"securityContext": of_pod, "containers": [tidy(json!({"securityContext": own}))]});
    for (of_pod, own, expected) in [
        (json!({}), json!({}), Some("may run as root")),
        (json!(null), json!(null), Some("may run as root")),
        (json!({"runAsUser": 0}), json!({}), Some("runs as root")),
        (json!({"runAsUser": 0}), json!({"runAsUser": 10}), None),
        (json!({"runAsUser": 10}), json!({"runAsUser": 0}), Some("runs as root")),
        (json!({"runAsNonRoot": true}), json!({}), None),
        (json!({"runAsNonRoot": true}), json!({"runAsNonRoot": false}), Some("may run as root")),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|fragment| (RootUser, fragment)).collect();
        check(&pod(of_pod, own), &expected);
    }
}

#[test]
fn limits_may_be_the_containers_or_the_pods() {
    use PodRule::MissingLimits;
    let without = tidy(json!({"resources": {"limits": {"memory": "1Gi"}}}));
    check(&json!({"containers": [without]}), &[(MissingLimits, "has no limit for cpu")]);
    check(&json!({"resources": {"limits": {"cpu": "1"}}, "containers": [without]}), &[]);
    check(&json!({"containers": [tidy(json!({"resources": null}))]}), &[(MissingLimits, "memory and cpu")]);
    check(&json!({"ephemeralContainers": [tidy(json!({"resources": null}))]}), &[]);
}

#[test]
fn tags_are_told_apart_from_digests() {
    check(
        &json!({"containers": [tidy(json!({"image": "nginx:1.27"}))]}),
        &[(PodRule::TagInsteadOfDigest, "nginx:1.27")],
    );
    check(&json!({"containers": [tidy(json!({"image": ""}))]}), &[]);
}
