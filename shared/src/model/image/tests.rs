//! Names of images: what people type, and what comes of it.

use super::*;
use proptest::prelude::*;

const HEX: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn check(text: &str, expected: Option<&str>) {
    let parsed = text.parse::<Reference>().ok().map(|reference| reference.to_string());
    assert_eq!(parsed.as_deref(), expected, "{text:?}");
}

#[test]
fn references_expand_as_people_expect() {
    check("nginx", Some("docker.io/library/nginx:latest"));
    check("nginx:1.27", Some("docker.io/library/nginx:1.27"));
    check("team/app", Some("docker.io/team/app:latest"));
    check("localhost/app", Some("localhost/app:latest"));
    check("localhost:5000/team/app:1.2", Some("localhost:5000/team/app:1.2"));
    check("Registry.Example.com/app", Some("registry.example.com/app:latest"));
    check("Index.Docker.io/library/nginx", Some("docker.io/library/nginx:latest"));
    check("[::1]:5000/app:x", Some("[::1]:5000/app:x"));
    check(&format!("r.io/a@sha256:{HEX}"), Some(&format!("r.io/a@sha256:{HEX}")));
    check(&format!("r.io/a:tag@sha256:{HEX}"), Some(&format!("r.io/a@sha256:{HEX}")));
}

#[test]
fn what_names_no_image_is_refused() {
    for text in [
        "",
        "nginx:",
        "NGINX",
        "a//b",
        "a/",
        "/a",
        "r.io/",
        "r.io/a:",
        "r.io/a@",
        "r.io/a@sha256:short",
        "r.io:port/a",
        "r.io:0/a",
        "r.io/../a",
        "r.io/a b",
        "r.io/ä",
        "a...b",
        "-a",
        "[::1/a",
        "http://r.io/a",
    ] {
        check(text, None);
    }
}

#[test]
fn a_host_that_is_read_back_as_something_else_is_no_host() {
    for (host, is_one) in [
        ("registry.example.com", true),
        ("registry:443", true),
        ("localhost", true),
        ("LOCALHOST", true),
        ("[::1]", true),
        ("registry", false),
        ("r", false),
    ] {
        let parsed = host.parse::<RegistryHost>();
        assert_eq!(parsed.is_ok(), is_one, "{host}");
        if let Ok(registry) = parsed {
            let name = ImageName { registry, repository: "team/app".parse().unwrap() };
            assert_eq!(name.to_string().parse().as_ref(), Ok(&name));
        }
    }
}

#[test]
fn artifact_tags_are_recognised_and_nothing_else_is() {
    for (tag, expected) in [
        (format!("sha256-{HEX}"), true),
        (format!("sha256-{HEX}.sig"), true),
        (format!("sha256-{HEX}.att"), true),
        (format!("sha256-{HEX}.sbom"), true),
        (format!("sha256-{HEX}.exe"), false),
        ("sha256-abc.sig".to_owned(), false),
        ("latest".to_owned(), false),
    ] {
        assert_eq!(tag.parse::<Tag>().unwrap().names_artifact(), expected, "{tag}");
    }
}

#[test]
fn platforms_match_by_variant_only_when_asked() {
    let arm: Platform = "linux/arm/v7".parse().unwrap();
    assert!(arm.satisfies(&"linux/arm".parse().unwrap()));
    assert!(arm.satisfies(&"linux/arm/v7".parse().unwrap()));
    assert!(!arm.satisfies(&"linux/arm/v6".parse().unwrap()));
    assert!("linux".parse::<Platform>().is_err());
    assert!("linux//v7".parse::<Platform>().is_err());
    assert!("a/b/c/d".parse::<Platform>().is_err());
}

proptest! {
    #[test]
    fn no_spelling_of_a_host_is_another_registry_when_it_is_read_again(
        text in "(?i:index\\.docker\\.io|registry-1\\.docker\\.io|docker\\.io|localhost|r\\.io:5000)/[a-z0-9._/-]{0,12}(:[a-zA-Z0-9.]{1,5})?"
    ) {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
        }
    }

    #[test]
    fn no_text_panics_and_what_is_printed_parses_back(text in "\\PC{0,80}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
        }
    }
}
