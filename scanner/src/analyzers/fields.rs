//! Descriptions of one package in lines `Name: value`, where a line that begins with white space continues the one
//! before: Debian's control format, as R and GHC use it for what is installed.

/// The first value of a field, whatever the case of its name; a value may begin on the next line.
///
/// `None` if the field is absent or empty. Of a value of many lines, the first that says anything.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().skip_while(|line| value(line, name).is_none());
    let first = value(lines.next()?, name)?;
    let mut continued = lines.take_while(|line| line.starts_with([' ', '\t'])).map(str::trim);
    let stated = if first.is_empty() { continued.find(|line| !line.is_empty()) } else { Some(first) };
    stated.filter(|value| value.len() <= LONGEST)
}

/// The longest value that says what a package is, in bytes.
const LONGEST: usize = 1024;

fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (stated, value) = line.split_once(':')?;
    stated.eq_ignore_ascii_case(name).then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_field_counts() {
        let text = "A: 1\r\n B: no\r\nb:\r\n  2\r\n  3\r\nC:\nD: x: y\n";
        for (name, expected) in
            [("a", Some("1")), ("B", Some("2")), ("C", None), ("D", Some("x: y")), ("E", None)]
        {
            assert_eq!(field(text, name), expected, "{name}");
        }
    }
}
