//! Where source code lives.

use shared::model::report::Severity::{Critical, High};

use super::super::check::Check;
use super::super::guard::Guard;
use super::super::rule::Rule;
use super::{text, token};

pub(super) const RULES: &[Rule<'static>] = &[
    // The last six characters are a checksum: a hit is a token, wherever it stands.
    token("TW-SEC-GITHUB-TOKEN", "A GitHub token", Critical, &["ghp_", "gho_", "ghu_"], r"(gh[pou]_[A-Za-z0-9]{36})\b")
        .checked(Check::Crc32Base62),
    token("TW-SEC-GITHUB-REFRESH", "A GitHub refresh token", Critical, &["ghr_"], r"(ghr_[A-Za-z0-9]{76})\b").checked(Check::Entropy(3.5)),
    // Its form changed once, so that no checksum is asked for; it ends after an hour.
    token("TW-SEC-GITHUB-APP", "A GitHub installation token", High, &["ghs_"], r"(ghs_(?:[0-9]{1,12}_eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|[A-Za-z0-9]{36}\b))").up_to(1500)
        .checked(Check::Entropy(3.5)),
    token("TW-SEC-GITHUB-FINE-GRAINED", "A GitHub fine-grained token", Critical, &["github_pat_"], r"(github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b")
        .checked(Check::Entropy(3.5)),
    token("TW-SEC-GITLAB-TOKEN", "A GitLab token", Critical,
        &["glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-", "glsoat-", "glffct-"],
        r"(gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9]{2,9}){0,3})(?:[^A-Za-z0-9_-]|$)")
        .checked(Check::Entropy(3.2)),
    token("TW-SEC-GITLAB-RUNNER", "A GitLab runner registration token", High, &["GR1348941"], r"(GR1348941[A-Za-z0-9_-]{20})(?:[^A-Za-z0-9_-]|$)"),
    token("TW-SEC-BITBUCKET", "A Bitbucket app password", Critical, &["ATBB"], r"(ATBB[A-Za-z0-9]{32})\b").checked(Check::Entropy(3.3)),
    token("TW-SEC-ATLASSIAN", "An Atlassian API token", Critical, &["ATATT3"], r"(ATATT3[A-Za-z0-9_=-]{170,}=[A-F0-9]{8})\b"),
    text("TW-SEC-GITEA", "A Gitea token", High, &["gitea", "GITEA"], r"(?i:gitea)(?is:.{0,40}?token)(?s:.{0,20}?)\b([a-f0-9]{40})\b").around(1, 130)
        .guarded(Guard::RunWithin(40, 130))
        .checked(Check::Entropy(3.0)),
    token("TW-SEC-SOURCEGRAPH", "A Sourcegraph token", High, &["sgp_"], r"(sgp_(?:[a-f0-9]{16}_|local_)?[a-f0-9]{40})\b"),
];
