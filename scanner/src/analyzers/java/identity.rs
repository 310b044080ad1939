//! What an archive is: the facts found in it in, packages out.
//!
//! `pom.properties` are the word of the build itself, `pom.xml` is where it began. Without them the file name is the best witness, because
//! Maven made it, then the manifest. What the build does not state is inferred where that is safe ([`group`]), and
//! such packages say so; what only hints at a group is kept as the vendor.

use quick_xml::events::Event;
use shared::model::package::{Evidence, Package, PackageKind};

use self::group::{Group, Witnesses};
use super::classes::ClassPackages;
use super::manifest::Manifest;
use super::name::FileName;

mod group;

/// What `pom.properties` states.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Coordinates {
    /// Maven's `groupId`.
    pub(super) group: String,
    /// Maven's `artifactId`.
    pub(super) artifact: String,
    /// Maven's `version`.
    pub(super) version: String,
}

/// All that identifies one archive.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The archive's file name, without directories and extension.
    pub(super) stem: String,
    /// Every `pom.properties`, its own and shaded ones.
    pub(super) poms: Vec<Coordinates>,
    /// (group, artifact) of each `META-INF/maven/<group>/<artifact>/` directory.
    pub(super) directories: Vec<(String, String)>,
    /// The manifest, if there is one.
    pub(super) manifest: Option<Manifest>,
    /// Whether the class by which log4j-core loads code is in it.
    pub(super) has_jndi_lookup: bool,
    /// Whether there is code in it.
    pub(super) has_classes: bool,
    /// The packages of its code.
    pub(super) classes: ClassPackages,
}

impl Facts {
    /// The archive itself first, then what was shaded into it.
    pub(super) fn packages(mut self) -> Vec<Package> {
        let mut packages = Vec::new();
        match self.own_pom() {
            Some(index) => {
                let own = self.poms.swap_remove(index);
                packages.push(self.described(own.package(Evidence::Installed)));
            }
            None => packages.extend(self.guessed()),
        }
        packages.extend(self.poms.iter().map(|pom| pom.package(Evidence::Embedded)));
        packages
    }

    /// Which `pom.properties` is the archive's own: the one whose artifact fits the file name best. A single
    /// one is, too, if the name says nothing else.
    fn own_pom(&self) -> Option<usize> {
        let fitting = (0..self.poms.len()).filter(|index| fits(&self.stem, &self.poms[*index].artifact));
        if let Some(best) = fitting.max_by_key(|index| self.poms[*index].artifact.len()) {
            return Some(best);
        }
        let name = FileName::parse(&self.stem);
        let only = self.poms.first().filter(|_| self.poms.len() == 1)?;
        name.version.is_none_or(|version| version == only.version).then_some(0)
    }

    /// The archive's identity where no `pom.properties` states it.
    fn guessed(&self) -> Option<Package> {
        let absent = Manifest::default();
        let manifest = self.manifest.as_ref().unwrap_or(&absent);
        if let Some(plugin) = jenkins_plugin(manifest) {
            return Some(self.described(plugin));
        }
        let name = FileName::parse(&self.stem);
        let artifact = match name.version {
            Some(_) => name.artifact,
            None => titled(manifest).unwrap_or(name.artifact),
        };
        let directory = self.directories.iter().find(|(_, directory)| fits(&self.stem, directory));
        let (group, artifact) = match directory {
            Some((group, artifact)) => (Some(group.clone()), artifact.as_str()),
            None => (None, artifact),
        };
        let Some(version) = name.version.or_else(|| stated_version(manifest)) else {
            // Code that nobody can name: shown, so that it is known not to have been judged. An archive
            // that only carries what is named needs no name of its own.
            let is_nameless = self.poms.is_empty() && self.has_classes && !artifact.is_empty();
            return is_nameless.then(|| Package::new(PackageKind::Maven, artifact, "", Evidence::Unmatched));
        };
        if artifact.is_empty() || !(self.has_classes || self.manifest.is_some() || directory.is_some()) {
            return None;
        }
        let mut package = Package::new(PackageKind::Maven, artifact, version, Evidence::Installed);
        match group {
            Some(group) => package.namespace = Some(group),
            None => {
                let witnesses = Witnesses { artifact, version, manifest, classes: &self.classes };
                match witnesses.group() {
                    Group::Inferred(group) => {
                        package.namespace = Some(group);
                        package.evidence = Evidence::Inferred;
                    }
                    Group::Hinted(hint) => package.vendor = Some(hint),
                    Group::Unknown => {}
                }
            }
        }
        Some(self.described(package))
    }

    fn described(&self, mut package: Package) -> Package {
        let license = self.manifest.as_ref().and_then(|manifest| manifest.license.clone());
        package.licenses.extend(license);
        package
    }
}

