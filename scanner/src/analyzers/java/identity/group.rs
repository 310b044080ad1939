//! The group of an archive whose metadata does not state it: manifest, artifact and classes in, a group or a hint out.
//!
//! An invented group would match nothing, and in silence. So a group is only inferred where two witnesses agree on
//! it; what a single one says is a hint, which decides between packages that advisories know. Witnesses: OSGi's
//! `Bundle-SymbolicName` (OSGi Core, "Bundle-SymbolicName"), which Gradle's and Maven's bundle plugins make of group and
//! artifact; `Implementation-Vendor-Id` (JAR File Specification), which Maven's archiver makes of the group
//! and sbt of its organisation; `Implementation-Title`, in which Nebula's plugins write `group#project;version`; and the
//! packages of the classes, which by the Java Language Specification (6.1) begin with a domain of whoever wrote them.

use super::{is_token, last_part};
use crate::analyzers::java::classes::ClassPackages;
use crate::analyzers::java::manifest::Manifest;
use crate::analyzers::java::name::FileName;

mod known;

/// What is known of a group that nothing states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Several witnesses agree.
    Inferred(String),
    /// It may be this one, or one near it.
    Hinted(String),
    /// Nothing is known.
    Unknown,
}

/// What an archive without stated group is made of.
pub(super) struct Witnesses<'a> {
    pub(super) artifact: &'a str,
    pub(super) version: &'a str,
    pub(super) manifest: &'a Manifest,
    pub(super) classes: &'a ClassPackages,
}

impl Witnesses<'_> {
    /// What they say together.
    pub(super) fn group(&self) -> Group {
        let known = known::group(self).map(str::to_owned);
        let inferred = known.or_else(|| self.by_title()).or_else(|| self.by_bundle());
        match inferred.or_else(|| self.by_organization()).or_else(|| self.by_vendor()) {
            Some(group) => Group::Inferred(group),
            None => self.hint().map_or(Group::Unknown, Group::Hinted),
        }
    }

    /// `io.micrometer#micrometer-core;1.9.17`; the project may have another name than its archive.
    fn by_title(&self) -> Option<String> {
        let (group, project) = self.manifest.title.as_deref()?.split_once('#')?;
        let (_, version) = project.split_once(';')?;
        (version == self.version && is_domain(group)).then(|| group.to_owned())
    }

    /// A bundle's name that ends in the whole artifact. That of one word is as often the last part of the group, unless
    /// the group ends in it a second time or the vendor agrees.
    fn by_bundle(&self) -> Option<String> {
        let name = self.manifest.symbolic_name.as_deref()?;
        let group = name.strip_suffix(self.artifact)?.strip_suffix('.')?;
        let is_telling = self.artifact.contains('-')
            || last_part(group).starts_with(self.artifact)
            || self.vendors().any(|vendor| vendor == group);
        (is_telling && is_domain(group) && !is_umbrella(group)).then(|| group.to_owned())
    }

    /// sbt writes its organisation, which is the group, into every manifest; artifacts of Scala end in its version.
    fn by_organization(&self) -> Option<String> {
        let (_, scala) = self.artifact.rsplit_once('_')?;
        let is_scala = scala.starts_with("2.1") || scala == "3";
        let organization = self.manifest.vendor_id.as_deref().filter(|_| is_scala)?;
        is_domain(organization).then(|| organization.to_owned())
    }

    /// A vendor that is named like a group, whose code is in the archive, and of whom it is: vendors of two words have
    /// archives in many groups, so the artifact must have their name.
    fn by_vendor(&self) -> Option<String> {
        let is_own = |vendor: &&str| {
            let is_near = vendor.split('.').count() > 2
                || FileName::parse(self.artifact)
                    .artifact
                    .split(['-', '_'])
                    .any(|word| word == last_part(vendor));
            is_near && is_domain(vendor) && !is_umbrella(vendor) && self.classes.are_in(vendor)
        };
        self.vendors().find(is_own).map(str::to_owned)
    }

    fn vendors(&self) -> impl Iterator<Item = &str> {
        let vendors = [&self.manifest.vendor_id, &self.manifest.vendor];
        vendors.into_iter().filter_map(|vendor| vendor.as_deref())
    }

    /// What looks most like a group.
    fn hint(&self) -> Option<String> {
        let from_name = || {
            let name = self.manifest.symbolic_name.as_deref()?;
            let (front, last) = name.rsplit_once('.')?;
            // A bundle is often named by its group alone.
            Some(if last == self.artifact || self.artifact.ends_with(last) { front } else { name })
        };
        let stated = self.manifest.vendor_id.as_deref().filter(|vendor| is_token(vendor));
        let vendor = self.manifest.vendor.as_deref().filter(|vendor| is_domain(vendor));
        let stated = stated.or(vendor).or_else(|| from_name().filter(|name| is_token(name)));
        stated.map(str::to_owned).or_else(|| self.classes.common()).filter(|hint| is_token(hint))
    }
}

/// Whether a text is a domain turned round, which groups are made of: `org.example`.
fn is_domain(text: &str) -> bool {
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(byte))
    };
    text.len() <= 256 && text.contains('.') && text.split('.').all(is_part)
}

