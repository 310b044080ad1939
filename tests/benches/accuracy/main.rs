//! Compares inventories with what package managers say that they installed: `scripts/accuracy`.
//!
//! `.run/accuracy/<image>` holds a `root` and an `expected.tsv` (kind, name, version). The root becomes an OCI layout of
//! one layer, `tidewaiter scan` reads it, and one row of Markdown says what was missed and what was found beyond the list.
//! With `--record` the roots are also written down in small, for the test run: [`record`].

use std::path::Path;

use anyhow::{Context, Result};
use tests::inventory::{Inventory, Listed};
use tests::root;

mod record;

fn main() -> Result<()> {
    let (options, images): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|one| one.starts_with("--"));
    let is_recording = options.iter().any(|option| option == "--record");
    let work = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.run/accuracy");
    let mut rows = Vec::new();
    for image in &images {
        let folder = work.join(image);
        let of_image = || format!("image {image}");
        let listed = Listed::read(&folder.join("expected.tsv"))?;
        let layer = root::whole(&folder.join("root")).with_context(of_image)?;
        let found = Inventory::of(layer, &folder).with_context(of_image)?;
        rows.push(row(image, &listed, &found));
        if is_recording {
            record::write(image, &folder, &listed, &found).with_context(of_image)?;
        }
    }
    println!("| image | kind | packages listed | found | recall | found without group | found, not listed |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    rows.iter().for_each(|row| println!("{row}"));
    Ok(())
}

/// One image's row; what differs is named on stderr.
fn row(image: &str, listed: &Listed, found: &Inventory) -> String {
    let compared = found.compare(listed);
    compared.beyond.iter().for_each(|one| eprintln!("{image}: not listed {one}"));
    compared.missed.iter().for_each(|one| eprintln!("{image}: missed {one}"));
    let (right, all) = (compared.right.len(), listed.count());
    // Rounded down, so that 100 % means every one.
    let permille = right * 1000 / all;
    let recall = format!("{}.{} %", permille / 10, permille % 10);
    let (kind, partly, beyond) =
        (listed.kind.purl_type(), compared.without_group.len(), compared.beyond.len());
    format!("| {image} | {kind} | {all} | {right} | {recall} | {partly} | {beyond} |")
}
