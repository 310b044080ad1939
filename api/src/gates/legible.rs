//! Foreign texts, fit to be shown to people and written to logs.

/// At most `most` characters of a text, with a space for every control character.
pub(super) fn legible(text: &str, most: usize) -> String {
    // Nearly every text is like that, and then there is nothing to look at one by one.
    if text.len() <= most && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.to_owned();
    }
    text.chars().take(most).map(|one| if one.is_control() { ' ' } else { one }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_lose_what_moves_a_terminal() {
        for (text, most, expected) in [
            ("", 3, ""),
            ("abc", 3, "abc"),
            ("abcd", 3, "abc"),
            ("äöü", 3, "äöü"),
            ("äöüß", 3, "äöü"),
            ("a\nb", 3, "a b"),
            ("\u{1b}[31m", 9, " [31m"),
            ("a\u{7f}\u{85}b", 9, "a  b"),
        ] {
            assert_eq!(legible(text, most), expected, "{text:?}");
        }
    }
}
