//! What is counted, what is documented, and what dashboards and alerts ask for are the same metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use super::*;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every metric that the code makes, with its kind and labels.
fn made() -> BTreeMap<String, BTreeSet<(String, Vec<String>)>> {
    let call =
        Regex::new(r#"\b(counter|gauge|histogram)!\(\s*"(tidewaiter_\w+)"([^;]*?)\)\s*(?:;|\.|\n|\})"#)
            .unwrap();
    let label = Regex::new(r#""(\w+)"\s*=>"#).unwrap();
    let mut files = Vec::new();
    for room in ["api", "cli", "scanner", "shared", "worker"] {
        rust_files(&repository().join(room).join("src"), &mut files);
    }
    let mut made: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for found in call.captures_iter(&text) {
            let labels = label.captures_iter(&found[3]).map(|label| label[1].to_owned()).collect();
            made.entry(found[2].to_owned()).or_default().insert((found[1].to_owned(), labels));
        }
    }
    made
}

#[test]
fn every_metric_that_the_code_makes_is_in_the_catalogue_and_the_other_way_round() {
    let catalogue: BTreeMap<_, BTreeSet<_>> = all()
        .map(|metric| {
            let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            (metric.name.to_owned(), BTreeSet::from([(metric.kind.name().to_owned(), labels)]))
        })
        .collect();
    assert_eq!(made(), catalogue);
    assert_eq!(all().count(), catalogue.len(), "each once");
}

#[test]
fn names_follow_the_customs_of_prometheus() {
    for metric in all() {
        let ending = match metric.kind {
            Kind::Counter => "_total",
            Kind::Histogram => "_seconds",
            Kind::Gauge => "",
        };
        assert!(metric.name.ends_with(ending), "{}", metric.name);
        assert!(metric.help.ends_with('.') && !metric.help.contains('|'), "{}", metric.name);
    }
}

#[test]
fn the_document_is_what_the_catalogue_says() {
    let shipped = std::fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    assert_eq!(shipped, metrics_document(), "run `tidewaiter config metrics > docs/metrics.md`");
}

/// What an expression asks for that nobody makes.
fn unknown(expression: &str) -> Vec<String> {
    let series = Regex::new(r"\b(tidewaiter_\w+)\s*(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r#"(\w+)\s*(?:=~|!~|!=|=)\s*""#).unwrap();
    let grouping = Regex::new(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)").unwrap();
    let of_scraping = ["job", "instance", "namespace", "pod", "le"];
    let (mut wrong, mut known) = (Vec::new(), BTreeSet::from(of_scraping));
    for found in series.captures_iter(expression) {
        let name = &found[1];
        let metric = all().find(|metric| match metric.kind {
            Kind::Histogram => {
                ["_bucket", "_sum", "_count"].iter().any(|part| name.strip_suffix(part) == Some(metric.name))
            }
            Kind::Counter | Kind::Gauge => metric.name == name,
        });
        let Some(metric) = metric else {
            wrong.push(name.to_owned());
            continue;
        };
        known.extend(metric.labels);
        let matchers = found.get(2).map_or("", |matchers| matchers.as_str());
        let labels = matcher.captures_iter(matchers).map(|label| label[1].to_owned());
        let foreign = |label: &String| {
            !of_scraping.contains(&label.as_str()) && !metric.labels.contains(&label.as_str())
        };
        wrong.extend(labels.filter(foreign).map(|label| format!("{name} has no {label}")));
    }
    for found in grouping.captures_iter(expression) {
        let labels = found[1].split(',').map(str::trim).filter(|label| !label.is_empty());
        wrong.extend(labels.filter(|label| !known.contains(label)).map(|label| format!("by {label}")));
    }
    wrong
}

#[test]
fn what_nobody_makes_is_noticed() {
    assert_eq!(unknown("sum by (lane) (rate(tidewaiter_jobs_total{result=\"done\"}[5m]))"), [""; 0]);
    assert_eq!(unknown("rate(tidewaiter_job_seconds[5m])"), ["tidewaiter_job_seconds"]);
    assert_eq!(unknown("tidewaiter_jobs_total{outcome=\"x\"}"), ["tidewaiter_jobs_total has no outcome"]);
    assert_eq!(unknown("sum by (gate) (tidewaiter_jobs_total)"), ["by gate"]);
    assert_eq!(unknown("tidewaiter_nothing_total"), ["tidewaiter_nothing_total"]);
}

#[test]
fn alert_rules_ask_for_metrics_that_exist() {
    let text = std::fs::read_to_string(repository().join("deploy/monitoring/rules.yaml")).unwrap();
    let rules: Value = serde_saphyr::from_str(&text).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let rules: Vec<_> = groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() >= 10, "{}", rules.len());
    for rule in rules {
        let expression = rule["expr"].as_str().unwrap();
        assert_eq!(unknown(expression), [""; 0], "{expression}");
        assert!(expression.contains("tidewaiter_") || rule["alert"] == "TidewaiterDown", "{expression}");
        for key in ["summary", "description"] {
            assert!(rule["annotations"][key].is_string(), "{} has no {key}", rule["alert"]);
        }
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()));
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let text = std::fs::read_to_string(repository().join("deploy/monitoring/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut asked = 0;
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            assert_eq!(unknown(expression), [""; 0], "{}: {expression}", panel["title"]);
            asked += 1;
        }
    }
    assert!(asked >= 20, "{asked}");
}
