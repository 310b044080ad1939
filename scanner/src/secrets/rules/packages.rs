//! Package registries, and the files in which their clients keep passwords.

use shared::model::report::Severity::{Critical, High};

use super::super::check::Check;
use super::super::guard::Guard;
use super::super::rule::{BEFORE, Rule};
use super::{text, token};

pub(super) const RULES: &[Rule<'static>] = &[
    token("TW-SEC-NPM-TOKEN", "An npm token", Critical, &["npm_"], r"(npm_[A-Za-z0-9]{36})\b")
        .checked(Check::Crc32Base62),
    text(
        "TW-SEC-NPMRC",
        "A password or token in an .npmrc",
        Critical,
        &["_authToken", "_auth", "_password"],
        r#"(?m)//[^\s=]+:_(?:authToken|auth|password)\s*=\s*["']?([A-Za-z0-9+/=_.-]{16,})["']?\s*$"#,
    )
    .around(BEFORE, 700)
    .checked(Check::Entropy(3.0)),
    // Without the registry, as older clients write it. `_auth = something` is an ordinary line of code as well.
    text(
        "TW-SEC-NPMRC-LEGACY",
        "A password or token in an .npmrc, for every registry",
        Critical,
        &["_authToken", "_auth", "_password"],
        r#"(?m)^_(?:authToken|auth|password)\s*=\s*["']?([A-Za-z0-9+/=_.-]{16,})["']?\s*$"#,
    )
    .guarded(Guard::OpensLine)
    .checked(Check::NoIdentifier(3.0)),
    token("TW-SEC-PYPI-TOKEN", "A PyPI token", Critical, &["pypi-AgE"], r"(pypi-AgE[A-Za-z0-9_-]{50,})")
        .up_to(1200),
    token("TW-SEC-RUBYGEMS", "A RubyGems API key", Critical, &["rubygems_"], r"(rubygems_[a-f0-9]{48})\b"),
    token("TW-SEC-NUGET", "A NuGet API key", Critical, &["oy2"], r"(oy2[a-z0-9]{43})\b")
        .guarded(Guard::Run(46))
        .in_texts()
        .checked(Check::Entropy(3.5)),
    text(
        "TW-SEC-CRATES-IO",
        "A crates.io token",
        Critical,
        &["cio"],
        r#"(?:^|["'\s=:])(cio[A-Za-z0-9]{32})(?:["'\s]|$)"#,
    )
    .guarded(Guard::Run(35))
    .checked(Check::Entropy(3.8)),
    token(
        "TW-SEC-DOCKER-HUB",
        "A Docker Hub access token",
        Critical,
        &["dckr_pat_", "dckr_oat_"],
        r"(dckr_[po]at_[A-Za-z0-9_-]{27,40})(?:[^A-Za-z0-9_-]|$)",
    ),
    token("TW-SEC-JFROG", "A JFrog API key", Critical, &["AKCp"], r"(AKCp[A-Za-z0-9]{69,})\b"),
    token(
        "TW-SEC-JFROG-REFERENCE",
        "A JFrog reference token",
        Critical,
        &["cmVmd"],
        r"(cmVmd[A-Za-z0-9]{59})\b",
    )
    .checked(Check::Entropy(3.5)),
    token(
        "TW-SEC-PACKAGIST",
        "A Packagist token",
        High,
        &["packagist_"],
        r"(packagist_(?:ack|uut|ort|out)_?[a-f0-9]{40,})\b",
    ),
    token("TW-SEC-CLOJARS", "A Clojars token", High, &["CLOJARS_"], r"(CLOJARS_[a-f0-9]{60})\b"),
    text(
        "TW-SEC-CONDA",
        "A token of an Anaconda channel",
        High,
        &["/t/"],
        r"/t/([a-z]{2}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/",
    )
    .around(4, 60),
    text(
        "TW-SEC-PYPIRC",
        "A password in a .pypirc",
        High,
        &["[pypi]", "[distutils]"],
        r"(?ms)^\[(?:pypi|distutils)\].*?^password\s*[:=]\s*(\S{8,})",
    )
    .around(4, 800),
    text(
        "TW-SEC-MAVEN-SETTINGS",
        "A password in Maven's settings",
        High,
        &["<server>"],
        // What begins with a brace is encrypted.
        r"(?s)<server>.*?<password>([^<{\s][^<\s]{5,})</password>",
    )
    .around(4, 1000),
    text(
        "TW-SEC-NUGET-CONFIG",
        "A password in a NuGet.config",
        High,
        &["ClearTextPassword"],
        r#"ClearTextPassword"\s+value="([^"%]{6,})""#,
    ),
];
