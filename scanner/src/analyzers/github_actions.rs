//! GitHub Actions: what the workflows in `.github/workflows` use.
//!
//! YAML, `jobs{id{uses, steps[{uses}]}}`, where `uses` is `owner/repository[/path]@ref`; actions of the same repository
//! (`./…`) and images (`docker://…`) are no packages. Only a whole version can be compared: a branch, a commit and a tag
//! that moves along, `v4`, are inventory. Format: GitHub's documentation, "Workflow syntax for GitHub Actions".

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::ProblemKind;

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads workflows.
pub struct GitHubActions;

impl PackageList for GitHubActions {
    const NAME: &'static str = "github-actions";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Parent(".github/workflows")];

    fn is_one(path: &str) -> bool {
        (path.ends_with(".yml") || path.ends_with(".yaml")) && lock::is_own(path)
    }

    fn loss(_path: &str) -> ProblemKind {
        ProblemKind::RecordSkipped
    }

    fn read(_path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let workflow: Workflow = serde_saphyr::from_str(text)?;
        for job in workflow.jobs.iter().flat_map(BTreeMap::values) {
            let steps = job.steps.iter().flatten().filter_map(|step| step.uses.as_deref());
            for used in job.uses.as_deref().into_iter().chain(steps) {
                if !used.starts_with("./") && !used.starts_with("docker://") {
                    entries.add(package(used));
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Workflow {
    jobs: Option<BTreeMap<String, Job>>,
}

#[derive(Deserialize)]
struct Job {
    uses: Option<String>,
    steps: Option<Vec<Step>>,
}

#[derive(Deserialize)]
struct Step {
    uses: Option<String>,
}

fn package(used: &str) -> Option<Package> {
    let (action, reference) = used.trim().split_once('@')?;
    let (owner, rest) = action.split_once('/')?;
    // What lies in a repository is released with it, and advisories name the repository.
    let repository = rest.split('/').next().unwrap_or(rest);
    let evidence = if is_whole_version(reference) { Evidence::Declared } else { Evidence::Unmatched };
    let mut package = lock::package(PackageKind::GitHubActions, repository, reference, evidence)?;
    package.namespace = Some(owner.to_owned()).filter(|owner| !owner.is_empty());
    package.namespace.is_some().then_some(package)
}

/// `v4.1.2`, `1.0.0-beta`.
fn is_whole_version(reference: &str) -> bool {
    let version = reference.strip_prefix('v').unwrap_or(reference);
    let core = version.split(['-', '+']).next().unwrap_or(version);
    let mut numbers = core.split('.');
    numbers.clone().count() == 3
        && numbers.all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const WORKFLOW: &str = "on:\n  push:\njobs:\n  build:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4.1.2\n      - uses: github/codeql-action/init@v3\n      - uses: ./local\n      - uses: docker://alpine:3.20\n      - run: make\n        env: { A: 1 }\n  shared:\n    uses: acme/flows/.github/workflows/build.yml@8f4b7f84864484a7bf31766abe9204da3cbe65b3\n";

    #[test]
    fn only_whole_versions_are_declared() {
        let path = "src/.github/workflows/ci.yml";
        check(
            &GitHubActions,
            path,
            WORKFLOW,
            &[
                "githubactions/acme/flows@8f4b7f84864484a7bf31766abe9204da3cbe65b3 Unmatched",
                "githubactions/actions/checkout@v4.1.2 Declared",
                "githubactions/github/codeql-action@v3 Unmatched",
            ],
        );
        check(&GitHubActions, "app/node_modules/a/.github/workflows/ci.yml", WORKFLOW, &[]);
        check(&GitHubActions, "src/.github/workflows/README.md", WORKFLOW, &[]);
        check(&GitHubActions, path, "jobs:\n  a:\n    steps:\n      - uses: x\n", &["record-skipped"]);
        check(&GitHubActions, path, "jobs: [", &["record-skipped"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, used: String, at in 0..WORKFLOW.len(), byte: u8) {
            package(&used);
            analyze(&GitHubActions, ".github/workflows/a.yml", &content);
            let mut sample = WORKFLOW.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&GitHubActions, ".github/workflows/a.yml", &sample);
        }
    }
}
