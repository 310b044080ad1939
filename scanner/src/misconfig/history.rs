//! History lines as commands, whoever wrote them: Docker's classic builder, BuildKit, Buildah, builders on Windows.
//!
//! `/bin/sh -c #(nop) ADD …`, `/bin/sh -c apt-get …`, `|2 A=b C=d /bin/sh -c …`, `RUN |1 A=b /bin/sh -c … # buildkit`,
//! `/bin/sh -c …|FROM base` and `cmd /S /C …`. Kaniko, Jib, Bazel and ko write one word or nothing: a line that nobody
//! can read says nothing, and that something is not in the history proves nothing.

use shared::model::document::ImageConfig;
use shared::model::layer::LayerIndex;

use crate::image::history;

/// The most lines that are looked at.
const MOST: usize = 1000;
/// The longest line that is looked at, in bytes.
const LONGEST: usize = 64 << 10;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<'a> {
    /// Its position in the history.
    pub(super) number: usize,
    /// As written.
    pub(super) text: &'a str,
    /// `RUN`, `COPY` …; empty where it is not known.
    pub(super) instruction: &'a str,
    /// What follows it; of `RUN` the command without the shell that it was given to.
    pub(super) rest: &'a str,
    /// The layer that it made, where history and layers line up.
    pub(super) layer: Option<LayerIndex>,
}

/// The lines of a config's history.
pub(super) fn steps(config: &ImageConfig, layers: usize) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let lines = config.history.iter().enumerate().zip(history::layers(config, layers));
    for ((number, line), layer) in lines.take(MOST) {
        let Some(text) = line.created_by.as_deref().map(bounded) else { continue };
        let (instruction, rest) = parsed(text);
        steps.push(Step { number, text, instruction, rest, layer });
    }
    steps
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

const INSTRUCTIONS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Instruction and rest.
fn parsed(text: &str) -> (&str, &str) {
    let text = text.trim().trim_end_matches("# buildkit").trim_end();
    let text = text.rsplit_once("|FROM ").map_or(text, |(line, _)| line);
    if let Some(rest) = text.strip_prefix("/bin/sh -c #(nop)") {
        return split_word(rest.trim_start());
    }
    let (first, rest) = split_word(text);
    if INSTRUCTIONS.contains(&first) {
        return (first, rest);
    }
    let run = if first == "RUN" { rest } else { text };
    match without_shell(run) {
        Some(command) => ("RUN", command),
        None if first == "RUN" => ("RUN", run),
        None => ("", text),
    }
}

/// The command that a shell was given, if the text is one.
fn without_shell(text: &str) -> Option<&str> {
    const SHELLS: &[&str] = &[
        "/bin/sh -c ",
        "/bin/sh -ec ",
        "/bin/sh -eux -c ",
        "/bin/ash -c ",
        "/bin/bash -c ",
        "sh -c ",
        "bash -c ",
        "cmd /S /C ",
        "powershell -Command ",
    ];
    // Of build arguments, what they say is only found out where the shell begins.
    if text.starts_with('|') {
        let begin = |shell: &&str| text.find(*shell).map(|at| at + shell.len());
        return Some(SHELLS.iter().find_map(begin).map_or(text, |at| &text[at..]));
    }
    if let Some(command) = SHELLS.iter().find_map(|shell| text.strip_prefix(shell)) {
        return Some(command.trim());
    }
    let is_shell = text.starts_with("/bin/") && text.contains("sh -");
    is_shell.then(|| text.split_once("-c ").map_or(text, |(_, command)| command).trim())
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builder_writes_the_same_in_other_words() {
        for (text, instruction, rest) in [
            ("/bin/sh -c #(nop) ADD file:1a2b in / ", "ADD", "file:1a2b in /"),
            ("/bin/sh -c #(nop)  CMD [\"bash\"]", "CMD", "[\"bash\"]"),
            ("/bin/sh -c apt-get update", "RUN", "apt-get update"),
            ("|2 A=b C=d e /bin/sh -c make all", "RUN", "make all"),
            ("RUN /bin/sh -c apk add x # buildkit", "RUN", "apk add x"),
            ("RUN |1 A=b /bin/sh -c apk add x # buildkit", "RUN", "apk add x"),
            ("RUN /bin/bash -eo pipefail -c curl x | sh # buildkit", "RUN", "curl x | sh"),
            ("COPY /app /app # buildkit", "COPY", "/app /app"),
            ("/bin/sh -c yum install x|FROM docker.io/library/centos:7", "RUN", "yum install x"),
            ("cmd /S /C dir", "RUN", "dir"),
            ("USER 1000", "USER", "1000"),
            ("bazel build ...", "", "bazel build ..."),
            ("jib-maven-plugin:3.4.0", "", "jib-maven-plugin:3.4.0"),
            ("", "", ""),
        ] {
            assert_eq!(parsed(text), (instruction, rest), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn i7_no_text_panics(text: String) {
            let _ = (parsed(&text), parsed(&format!("|{text}")), parsed(&format!("RUN {text}")));
        }
    }
}
