//! `META-INF/MANIFEST.MF`: bytes in, the main attributes that identify an archive out.
//!
//! Lines have at most 72 bytes; one that begins with a space continues the one before, even in the middle of a
//! character. The main section ends at the first empty line. Format: the JAR File Specification, "JAR Manifest".

/// The main attributes that say what an archive is; absent where empty, a placeholder, or unreasonably long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    /// `Bundle-SymbolicName`, without its directives.
    pub(super) symbolic_name: Option<String>,
    /// `Automatic-Module-Name`.
    pub(super) module_name: Option<String>,
    /// `Implementation-Title`.
    pub(super) title: Option<String>,
    /// `Implementation-Vendor`.
    pub(super) vendor: Option<String>,
    /// `Implementation-Vendor-Id`.
    pub(super) vendor_id: Option<String>,
    /// `Implementation-Version`.
    pub(super) implementation_version: Option<String>,
    /// `Bundle-Version`.
    pub(super) bundle_version: Option<String>,
    /// `Specification-Version`.
    pub(super) specification_version: Option<String>,
    /// `Bundle-License`.
    pub(super) license: Option<String>,
    /// `Short-Name` of a Jenkins plugin.
    pub(super) short_name: Option<String>,
    /// `Group-Id` of a Jenkins plugin.
    pub(super) group_id: Option<String>,
    /// `Plugin-Version` of a Jenkins plugin.
    pub(super) plugin_version: Option<String>,
}

/// The longest value that identifies anything.
const LONGEST_VALUE: usize = 4096;

impl Manifest {
    /// Reads the main section.
    pub(super) fn parse(content: &[u8]) -> Self {
        let mut manifest = Self::default();
        let mut whole: Vec<u8> = Vec::new();
        for line in lines(content) {
            if let Some(continued) = line.strip_prefix(b" ") {
                whole.extend(continued);
                continue;
            }
            manifest.attribute(&whole);
            whole.clear();
            if line.is_empty() {
                break;
            }
            whole.extend(line);
        }
        manifest.attribute(&whole);
        manifest
    }

    fn attribute(&mut self, line: &[u8]) {
        let Some(colon) = memchr::memchr(b':', line) else {
            return;
        };
        let value = line[colon + 1..].trim_ascii();
        if value.is_empty() || value.len() > LONGEST_VALUE || memchr::memmem::find(value, b"${").is_some() {
            return;
        }
        let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
        let member = match name.as_str() {
            "bundle-symbolicname" => &mut self.symbolic_name,
            "automatic-module-name" => &mut self.module_name,
            "implementation-title" => &mut self.title,
            "implementation-vendor" => &mut self.vendor,
            "implementation-vendor-id" => &mut self.vendor_id,
            "implementation-version" => &mut self.implementation_version,
            "bundle-version" => &mut self.bundle_version,
            "specification-version" => &mut self.specification_version,
            "bundle-license" => &mut self.license,
            "short-name" => &mut self.short_name,
            "group-id" => &mut self.group_id,
            "plugin-version" => &mut self.plugin_version,
            _ => return,
        };
        let mut value = String::from_utf8_lossy(value).into_owned();
        if name == "bundle-symbolicname" {
            let end = value.find(';').unwrap_or(value.len());
            value.truncate(value[..end].trim_end().len());
        }
        *member = Some(value);
    }
}

/// Lines that end in CR LF, LF or CR.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(content);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(end) = memchr::memchr2(b'\r', b'\n', bytes) else {
            rest = None;
            return Some(bytes);
        };
        let width = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&bytes[end + width..]);
        Some(&bytes[..end])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_continued_and_sections_end() {
        for ends in ["\r\n", "\n", "\r"] {
            let text = "Manifest-Version: 1.0\nBundle-SymbolicName: org.exa\n mple.\n name;singleton:=true\n\
                        IMPLEMENTATION-VERSION: 1.2.3\nBundle-Version: ${version}\n\nSpecification-Version: 9\n";
            let manifest = Manifest::parse(text.replace('\n', ends).as_bytes());
            let expected = Manifest {
                symbolic_name: Some("org.example.name".to_owned()),
                implementation_version: Some("1.2.3".to_owned()),
                ..Manifest::default()
            };
            assert_eq!(manifest, expected, "{ends:?}");
        }
    }

    #[test]
    fn a_character_may_be_split_over_lines() {
        let manifest = Manifest::parse(b"Implementation-Title: caf\xc3\r\n \xa9");
        assert_eq!(manifest.title.as_deref(), Some("caf\u{e9}"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, text in "((Bundle-SymbolicName|Short-Name)?[:; \r\né]{0,4}){0,9}") {
            Manifest::parse(&content);
            Manifest::parse(text.as_bytes());
        }
    }
}
