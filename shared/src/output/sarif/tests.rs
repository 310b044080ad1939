use super::*;
use crate::model::problem::{Problem, ProblemKind};
use crate::model::sample;
use crate::output;

fn name() -> ImageName {
    "registry.example.com/team/app".parse().unwrap()
}

fn rendered(report: &Report) -> Value {
    let format = output::by_name("sarif").unwrap();
    serde_json::from_slice(&format.render_named(report, &name())).unwrap()
}

fn sample() -> Report {
    sample::report(&Digest::of(b"image"))
}

/// What the schema requires, and what code scanning requires beyond it.
fn check_structure(log: &Value) {
    assert_eq!(log["version"], "2.1.0");
    for run in log["runs"].as_array().unwrap() {
        let driver = &run["tool"]["driver"];
        assert!(driver["name"].is_string());
        let rules = driver["rules"].as_array().unwrap();
        let ids: std::collections::BTreeSet<&str> =
            rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), rules.len(), "one rule a flaw");
        for rule in rules {
            assert!(url::Url::parse(rule["helpUri"].as_str().unwrap()).is_ok());
            assert!(rule["shortDescription"]["text"].as_str().is_some_and(|text| !text.is_empty()));
            if let Some(number) = rule["properties"].get("security-severity") {
                let number: f64 = number.as_str().expect("a number as a string").parse().unwrap();
                assert!((0.0..=10.0).contains(&number));
            }
            assert!(rule["properties"]["tags"].as_array().unwrap().contains(&json!("security")));
        }
        for result in run["results"].as_array().unwrap() {
            let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[at]["id"], result["ruleId"]);
            assert!(["error", "warning", "note", "none"].contains(&result["level"].as_str().unwrap()));
            assert!(result["message"]["text"].is_string());
            let place = &result["locations"][0]["physicalLocation"];
            let uri = place["artifactLocation"]["uri"].as_str().unwrap();
            assert!(
                !uri.starts_with('/') && !uri.contains(['@', ':']),
                "relative, without tag and digest: {uri}"
            );
            assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line >= 1));
            assert_eq!(
                result["partialFingerprints"]["tidewaiterFinding/v1"].as_str().map(str::len),
                Some(64)
            );
        }
        assert!(run["automationDetails"]["id"].as_str().unwrap().ends_with('/'));
        assert!(run["invocations"][0]["executionSuccessful"].is_boolean());
        for notification in run["invocations"][0]["toolExecutionNotifications"].as_array().unwrap() {
            assert!(notification["message"]["text"].is_string());
        }
    }
}

#[test]
fn a_report_becomes_a_log_that_code_scanning_takes() {
    let log = rendered(&sample());
    check_structure(&log);
    let run = &log["runs"][0];
    assert_eq!(run["automationDetails"]["id"], "tidewaiter/team/app/linux-amd64/");
    assert_eq!(run["tool"]["driver"]["rules"][0]["properties"]["security-severity"], "5.4");
    assert_eq!(
        run["results"][0]["message"]["text"],
        "jinja2 2.11.2 in team/app is affected by CVE-2024-22195 (medium); fixed in 3.1.3. Found in usr/lib/python3/dist-packages/Jinja2-2.11.2.dist-info/METADATA"
    );
    assert_eq!(
        run["tool"]["driver"]["rules"][0]["helpUri"],
        "https://nvd.nist.gov/vuln/detail/CVE-2024-22195"
    );
}

#[test]
fn the_example_of_the_wire_folder_has_the_same_structure() {
    let Some(folder) = std::env::var_os("TIDEWAITER_FIXTURES") else { return };
    let example = std::path::Path::new(&folder).join("wire/outbound/sarif-2.1.0.json");
    let example: Value = serde_json::from_slice(&std::fs::read(example).unwrap()).unwrap();
    let ours = rendered(&sample());
    for pointer in
        ["/runs/0/tool/driver/rules/0", "/runs/0/results/0", "/runs/0/results/0/locations/0/physicalLocation"]
    {
        let (ours, theirs) = (ours.pointer(pointer).unwrap(), example.pointer(pointer).unwrap());
        for key in theirs.as_object().unwrap().keys() {
            assert!(ours.get(key).is_some(), "{pointer} lacks {key}");
        }
    }
}

