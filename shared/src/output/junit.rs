//! JUnit XML over verdicts, for CI systems that show tests: one suite an image, one case a reason.
//!
//! What a policy denies is a failure, what it warns about passes with its text, and no verdict is an error. There is no
//! standard; these are the elements that GitLab, Jenkins and GitHub's reporters read.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::digest::Digest;
use crate::model::verdict::{Effect, Mode, Outcome, Reason, Verdict};

/// One image that was asked about.
#[derive(Debug)]
pub struct Checked<'a> {
    /// As it was asked about.
    pub image: &'a str,
    /// What that is.
    pub digest: Option<&'a Digest>,
    /// What was answered.
    pub answer: Answered<'a>,
    /// How long the answer took.
    pub took: Duration,
}

/// What was answered about an image.
#[derive(Debug)]
pub enum Answered<'a> {
    /// A verdict.
    Judged(&'a Verdict),
    /// None, for this reason.
    Nothing(&'a str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Failed,
    Broken,
}

struct Case {
    class: String,
    name: String,
    kind: Kind,
    of: &'static str,
    text: String,
}

/// All of them as one document.
pub fn render(checked: &[Checked<'_>], now: Timestamp) -> Vec<u8> {
    let suites: Vec<(&Checked<'_>, Vec<Case>)> = checked.iter().map(|one| (one, cases(one))).collect();
    let count =
        |kind: Kind| suites.iter().flat_map(|(_, cases)| cases).filter(|case| case.kind == kind).count();
    let total: usize = suites.iter().map(|(_, cases)| cases.len()).sum();
    let longest = checked.iter().map(|one| one.took).max().unwrap_or_default();
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        text,
        "<testsuites name=\"tidewaiter\" tests=\"{total}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">",
        count(Kind::Failed),
        count(Kind::Broken),
        longest.as_secs_f64()
    );
    for (one, cases) in &suites {
        suite(&mut text, one, cases, now);
    }
    text.push_str("</testsuites>\n");
    text.into_bytes()
}

fn suite(text: &mut String, checked: &Checked<'_>, cases: &[Case], now: Timestamp) {
    let count = |kind: Kind| cases.iter().filter(|case| case.kind == kind).count();
    let verdict = match &checked.answer {
        Answered::Judged(verdict) => verdict.outcome.name(),
        Answered::Nothing(_) => "none",
    };
    let _ = writeln!(
        text,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\" time=\"{:.3}\" timestamp=\"{}\">",
        escaped(checked.image),
        cases.len(),
        count(Kind::Failed),
        count(Kind::Broken),
        checked.took.as_secs_f64(),
        now.strftime("%Y-%m-%dT%H:%M:%S")
    );
    text.push_str("    <properties>");
    if let Some(digest) = checked.digest {
        let _ = write!(text, "<property name=\"digest\" value=\"{digest}\"/>");
    }
    let _ = writeln!(text, "<property name=\"verdict\" value=\"{verdict}\"/></properties>");
    for case in cases {
        let (class, name, body) = (escaped(&case.class), escaped(&case.name), escaped(&case.text));
        let _ = write!(text, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"0\">");
        let of = case.of;
        let _ = match case.kind {
            Kind::Passed => write!(text, "<system-out>{body}</system-out>"),
            Kind::Failed => write!(text, "<failure type=\"{of}\" message=\"{body}\">{body}</failure>"),
            Kind::Broken => write!(text, "<error type=\"{of}\" message=\"{body}\">{body}</error>"),
        };
        text.push_str("</testcase>\n");
    }
    text.push_str("  </testsuite>\n");
}

fn cases(checked: &Checked<'_>) -> Vec<Case> {
    let verdict = match &checked.answer {
        Answered::Judged(verdict) => verdict,
        Answered::Nothing(reason) => {
            let text = (*reason).to_owned();
            return vec![whole("verdict", Kind::Broken, "no-verdict", text)];
        }
    };
    let summary = format!("{} by policy {}", verdict.outcome, verdict.policy);
    let kind = match (verdict.outcome, verdict.mode) {
        (Outcome::Pass | Outcome::Warn, _) | (Outcome::Fail, Mode::Audit) => Kind::Passed,
        (Outcome::Fail, Mode::Enforce) => Kind::Failed,
        (Outcome::Error | Outcome::NotAnImage, _) => Kind::Broken,
    };
    let mut cases = vec![whole("verdict", kind, "verdict", summary)];
    cases.extend(verdict.reasons.iter().map(|reason| case(reason, verdict.mode)));
    if verdict.further_reasons > 0 {
        let text = format!("{} more reasons are in the report", verdict.further_reasons);
        cases.push(whole("further reasons", Kind::Passed, "further", text));
    }
    cases
}

fn whole(name: &str, kind: Kind, of: &'static str, text: String) -> Case {
    Case { class: "tidewaiter".to_owned(), name: name.to_owned(), kind, of, text }
}

fn case(reason: &Reason, mode: Mode) -> Case {
    let kind = match (reason.effect, mode) {
        (Effect::Deny, Mode::Enforce) => Kind::Failed,
        (Effect::Deny, Mode::Audit) | (Effect::Warn, _) => Kind::Passed,
    };
    let severity = reason.severity.map(|severity| format!("[{}] ", severity.name().to_uppercase()));
    let about = reason.advisory.as_deref().unwrap_or(&reason.rule);
    Case {
        class: reason.purl.clone().unwrap_or_else(|| "tidewaiter".to_owned()),
        name: format!("{}{about}", severity.unwrap_or_default()),
        kind,
        of: if reason.advisory.is_some() { "vulnerability" } else { "policy" },
        text: reason.message.clone(),
    }
}

/// Text for XML 1.0, in elements and attributes. Characters that XML cannot say at all become U+FFFD.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            control if control.is_control() => safe.push('\u{fffd}'),
            usual => safe.push(usual),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use proptest::prelude::*;

    fn document(image: &str, verdict: &Verdict) -> String {
        let checked = Checked {
            image,
            digest: Some(&verdict.digest),
            answer: Answered::Judged(verdict),
            took: Duration::from_millis(1204),
        };
        let nothing = Checked {
            image: "r.io/gone:1",
            digest: None,
            answer: Answered::Nothing("pending"),
            took: Duration::ZERO,
        };
        String::from_utf8(render(&[checked, nothing], sample::time("2026-03-02T09:31:40Z"))).unwrap()
    }

    fn verdict() -> Verdict {
        sample::verdict(&sample::report(&Digest::of(b"image")), "default", Outcome::Fail)
    }

    #[test]
    fn what_is_denied_fails_and_no_verdict_is_an_error() {
        let digest = Digest::of(b"image");
        let expected = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="tidewaiter" tests="3" failures="2" errors="1" time="1.204">
  <testsuite name="r.io/app:1" tests="2" failures="2" errors="0" skipped="0" time="1.204" timestamp="2026-03-02T09:31:40">
    <properties><property name="digest" value="{digest}"/><property name="verdict" value="fail"/></properties>
    <testcase classname="tidewaiter" name="verdict" time="0"><failure type="verdict" message="fail by policy default">fail by policy default</failure></testcase>
    <testcase classname="pkg:pypi/jinja2@2.11.2" name="[MEDIUM] CVE-2024-22195" time="0"><failure type="vulnerability" message="jinja2 2.11.2 has a medium flaw that 3.1.3 repairs">jinja2 2.11.2 has a medium flaw that 3.1.3 repairs</failure></testcase>
  </testsuite>
  <testsuite name="r.io/gone:1" tests="1" failures="0" errors="1" skipped="0" time="0.000" timestamp="2026-03-02T09:31:40">
    <properties><property name="verdict" value="none"/></properties>
    <testcase classname="tidewaiter" name="verdict" time="0"><error type="no-verdict" message="pending">pending</error></testcase>
  </testsuite>
</testsuites>
"#
        );
        assert_eq!(document("r.io/app:1", &verdict()), expected);
    }

    #[test]
    fn a_policy_in_audit_mode_fails_nothing() {
        let text = document("r.io/app:1", &Verdict { mode: Mode::Audit, ..verdict() });
        assert!(text.contains("failures=\"0\"") && !text.contains("<failure"), "{text}");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_element(hostile in "\\PC{0,40}[\\x00-\\x1f<>&\"']{0,10}") {
            let mut verdict = verdict();
            verdict.reasons[0].message = format!("]]>{hostile}<!--");
            verdict.reasons[0].purl = Some(hostile.clone());
            let (text, calm) = (document(&hostile, &verdict), document("calm", &super::tests::verdict()));
            let marks = |text: &str| text.chars().filter(|c| matches!(c, '<' | '>' | '"')).count();
            prop_assert_eq!(marks(&text), marks(&calm));
            prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
