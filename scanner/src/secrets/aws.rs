//! Whose an AWS access key is: its id says so, and only who knows the account can revoke it.

/// The rule that finds ids.
pub(super) const KEY_ID: &str = "TW-SEC-AWS-KEY-ID";

/// How many characters of an id stand before what is encoded: they say what kind of key it is.
const KIND: usize = 4;

/// The twelve digits of the account in an id such as `AKIA…`. `None` if it is not in base 32, or too short.
///
/// Ten characters of base 32 (RFC 4648) have 50 bits: one that means something else, the account in 40, and the
/// beginning of what makes the id unique. AWS does not document it.
pub(super) fn account(id: &[u8]) -> Option<String> {
    let encoded = id.get(KIND..KIND + 10)?;
    let bits = encoded.iter().try_fold(0_u64, |bits, character| {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'2'..=b'7' => character - b'2' + 26,
            _ => return None,
        };
        Some(bits << 5 | u64::from(value))
    })?;
    let account = bits >> 9 & ((1 << 40) - 1);
    Some(format!("{account:012}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_key_is_in_its_id() {
        for (id, expected) in [
            ("ASIAQNZGKIQY56JQ7WML", Some("029608264753")),
            ("AKIASP2TPHJSQH3FJRUX", Some("171436882533")),
            ("AKIAIOSFODNN1EXAMPLE", None),
            ("AKIASP2TP", None),
            ("", None),
        ] {
            assert_eq!(account(id.as_bytes()).as_deref(), expected, "{id}");
        }
    }
}
