//! Random stacks of layers, extracted naively into a map of paths, must show what the squash shows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use proptest::prelude::*;
use shared::model::digest::Digest;
use shared::model::document::Descriptor;
use shared::model::report::Revision;

use crate::image::built::*;
use crate::image::{LayerAnalysis, LayerCache, Turn, analyze_layer, built};

type Path = Vec<String>;

#[derive(Clone, Debug, PartialEq)]
enum Thing {
    Directory,
    Symlink(String),
    /// Which content, whether this is the path that it was written to, and whether that was a `.jar`.
    File {
        content: Option<(u32, bool)>,
        is_own: bool,
    },
}

/// A file system as one map; every operation walks it from the root.
#[derive(Default)]
struct Naive(BTreeMap<Path, Thing>);

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Look,
    Make,
}

fn split(text: &str) -> Path {
    text.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

impl Naive {
    /// The directory that a path leads to through links.
    fn directory(&mut self, path: &[String], mode: Mode) -> Option<Path> {
        let mut rest: Path = path.iter().rev().cloned().collect();
        let (mut here, mut hops) = (Path::new(), 0);
        while let Some(part) = rest.pop() {
            match &*part {
                "." => continue,
                ".." => {
                    here.pop();
                    continue;
                }
                _ => here.push(part),
            }
            match self.0.get(&here).cloned() {
                Some(Thing::Directory) => {}
                Some(Thing::Symlink(target)) => {
                    hops += 1;
                    if hops > 40 {
                        return None;
                    }
                    here.pop();
                    if target.starts_with('/') {
                        here.clear();
                    }
                    rest.extend(split(&target).into_iter().rev());
                }
                Some(Thing::File { .. }) | None if mode == Mode::Look => return None,
                Some(Thing::File { .. }) | None => {
                    self.delete(&here);
                    self.0.insert(here.clone(), Thing::Directory);
                }
            }
        }
        Some(here)
    }

    /// Where a path is, its last part not followed.
    fn place(&mut self, path: &str, mode: Mode) -> Option<Path> {
        let mut path = split(path);
        let name = path.pop().unwrap();
        let mut place = self.directory(&path, mode)?;
        place.push(name);
        Some(place)
    }

    fn delete(&mut self, path: &Path) {
        self.0.retain(|there, _| !there.starts_with(path));
    }

    fn put(&mut self, path: &str, thing: Thing) {
        let Some(place) = self.place(path, Mode::Make) else {
            return;
        };
        if thing != Thing::Directory || self.0.get(&place) != Some(&Thing::Directory) {
            self.delete(&place);
        }
        self.0.insert(place, thing);
    }

    fn apply(&mut self, layer: &[Put]) {
        for put in layer {
            let Put::File(path, _) = put else { continue };
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            if name == ".wh..wh..opq" {
                if let Some(parent) = self.directory(&split(parent), Mode::Look) {
                    self.0.retain(|there, _| there == &parent || !there.starts_with(&parent));
                }
            } else if let Some(name) = name.strip_prefix(".wh.")
                && let Some(place) = self.place(&format!("{parent}/{name}"), Mode::Look)
            {
                self.delete(&place);
            }
        }
        for put in layer {
            match put {
                Put::File(path, _) if path.contains(".wh.") => {}
                Put::File(path, content) => {
                    let id = std::str::from_utf8(content).unwrap().split_once(' ').unwrap().0;
                    let content = Some((id[1..].parse().unwrap(), path.ends_with(".jar")));
                    self.put(path, Thing::File { content, is_own: true });
                }
                Put::Directory(path) => self.put(path, Thing::Directory),
                Put::Symlink(path, target) => self.put(path, Thing::Symlink(target.clone())),
                Put::Hardlink(path, target) => self.link(path, target),
            }
        }
    }

    fn link(&mut self, path: &str, target: &str) {
        let target = self.place(target, Mode::Look);
        let thing = target.as_ref().and_then(|target| self.0.get(target)).cloned();
        if thing.is_some() && self.place(path, Mode::Look) == target {
            return;
        }
        self.put(
            path,
            match thing {
                Some(Thing::Symlink(target)) => Thing::Symlink(target),
                Some(Thing::File { content, .. }) => Thing::File { content, is_own: false },
                Some(Thing::Directory) | None => Thing::File { content: None, is_own: false },
            },
        );
    }

    /// Path and content of every `.jar`, and of what was one and has only another name left.
    fn jars(&self) -> BTreeSet<(String, u32)> {
        let files = || {
            self.0.iter().filter_map(|(path, thing)| match thing {
                Thing::File { content: Some(content), is_own } => Some((path.join("/"), *content, *is_own)),
                Thing::File { .. } | Thing::Directory | Thing::Symlink(_) => None,
            })
        };
        let named = files().filter(|(path, ..)| path.ends_with(".jar"));
        let mut jars: BTreeSet<_> = named.map(|(path, (id, _), _)| (path, id)).collect();
        let mut by_bytes: Vec<_> = files().collect();
        by_bytes.sort();
        let mut kept: BTreeSet<u32> = by_bytes.iter().filter(|file| file.2).map(|file| file.1.0).collect();
        for (path, (id, was_jar), _) in by_bytes {
            if kept.insert(id) && was_jar {
                jars.insert((path, id));
            }
        }
        jars
    }
}

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![Just("a"), Just("b"), Just("x.jar"), Just("y.jar")];
    proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

fn target() -> impl Strategy<Value = String> {
    (prop_oneof![Just(""), Just("/"), Just("../"), Just("../../"), Just("./")], path())
        .prop_map(|(start, path)| format!("{start}{path}"))
}

fn put() -> impl Strategy<Value = Put> {
    prop_oneof![
        5 => path().prop_map(|path| file(&path, "")),
        2 => path().prop_map(|path| directory(&path)),
        3 => (path(), target()).prop_map(|(path, target)| symlink(&path, &target)),
        3 => (path(), path()).prop_map(|(path, target)| hardlink(&path, &target)),
        2 => (path(), path()).prop_map(|(parent, _)| match parent.rsplit_once('/') {
            Some((parent, name)) => file(&format!("{parent}/.wh.{name}"), ""),
            None => file(&format!(".wh.{parent}"), ""),
        }),
        1 => path().prop_map(|path| file(&format!("{path}/.wh..wh..opq"), "")),
    ]
}

/// Gives every file a content of its own, so that it can be told which one is visible.
fn numbered(mut layers: Vec<Vec<Put>>) -> Vec<Vec<Put>> {
    let files = layers.iter_mut().flatten();
    for (number, put) in files.enumerate() {
        if let Put::File(path, content) = put
            && !path.contains(".wh.")
        {
            *content = format!("n{number} 1").into_bytes();
        }
    }
    layers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn squashing_equals_extracting(
        layers in proptest::collection::vec(proptest::collection::vec(put(), 0..10), 1..5).prop_map(numbered),
    ) {
        let mut naive = Naive::default();
        layers.iter().for_each(|layer| naive.apply(layer));
        let slices: Vec<&[Put]> = layers.iter().map(Vec::as_slice).collect();
        let examination = Image::of(&slices).examine();
        let squashed: BTreeSet<(String, u32)> = built::inventory(&examination)
            .packages
            .iter()
            .map(|package| (package.path.clone(), package.package.name[1..].parse().unwrap()))
            .collect();
        prop_assert_eq!(squashed, naive.jars());
    }
}

/// Analyses as bytes, as a store keeps them; nobody waits for anybody.
#[derive(Default)]
struct Kept(Mutex<HashMap<Digest, Vec<u8>>>);

#[async_trait]
impl LayerCache for Kept {
    async fn load(&self, layer: &Digest, _revision: &Revision) -> Option<Arc<LayerAnalysis>> {
        let kept = self.0.lock().unwrap();
        Some(Arc::new(LayerAnalysis::decode(kept.get(layer)?).expect("what was kept can be read")))
    }

    async fn save(&self, analysis: Arc<LayerAnalysis>) {
        self.0.lock().unwrap().insert(analysis.layer.clone(), analysis.encode().unwrap());
    }

    async fn turn(&self, _layer: &Descriptor, _revision: &Revision) -> Turn {
        Turn::Yours(Box::new(()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Images that share a base, and one that has all layers of the other: the cache changes nothing but the work.
    #[test]
    fn i6_known_layers_squash_as_layers_read_afresh_do(
        base in proptest::collection::vec(proptest::collection::vec(put(), 0..8), 1..4).prop_map(numbered),
        tops in proptest::collection::vec(proptest::collection::vec(put(), 0..8).prop_map(|top| vec![top]), 1..3),
    ) {
        let cached = engine().with_cache(Arc::new(Kept::default()));
        for top in tops.iter().chain(&tops) {
            let top = numbered(top.clone());
            let layers: Vec<&[Put]> = base.iter().chain(&top).map(Vec::as_slice).collect();
            let mut source = MemorySource::default();
            let (manifest, _) = Image::of(&layers).into_source(&mut source);
            let fresh = built::examine(&engine(), source.copy(), &manifest.digest).unwrap();
            let known = built::examine(&cached, source, &manifest.digest).unwrap();
            prop_assert_eq!(fresh, known);
        }
    }
}

#[test]
fn a_layer_analysis_knows_nothing_of_other_layers() {
    let bytes = tarball(&[file("a.jar", "n1 1"), symlink("b", "a.jar")]);
    let read = || {
        let reader = Box::new(std::io::Cursor::new(bytes.clone()));
        analyze_layer(reader, &descriptor(TAR, &bytes), &engine()).unwrap()
    };
    assert_eq!(read(), read());
}
