//! Every analyzer over those of this machine's files that it wants: bytes a second.
//!
//! Its own package database, interpreters, libraries and programs are real input of many formats; an analyzer whose
//! format is not installed here is not measured, and the list at the end says which those are. More roots, the unpacked
//! root of an image for instance, come from `TIDEWAITER_BENCH_ROOTS`, separated by colons.

mod material;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use material::files_of;
use scanner::analyzers::{self, ALL, Analyzer, Candidate, CapturedFile, Trigger};
use scanner::limits::Limits;

const ROOTS: [&str; 4] = ["/etc", "/usr", "/var/lib", "/opt"];
/// So much is read for one analyzer at most.
const MOST_BYTES: usize = 8 << 20;
const MOST_FILES: usize = 300;
const HEAD: usize = 64;
const EXECUTABLE: u32 = 0o755;

/// Files that one analyzer wants.
struct Wanted {
    analyzer: &'static dyn Analyzer,
    files: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl Wanted {
    fn take(&mut self, path: &str, content: &[u8], limits: &Limits) {
        let size = content.len() as u64;
        let head = &content[..content.len().min(HEAD)];
        let candidate = Candidate { path: path.as_bytes(), size, mode: EXECUTABLE, head };
        let is_wanted = self.analyzer.triggers().iter().any(|trigger| catches(*trigger, path, head))
            && self.analyzer.wants(&candidate)
            && size <= self.analyzer.class().limit(limits);
        if is_wanted && self.files.len() < MOST_FILES && self.bytes + content.len() <= MOST_BYTES {
            self.bytes += content.len();
            self.files.push((path.to_owned(), content.to_vec()));
        }
    }
}

/// Whether a file catches an analyzer's eye; a root's own path is not known here, so any ending of the path will do.
fn catches(trigger: Trigger, path: &str, head: &[u8]) -> bool {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let lies_in = |place: &str| directory.ends_with(place);
    match trigger {
        Trigger::Path(wanted) => path.ends_with(wanted),
        Trigger::Name(wanted) => name == wanted,
        Trigger::Extension(end) => name.ends_with(end),
        Trigger::Parent(place) => lies_in(place),
        Trigger::Below(place, wanted) => name == wanted && directory.contains(place),
        Trigger::Magic(magic) => head.starts_with(magic),
    }
}

fn all_analyzers(criterion: &mut Criterion) {
    let limits = Limits::default();
    let empty =
        |analyzer: &&'static dyn Analyzer| Wanted { analyzer: *analyzer, files: Vec::new(), bytes: 0 };
    let mut all: Vec<Wanted> = ALL.iter().map(empty).collect();
    let more = std::env::var("TIDEWAITER_BENCH_ROOTS").unwrap_or_default();
    let more = more.split(':').filter(|root| !root.is_empty());
    let roots: Vec<&str> = more.chain(ROOTS).collect();
    for (path, content) in files_of(&roots) {
        all.iter_mut().for_each(|wanted| wanted.take(&path, &content, &limits));
    }
    let mut group = criterion.benchmark_group("analyzers");
    group.sample_size(10);
    let (measured, absent): (Vec<_>, Vec<_>) = all.into_iter().partition(|wanted| wanted.bytes > 0);
    for Wanted { analyzer, files, bytes } in measured {
        let most = match analyzer.class() {
            analyzers::FileClass::Beginning => analyzers::BEGINNING,
            _ => usize::MAX,
        };
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(format!("{}, {} files", analyzer.name(), files.len()), |bencher| {
            bencher.iter(|| {
                for (path, content) in &files {
                    let content = &content[..content.len().min(most)];
                    black_box(analyzer.analyze(&CapturedFile { path, mode: EXECUTABLE, content }, &limits));
                }
            });
        });
    }
    group.finish();
    let absent: Vec<&str> = absent.iter().map(|wanted| wanted.analyzer.name()).collect();
    eprintln!("no files on this machine for: {}", absent.join(", "));
}

criterion_group!(benches, all_analyzers);
criterion_main!(benches);