#[test]
fn a_rescan_and_an_upgrade_that_repairs_nothing_keep_the_fingerprint() {
    let mut later = sample();
    later.digest = Digest::of(b"rebuilt");
    let Subject::Image(inventory) = &mut later.subject else { panic!("the sample is an image") };
    inventory.packages[1].package.version = "2.11.3".to_owned();
    inventory.packages[1].path = "usr/lib/python3/dist-packages/Jinja2-2.11.3.dist-info/METADATA".to_owned();
    let of = |report: &Report| rendered(report)["runs"][0]["results"][0]["partialFingerprints"].clone();
    assert_eq!(of(&sample()), of(&later));
    let elsewhere: ImageName = "registry.example.com/team/other".parse().unwrap();
    let log: Value =
        serde_json::from_slice(&output::by_name("sarif").unwrap().render_named(&later, &elsewhere)).unwrap();
    assert_ne!(of(&sample()), log["runs"][0]["results"][0]["partialFingerprints"]);
}

#[test]
fn one_flaw_in_two_copies_of_a_package_is_one_result_and_suppressed_ones_are_none() {
    let mut report = sample();
    report.findings.push(report.findings[0].clone());
    let suppressed = Finding { status: FindingStatus::DistroUnassessed, ..report.findings[0].clone() };
    report.findings.push(suppressed);
    let log = rendered(&report);
    check_structure(&log);
    assert_eq!(log["runs"][0]["results"].as_array().map(Vec::len), Some(1));
    assert_eq!(log["runs"][0]["properties"]["suppressed"], 1);
}

#[test]
fn i4_what_could_not_be_examined_is_said() {
    let mut report = sample();
    report.problems = vec![Problem::new(ProblemKind::RegistryUnavailable, "the registry is away")];
    report.coverage[0].state = CoverageState::None;
    report.subject = Subject::Unreadable;
    let log = rendered(&report);
    check_structure(&log);
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let told = invocation["toolExecutionNotifications"].to_string();
    for expected in ["the registry is away", "no data is not no findings", "could not be examined"] {
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn i4_an_image_without_report_is_a_run_that_failed() {
    let nothing = Unexamined { image: "r.io/team/app:1", repository: Some("team/app"), why: "pending" };
    let log: Value = serde_json::from_slice(&log(&[], &[nothing])).unwrap();
    check_structure(&log);
    assert_eq!(log["runs"][0]["invocations"][0]["executionSuccessful"], false);
}

#[test]
fn hostile_names_stay_text() {
    let mut report = sample();
    let hostile = "\u{1b}]0;x\u{7}\"}],\"runs\":[<script>%0A::error::../../x?y#z\n";
    report.findings[0].id = format!("CVE-{hostile}");
    let Subject::Image(inventory) = &mut report.subject else { panic!("the sample is an image") };
    inventory.packages[1].package.name = hostile.repeat(100);
    inventory.packages[1].path = hostile.to_owned();
    let log = rendered(&report);
    check_structure(&log);
    let run = &log["runs"][0];
    assert_eq!(log.as_object().map(serde_json::Map::len), Some(3));
    assert!(!run["results"][0]["message"]["text"].as_str().unwrap().contains('\u{1b}'));
    let help = url::Url::parse(run["tool"]["driver"]["rules"][0]["helpUri"].as_str().unwrap()).unwrap();
    assert_eq!((help.host_str(), help.query(), help.fragment()), (Some("nvd.nist.gov"), None, None));
    assert!(help.path().starts_with("/vuln/detail/"), "{help}");
}
