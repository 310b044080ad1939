//! For people: one line an image, its reasons below.

use std::fmt::Write as _;

use shared::model::verdict::{Effect, Mode};

use super::Asked;

pub(super) fn render(asked: &[Asked]) -> String {
    asked.iter().map(one).collect()
}

fn one(asked: &Asked) -> String {
    let image = &asked.image;
    let verdict = match asked.answer.verdict() {
        Ok(verdict) => verdict,
        Err(why) => return format!("{image}: {}: {}\n", asked.answer.state(), plain(why)),
    };
    let audit = match verdict.mode {
        Mode::Audit => " (audit: not enforced)",
        Mode::Enforce => "",
    };
    let mut text = format!(
        "{image}: {}{audit} by policy {}, as of {}\n",
        verdict.outcome, verdict.policy, verdict.as_of
    );
    for reason in &verdict.reasons {
        let effect = match reason.effect {
            Effect::Deny => "deny",
            Effect::Warn => "warn",
        };
        let _ = writeln!(text, "  {effect}: {}", plain(&reason.message));
    }
    if verdict.further_reasons > 0 {
        let _ = writeln!(text, "  and {} more", verdict.further_reasons);
    }
    text
}

/// A text from an image: it must neither steer the terminal nor begin a line of its own, which a CI system
/// might take for a command.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