/// Whether so many publish below a domain that it is nobody's group.
fn is_umbrella(domain: &str) -> bool {
    [
        "com.github",
        "com.google",
        "com.ibm",
        "com.oracle",
        "com.sun",
        "io.github",
        "org.apache",
        "org.eclipse",
        "org.jboss",
    ]
    .contains(&domain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `title`, `vendor`, `id` and `bundle` of a manifest; `in` is a class.
    fn group(artifact: &str, version: &str, facts: &[(&str, &str)]) -> Group {
        let mut manifest = Manifest::default();
        let mut classes = ClassPackages::default();
        for (fact, text) in facts {
            let text = (*text).to_owned();
            match *fact {
                "title" => manifest.title = Some(text),
                "vendor" => manifest.vendor = Some(text),
                "id" => manifest.vendor_id = Some(text),
                "bundle" => manifest.symbolic_name = Some(text),
                "module" => manifest.module_name = Some(text),
                _ => classes.note(&format!("{}/A.class", text.replace('.', "/"))),
            }
        }
        Witnesses { artifact, version, manifest: &manifest, classes: &classes }.group()
    }

    #[test]
    fn a_group_is_inferred_where_witnesses_agree() {
        let inferred = |group: &str| Group::Inferred(group.to_owned());
        let hinted = |group: &str| Group::Hinted(group.to_owned());
        for (artifact, facts, expected) in [
            // Real manifests: zstd-jni, spring-kafka, snappy-java, poi, hibernate-commons-annotations, rxjava, config.
            ("zstd-jni", &[("bundle", "com.github.luben.zstd-jni")][..], inferred("com.github.luben")),
            (
                "spring-integration-x",
                &[("id", "org.springframework.kafka"), ("in", "org.springframework.kafka.a")],
                inferred("org.springframework.kafka"),
            ),
            (
                "poi-x",
                &[("id", "The Apache"), ("vendor", "org.apache.poi"), ("in", "org.apache.poi")],
                inferred("org.apache.poi"),
            ),
            (
                "hibernate-commons-annotations",
                &[("id", "org.hibernate"), ("bundle", "org.hibernate.common.hibernate-commons-annotations")],
                inferred("org.hibernate.common"),
            ),
            (
                "postgresql",
                &[("id", "org.postgresql"), ("in", "org.postgresql.a")],
                inferred("org.postgresql"),
            ),
            ("rxjava", &[("bundle", "io.reactivex.rxjava2.rxjava")], inferred("io.reactivex.rxjava2")),
            (
                "config",
                &[("bundle", "com.typesafe.config"), ("vendor", "com.typesafe")],
                inferred("com.typesafe"),
            ),
            ("cats-core_2.13", &[("id", "org.typelevel"), ("in", "cats")], inferred("org.typelevel")),
            ("cats-core", &[("id", "org.typelevel"), ("in", "cats")], hinted("org.typelevel")),
            ("micrometer-core", &[("title", "io.micrometer#micrometer-core;1.0")], inferred("io.micrometer")),
            ("micrometer-core", &[("title", "io.micrometer#micrometer-core;2.0")], Group::Unknown),
            // One witness alone: gson is in com.google.code.gson, commons-x in a group of its own, dom4j in dom4j.
            ("gson", &[("bundle", "com.google.gson")], hinted("com.google")),
            ("mina-x", &[("bundle", "org.apache.mina-x")], hinted("org.apache")),
            (
                "commons-lang",
                &[("id", "org.apache"), ("in", "org.apache.commons.lang")],
                hinted("org.apache"),
            ),
            ("x", &[("id", "org.x"), ("in", "com.y")], hinted("org.x")),
            ("dom4j-x", &[("title", "org.dom4j"), ("in", "org.dom4j.io")], hinted("org.dom4j.io")),
            ("x", &[("vendor", "JUnit"), ("in", "org.x.y"), ("in", "org.x.z")], hinted("org.x")),
            ("x", &[("vendor", "JUnit"), ("in", "a"), ("in", "b")], Group::Unknown),
        ] {
            assert_eq!(group(artifact, "1.0", facts), expected, "{artifact} {facts:?}");
        }
    }

    #[test]
    fn only_domains_turned_round_are_groups() {
        for (text, expected) in [
            ("org.x", true),
            ("com.github.ben-manes.caffeine", true),
            ("io.reactivex.rxjava2", true),
            ("antlr", false),
            ("Spring.IO", false),
            ("org..x", false),
            ("org.2x", false),
            ("pivotal.io ", false),
            ("", false),
        ] {
            assert_eq!(is_domain(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_witnesses_panic(any: String, texts in proptest::collection::vec("[a-zé.#;_-]{0,9}", 6)) {
            let facts = [("title", &*texts[0]), ("vendor", &*texts[1]), ("id", &*texts[2])];
            let more = [("bundle", &*texts[3]), ("module", &*texts[4]), ("in", &*any)];
            group(&texts[5], "1.0", &[facts, more].concat());
            group(&any, &any, &[facts, more].concat());
        }
    }
}
