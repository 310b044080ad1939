//! Searching for secrets: MB/s of one core, on what images are full of.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scanner::secrets::Secrets;

const SIZE: usize = 64 << 20;

/// A program: this one, again and again.
fn program() -> Vec<u8> {
    let own = std::env::current_exe().and_then(std::fs::read).expect("a process can read its own program");
    own.into_iter().cycle().take(SIZE).collect()
}

/// Text as images have it: scripts and documents of this machine, else this crate's own source, again and again.
fn text() -> Vec<u8> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut text = Vec::new();
    let mut folders: Vec<PathBuf> = ["/usr/lib", "/usr/share"].map(PathBuf::from).to_vec();
    folders.push(own);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if let Ok(content) = std::fs::read(path)
                && !content.contains(&0)
                && text.len() < SIZE
            {
                text.extend(content);
            }
        }
    }
    text.into_iter().cycle().take(SIZE).collect()
}

fn search(criterion: &mut Criterion) {
    let secrets = Secrets::built_in();
    let mut group = criterion.benchmark_group("secrets");
    group.sample_size(10).throughput(Throughput::Bytes(SIZE as u64));
    for (name, content) in [("program", program()), ("text", text()), ("zeros", vec![0; SIZE])] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut search = secrets.search(b"usr/bin/file", SIZE as u64 + 1);
                content.chunks(256 << 10).for_each(|block| search.feed(block));
                black_box(search.finish())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, search);
criterion_main!(benches);
