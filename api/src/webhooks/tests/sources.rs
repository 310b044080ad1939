//! What each registry says besides a plain push, and what of it becomes a job.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use shared::config::{EventMapping, PathPrefix};
use shared::model::digest::Digest;

use super::*;

#[test]
fn quay_names_many_tags_and_no_digest() {
    let quay = Ask::of("quay");
    let body = |tags: Value| {
        json!({"repository": "ns/app", "docker_url": "quay.io/ns/app", "updated_tags": tags}).to_string()
    };
    quay.says(body(json!(["1", "2"])), &["quay.io/ns/app:1", "quay.io/ns/app:2"]);
    quay.says(body(json!([])), &[]);
    let events = quay.decode(body(json!(["a b", "2"]))).unwrap();
    assert!(matches!(&events[0], Event::Rejected(reason) if reason.starts_with("updated_tags")));
    assert_eq!(told(&events[1]), "quay.io/ns/app:2");
    quay.says(r#"{"repository": "ns/app", "vulnerability": {}}"#, &["ignored other-event"]);
    assert!(quay.decode(body(json!("latest"))).is_err());
    assert!(quay.decode(r#"{"updated_tags": ["1"]}"#).is_err());
}

#[test]
fn docker_hub_names_one_tag_and_its_callback_is_left_alone() {
    let hub = Ask::of("dockerhub").typed("");
    let body = |name: &str, tag: &str| {
        json!({"callback_url": "http://169.254.169.254/", "push_data": {"tag": tag, "pushed_at": 1.417566161e+09},
            "repository": {"repo_name": name}})
        .to_string()
    };
    hub.says(body("ns/app", "develop"), &["docker.io/ns/app:develop"]);
    hub.says(body("nginx", "1"), &["docker.io/library/nginx:1"]);
    hub.says(body("ns/app", ""), &["rejected push_data.tag is missing"]);
    hub.says("{}", &["ignored other-event"]);
}

#[test]
fn github_tells_of_packages_of_all_kinds() {
    let body = |action: &str, kind: &str, digest: &str| {
        json!({"action": action, "registry_package": {"name": "App/Web", "ecosystem": kind, "owner": {"login": "Acme"},
            "package_version": {"version": digest, "container_metadata": {"tag": {"name": ""}}}}})
        .to_string()
    };
    let good = format!("sha256:{HEX}");
    let github = Ask::of("github").with(&[("x-github-event", "registry_package")]);
    github.says(body("published", "CONTAINER", &good), &["ghcr.io/acme/app/web@5861314d7fcc"]);
    github.says(body("updated", "docker", &good), &["ghcr.io/acme/app/web@5861314d7fcc"]);
    github.says(body("published", "npm", &good), &["ignored other-format"]);
    github.says(body("deleted", "docker", &good), &["ignored delete"]);
    let short = github.decode(body("published", "docker", &good[..47])).unwrap();
    assert!(told(&short[0]).starts_with("rejected manifest.digest"), "{}", told(&short[0]));
    Ask::of("github").with(&[("x-github-event", "ping")]).says("{}", &["ignored ping"]);
    Ask::of("github").with(&[("x-github-event", "push")]).says("{}", &["ignored other-event"]);
    assert!(Ask::of("github").decode("{}").is_err());
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &body("published", "CONTAINER", &good))
        .finish();
    github.typed("application/x-www-form-urlencoded").says(form, &["ghcr.io/acme/app/web@5861314d7fcc"]);
}

#[test]
fn azure_has_three_envelopes_around_one_event() {
    let event = json!({"action": "push", "timestamp": "2026-03-02T09:30:01.5Z", "request": {"host": "my.azurecr.io"},
        "target": {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": format!("sha256:{HEX}"),
            "repository": "app", "tag": "1"}});
    let grid = |kind: &str| json!({"eventType": kind, "data": event});
    let expected = "my.azurecr.io/app@5861314d7fcc 1";
    let acr = Ask::of("acr");
    acr.says(event.to_string(), &[expected]);
    let batch = [
        grid("ImagePushed"),
        grid("Microsoft.ContainerRegistry.ImagePushed"),
        grid("ImageDeleted"),
        grid("Microsoft.ContainerRegistry.ChartPushed"),
        grid("Other"),
        json!({"eventType": "ImagePushed"}),
        json!(7),
    ];
    let events: Vec<String> = acr.decode(json!(batch).to_string()).unwrap().iter().map(told).collect();
    let wanted = [
        expected,
        expected,
        "ignored delete",
        "ignored other-format",
        "ignored other-type",
        "rejected data is missing",
    ];
    assert_eq!(events[..6], wanted);
    assert!(events[6].starts_with("rejected event"), "{}", events[6]);
    let cloud =
        json!({"specversion": "1.0", "type": "Microsoft.ContainerRegistry.ImagePushed", "data": event});
    acr.says(cloud.to_string(), &[expected]);
    acr.typed("application/cloudevents-batch+json").says(json!([cloud]).to_string(), &[expected]);
    Ask::of("acr").says(r#"{"action": "ping"}"#, &["ignored ping"]);
    Ask::of("acr").says(r#"{"action": "chart_push"}"#, &["ignored other-action"]);
    Ask::of("acr").says(r#"{"action": "quarantine"}"#, &["ignored other-action"]);
}

#[test]
fn event_grid_gets_its_code_back_and_nobody_fetches_its_url() {
    let acr = named("acr").unwrap();
    let ask = |sent: &[(&str, &str)], body: &str| {
        let (headers, settings) = (headers(sent), SourceSettings::default());
        acr.handshake(&Delivery {
            headers: &headers,
            media_type: JSON,
            body: body.as_bytes(),
            settings: &settings,
        })
    };
    let validation = &[("aeg-event-type", "SubscriptionValidation")];
    let body = r#"[{"eventType": "x", "data": {"validationCode": "512d", "validationUrl": "http://169.254.169.254/"}}]"#;
    assert_eq!(ask(validation, body).unwrap(), Some(json!({"validationResponse": "512d"})));
    assert_eq!(ask(&[("aeg-event-type", "Notification")], body).unwrap(), None);
    for wrong in
        ["[]", "{}", r#"[{"eventType": "x"}]"#, r#"[{"eventType": "x", "data": {"validationCode": 7}}]"#]
    {
        assert!(ask(validation, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn amazon_tells_of_pushes_and_of_much_else() {
    let digest = format!("sha256:{HEX}");
    let body = |kind: &str, region: &str, detail: Value| {
        json!({"detail-type": kind, "account": "123456789012", "region": region, "detail": detail})
            .to_string()
    };
    let push = |extra: Value| {
        let mut detail = json!({"result": "SUCCESS", "action-type": "PUSH", "repository-name": "app"});
        detail.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        detail
    };
    let image = "ECR Image Action";
    let ecr = Ask::of("ecr");
    ecr.says(
        body(image, "us-west-2", push(json!({"image-digest": digest}))),
        &["123456789012.dkr.ecr.us-west-2.amazonaws.com/app@5861314d7fcc"],
    );
    ecr.says(
        body(image, "cn-north-1", push(json!({"image-digest": digest}))),
        &["123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/app@5861314d7fcc"],
    );
    // AWS's documentation prints a digest that is too short: the tag says which image is meant.
    ecr.says(
        body(image, "us-west-2", push(json!({"image-digest": &digest[..67], "image-tag": "1"}))),
        &["123456789012.dkr.ecr.us-west-2.amazonaws.com/app:1"],
    );
    let short = ecr.decode(body(image, "us-west-2", push(json!({"image-digest": &digest[..67]})))).unwrap();
    assert!(told(&short[0]).starts_with("rejected image-digest"), "{}", told(&short[0]));
    ecr.says(body(image, "us-west-2", push(json!({"image-digest": digest, "artifact-media-type": "application/vnd.cncf.helm.config.v1+json"}))),
        &["ignored not-an-image"]);
    ecr.says(body(image, "us-west-2", push(json!({"result": "FAILURE"}))), &["ignored not-successful"]);
    ecr.says(body(image, "us-west-2", push(json!({"action-type": "DELETE"}))), &["ignored delete"]);
    ecr.says(body("ECR Image Scan", "us-west-2", push(json!({}))), &["ignored other-type"]);
    ecr.says(body("ECR Referrer Action", "us-west-2", push(json!({}))), &["ignored other-type"]);
    let reshaped = json!({"specversion": "1.0", "type": "com.amazon.ecr.image.push",
        "source": "urn:aws:ecr:us-west-2:123456789012:repository/app",
        "data": {"repositoryName": "app", "imageDigest": digest, "imageTag": "1"}});
    ecr.says(reshaped.to_string(), &["123456789012.dkr.ecr.us-west-2.amazonaws.com/app@5861314d7fcc 1"]);
}

#[test]
fn google_wraps_what_it_says_or_does_not() {
    let gar = Ask::of("gar");
    let digest = format!("eu.pkg.dev/p/r/app@sha256:{HEX}");
    for (notice, expected) in [
        (json!({"action": "INSERT", "digest": digest}), "eu.pkg.dev/p/r/app@5861314d7fcc"),
        (
            json!({"action": "INSERT", "digest": digest, "tag": "eu.pkg.dev/p/r/app:1"}),
            "eu.pkg.dev/p/r/app@5861314d7fcc 1",
        ),
        (
            json!({"action": "INSERT", "digest": digest, "tag": "eu.pkg.dev/p/r/other:1"}),
            "eu.pkg.dev/p/r/app@5861314d7fcc",
        ),
        (json!({"action": "INSERT", "tag": "eu.pkg.dev/p/r/app:1"}), "eu.pkg.dev/p/r/app:1"),
        (json!({"action": "DELETE", "tag": "eu.pkg.dev/p/r/app:1"}), "ignored delete"),
        (json!({"action": "INSERT"}), "rejected digest and tag are missing"),
        (json!({}), "rejected action is missing"),
    ] {
        gar.says(notice.to_string(), &[expected]);
        let data = STANDARD.encode(format!("{notice}\n"));
        gar.says(json!({"message": {"data": data, "messageId": "1"}}).to_string(), &[expected]);
    }
    assert!(gar.decode(r#"{"message": {"data": "%%%"}}"#).is_err());
    assert!(gar.decode(r#"{"message": {}}"#).is_err());
}

#[test]
fn artifactory_names_a_repository_key_and_the_operator_says_how_it_is_pulled() {
    let body = |key: &str, origin: Option<&str>| {
        json!({"domain": "docker", "event_type": "pushed", "jpd_origin": origin,
            "data": {"repo_key": key, "image_name": "lib/app", "tag": "1", "sha256": HEX}})
        .to_string()
    };
    let mapping = |key: &str, prefix| RepositoryMapping {
        key: key.to_owned(),
        registry: "docker.example.com".parse().unwrap(),
        prefix,
    };
    let hook = Ask::of("artifactory");
    hook.says(
        body("local", Some("https://jfrog.example.com:8443/artifactory")),
        &["jfrog.example.com:8443/local/lib/app@5861314d7fcc 1"],
    );
    hook.says(
        body("local", None),
        &["rejected jpd_origin is missing; set `registry` for this webhook source"],
    );
    let mapped = Ask::of("artifactory")
        .registry("usual.example.com")
        .mapped(mapping("subdomain", PathPrefix::Nothing))
        .mapped(mapping("path", PathPrefix::Usual))
        .mapped(mapping("remote", PathPrefix::Path("virtual".parse().unwrap())));
    mapped.says(body("subdomain", None), &["docker.example.com/lib/app@5861314d7fcc 1"]);
    mapped.says(body("path", None), &["docker.example.com/path/lib/app@5861314d7fcc 1"]);
    mapped.says(body("remote", None), &["docker.example.com/virtual/lib/app@5861314d7fcc 1"]);
    mapped.says(
        body("another", Some("https://jfrog.example.com")),
        &["usual.example.com/another/lib/app@5861314d7fcc 1"],
    );
    hook.says(r#"{"domain": "artifact", "event_type": "deployed"}"#, &["ignored other-format"]);
    hook.says(r#"{"domain": "docker", "event_type": "deleted"}"#, &["ignored delete"]);
}

#[test]
fn nexus_names_a_repository_and_the_operator_says_where_it_is() {
    let body = |action: &str, format: &str, version: &str| {
        json!({"repositoryName": "app1", "action": action,
            "component": {"format": format, "name": "team/app", "version": version}})
        .to_string()
    };
    let mapping = |prefix| RepositoryMapping {
        key: "app1".to_owned(),
        registry: "nexus.example.com:8083".parse().unwrap(),
        prefix,
    };
    let port = Ask::of("nexus").mapped(mapping(PathPrefix::Usual));
    port.says(body("CREATED", "docker", "3.4"), &["nexus.example.com:8083/team/app:3.4"]);
    port.says(
        body("UPDATED", "docker", &format!("sha256:{HEX}")),
        &["nexus.example.com:8083/team/app@5861314d7fcc"],
    );
    port.says(body("CREATED", "maven2", "1"), &["ignored other-format"]);
    port.says(body("DELETED", "docker", "1"), &["ignored delete"]);
    let path = Ask::of("nexus").mapped(mapping(PathPrefix::Path("repository/app1".parse().unwrap())));
    path.says(body("CREATED", "docker", "1"), &["nexus.example.com:8083/repository/app1/team/app:1"]);
    let unmapped = Ask::of("nexus").decode(body("CREATED", "docker", "1")).unwrap();
    assert!(
        told(&unmapped[0]).contains("registry of repository \"app1\" is missing"),
        "{}",
        told(&unmapped[0])
    );
    Ask::of("nexus")
        .with(&[("x-nexus-webhook-id", "rm:repository:asset")])
        .says("{}", &["ignored other-event"]);
}

#[test]
fn gitea_and_forgejo_name_a_tag_or_a_digest() {
    let body = |action: &str, kind: &str, version: &str| {
        json!({"action": action, "package": {"type": kind, "owner": {"login": "Acme"}, "name": "Team/App",
            "version": version, "html_url": "https://gitea.example.com:3000/acme/-/packages/container/x/1"}})
        .to_string()
    };
    for header in ["x-gitea-event", "x-forgejo-event"] {
        let sent = [(header, "package")];
        let gitea = Ask::of("gitea").with(&sent);
        gitea.says(body("created", "container", "1"), &["gitea.example.com:3000/acme/team/app:1"]);
        gitea.says(
            body("created", "container", &format!("sha256:{HEX}")),
            &["gitea.example.com:3000/acme/team/app@5861314d7fcc"],
        );
        gitea.says(body("deleted", "container", "1"), &["ignored delete"]);
        gitea.says(body("created", "npm", "1"), &["ignored other-format"]);
    }
    Ask::of("gitea").with(&[("x-gitea-event", "push")]).says("{}", &["ignored other-event"]);
    assert!(Ask::of("gitea").with(&[("x-github-event", "package")]).decode("{}").is_err());
}

#[test]
fn gitea_signs_the_json_even_inside_a_form() {
    let gitea = named("gitea").unwrap();
    let form = "application/x-www-form-urlencoded";
    assert_eq!(gitea.signed(form, b"payload=%7B%7D").as_ref(), b"{}");
    assert_eq!(gitea.signed(JSON, b"payload=%7B%7D").as_ref(), b"payload=%7B%7D");
    assert_eq!(named("github").unwrap().signed(form, b"payload=%7B%7D").as_ref(), b"payload=%7B%7D");
}

#[test]
fn zot_brings_the_manifest_and_it_is_believed_only_if_it_hashes() {
    let manifest = |config: &str, rest: Value| {
        let mut manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": config, "digest": format!("sha256:{HEX}"), "size": 2}, "layers": []});
        manifest.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        manifest.to_string()
    };
    let body = |manifest: &str, digest: &Digest, reference: &str| {
        json!({"name": "golang", "reference": reference, "digest": digest, "manifest": manifest,
            "mediaType": "application/vnd.oci.image.manifest.v1+json"})
        .to_string()
    };
    let zot = Ask::of("zot").with(&[("ce-type", "zotregistry.image.updated")]).registry("zot.example.com");
    let image = manifest("application/vnd.oci.image.config.v1+json", json!({}));
    let digest = Digest::of(image.as_bytes());
    zot.says(body(&image, &digest, "1"), &[&format!("zot.example.com/golang@{} 1", digest.short())]);
    zot.says(
        body(&image, &digest, digest.as_str()),
        &[&format!("zot.example.com/golang@{}", digest.short())],
    );
    zot.says(
        body(&format!("{image} "), &digest, "1"),
        &["rejected the manifest does not hash to the digest"],
    );
    let subject = json!({"artifactType": "application/vnd.example", "subject":
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{HEX}"), "size": 2}});
    let signature = manifest("application/vnd.oci.empty.v1+json", subject);
    zot.says(body(&signature, &Digest::of(signature.as_bytes()), "1"), &["ignored not-an-image"]);
    // What cannot be read is the worker's to judge, never passed over (I4).
    let broken = Digest::of(b"{");
    zot.says(body("{", &broken, "1"), &[&format!("zot.example.com/golang@{} 1", broken.short())]);
    for (kind, expected) in [
        ("zotregistry.image.deleted", "ignored delete"),
        ("zotregistry.image.lint_failed", "ignored other-type"),
        ("zotregistry.repository.created", "ignored other-type"),
    ] {
        Ask::of("zot").with(&[("ce-type", kind)]).says("{}", &[expected]);
    }
    assert!(Ask::of("zot").decode("{}").is_err());
}

#[test]
fn operators_may_teach_cloudevents_their_own_types() {
    let pointer = |text: &str| Some(text.to_owned());
    let mapping = EventMapping {
        kind: "com.example.pushed.*".to_owned(),
        reference: None,
        repository: pointer("/image/repository"),
        registry: pointer("/host"),
        digest: pointer("/image/digest"),
        tag: pointer("/tags/0"),
    };
    let mut ask = Ask::of("cloudevents").typed("application/cloudevents+json");
    ask.settings.events = vec![
        mapping,
        EventMapping {
            kind: "com.example.whole".to_owned(),
            reference: pointer("/ref"),
            repository: None,
            registry: None,
            digest: None,
            tag: None,
        },
    ];
    let body =
        |kind: &str, data: Value| json!({"specversion": "1.0", "type": kind, "data": data}).to_string();
    let image = json!({"repository": "team/app", "digest": format!("sha256:{HEX}")});
    ask.says(
        body("com.example.pushed.v2", json!({"host": "r.io", "image": image, "tags": ["1"]})),
        &["r.io/team/app@5861314d7fcc 1"],
    );
    ask.says(
        body("com.example.pushed.v2", json!({"host": "r.io", "image": {"repository": "a"}, "tags": ["1"]})),
        &["r.io/a:1"],
    );
    ask.says(
        body("com.example.pushed.v2", json!({"host": "r.io", "image": {"repository": "a"}})),
        &["rejected data names neither digest nor tag"],
    );
    ask.says(
        body("com.example.pushed.v2", json!({"host": "r.io"})),
        &["rejected data/image/repository is missing"],
    );
    ask.says(body("com.example.whole", json!({"ref": "r.io/a:2"})), &["r.io/a:2"]);
    ask.says(body("com.example.whole", json!({"ref": 7})), &["rejected data/ref is missing"]);
    ask.says(body("com.example.other", json!({})), &["ignored other-type"]);
}
