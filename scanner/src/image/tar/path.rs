//! Member names made canonical: one spelling a path, relative to the image's root, never outside it.

/// The longest component.
const LONGEST_COMPONENT: usize = 255;
/// The deepest path.
const DEEPEST: usize = 256;

/// Why a member's name is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::image) enum PathRefusal {
    /// It has a `..` component.
    Traversal,
    /// The path, a component of it, or its depth is beyond the limit.
    TooLong,
}

/// Strips leading `/` and `./`, collapses `//` and `/./`, drops a final `/`. The root itself becomes empty.
pub(in crate::image) fn canonical(name: &[u8], longest: usize) -> Result<Vec<u8>, PathRefusal> {
    if name.len() > longest {
        return Err(PathRefusal::TooLong);
    }
    let mut path = Vec::with_capacity(name.len());
    let mut depth = 0;
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return Err(PathRefusal::Traversal),
            _ if component.len() > LONGEST_COMPONENT => return Err(PathRefusal::TooLong),
            _ => {}
        }
        depth += 1;
        if depth > DEEPEST {
            return Err(PathRefusal::TooLong);
        }
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(component);
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_path_becomes_one() {
        for (name, expected) in [
            ("a", Ok("a")),
            ("./a", Ok("a")),
            ("/a", Ok("a")),
            ("a//b", Ok("a/b")),
            ("a/", Ok("a")),
            ("././a/./b/.", Ok("a/b")),
            ("./", Ok("")),
            ("..a/b..", Ok("..a/b..")),
            ("../../etc/passwd", Err(PathRefusal::Traversal)),
            ("a/../b", Err(PathRefusal::Traversal)),
            ("a/..", Err(PathRefusal::Traversal)),
        ] {
            let path = canonical(name.as_bytes(), 4096);
            assert_eq!(path, expected.map(|path| path.as_bytes().to_vec()), "{name}");
        }
        assert_eq!(canonical(&[b'a'; 4097], 4096), Err(PathRefusal::TooLong));
        assert_eq!(canonical(&[b'a'; 256], 4096), Err(PathRefusal::TooLong));
        assert_eq!(canonical(&b"a/".repeat(257), 4096), Err(PathRefusal::TooLong));
    }
}