/// How deep the elements of a `pom.xml` may be nested.
const DEEPEST_ELEMENT: usize = 64;

impl Coordinates {
    /// Reads `pom.properties`; `None` if it does not state all three.
    ///
    /// Format: `java.util.Properties`, of which Maven writes only `key=value` lines; escapes of `:`, `=` and
    /// `\` are undone.
    pub(super) fn parse(content: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(content);
        let value = |key: &str| {
            text.lines().find_map(|line| {
                let rest = line.trim_start().strip_prefix(key)?.trim_start();
                let value = rest.strip_prefix(['=', ':'])?.trim().replace('\\', "");
                is_token(&value).then_some(value)
            })
        };
        Some(Self { group: value("groupId")?, artifact: value("artifactId")?, version: value("version")? })
    }

    /// What lies in a directory of the archive, with the version that its `pom.xml` states, itself or for its parent.
    ///
    /// Nothing is resolved: a version that is made of properties is none. Format: Maven's POM reference.
    pub(super) fn of_project(group: &str, artifact: &str, content: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(content);
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut path: Vec<String> = Vec::new();
        let (mut own, mut parent) = (None, None);
        // Whatever follows what cannot be read, a version was not among it.
        while let Ok(event) = reader.read_event() {
            match event {
                Event::Start(_) if path.len() == DEEPEST_ELEMENT => return None,
                Event::Start(start) => path.push(start.local_name().into_inner().to_owned()),
                Event::End(_) => drop(path.pop()),
                Event::Text(text) => {
                    let path: Vec<&str> = path.iter().map(String::as_str).collect();
                    let member = match path.as_slice() {
                        ["project", "version"] => &mut own,
                        ["project", "parent", "version"] => &mut parent,
                        _ => continue,
                    };
                    member.get_or_insert_with(|| text.as_ref().trim().to_owned());
                }
                Event::Eof => break,
                Event::Empty(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_)
                | Event::GeneralRef(_) => {}
            }
        }
        let version = own.or(parent).filter(|version| is_token(version))?;
        let is_named = is_token(group) && is_token(artifact);
        is_named.then(|| Self { group: group.to_owned(), artifact: artifact.to_owned(), version })
    }

    fn package(&self, evidence: Evidence) -> Package {
        let mut package = Package::new(PackageKind::Maven, &*self.artifact, &*self.version, evidence);
        package.namespace = Some(self.group.clone());
        package
    }
}

/// Whether a text can be a group, an artifact or a version: no blanks, no unresolved `${…}`.
fn is_token(text: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || "._-+~@!:()[],".contains(c);
    !text.is_empty() && text.len() <= 256 && text.chars().all(is_allowed)
}

/// Whether a file of this name can be this artifact: `lang3` does not make `commons-lang3`.
fn fits(stem: &str, artifact: &str) -> bool {
    let name = FileName::parse(stem);
    // A version follows, or nothing.
    let is_front = stem.strip_prefix(artifact).is_some_and(|rest| {
        let version = rest.strip_prefix(['-', '_', '.']);
        rest.is_empty() || version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    });
    // OSGi and GlassFish put the group before the artifact.
    let is_back = name.artifact.strip_suffix(artifact).is_some_and(|front| front.ends_with('.'));
    !artifact.is_empty() && (name.artifact == artifact || is_front || is_back)
}

/// A Jenkins plugin says what it is in words of its own.
fn jenkins_plugin(manifest: &Manifest) -> Option<Package> {
    let name = manifest.short_name.as_deref().filter(|name| is_token(name))?;
    let version = manifest.plugin_version.as_deref()?.split_whitespace().next()?;
    let group = manifest.group_id.as_deref().unwrap_or("org.jenkins-ci.plugins");
    let mut package = Package::new(PackageKind::Maven, name, version, Evidence::Installed);
    package.namespace = Some(group.to_owned());
    Some(package)
}

/// The artifact by the manifest, where one of its names looks like one: `jackson-core`, not `Jackson Core` and
/// not `com.fasterxml.jackson.core`.
fn titled(manifest: &Manifest) -> Option<&str> {
    let candidates = [
        manifest.symbolic_name.as_deref().map(last_part),
        manifest.module_name.as_deref().map(last_part),
        manifest.title.as_deref(),
    ];
    let mut candidates = candidates.into_iter().flatten();
    candidates.find(|name| is_token(name) && name.contains('-'))
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The version by the manifest: the implementation's own, the bundle's, at last the specification's.
fn stated_version(manifest: &Manifest) -> Option<&str> {
    let stated =
        [&manifest.implementation_version, &manifest.bundle_version, &manifest.specification_version];
    let mut words = stated.into_iter().flatten().filter_map(|text| text.split_whitespace().next());
    words.find(|word| is_token(word) && word.contains(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
