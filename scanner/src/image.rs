//! From a digest to an inventory: manifest, index, config → layers → one pass over each → squash.
//!
//! Reading order: [`engine`] (what examinations share) → [`examine`] (one of them: `classify`, `index`,
//! config, layers) → [`layer`] (one pass over a layer: `stored` and `hashing`, `decompress`, `tar`,
//! `matcher`, `capture`) → [`analysis`] and `entries` (what the pass leaves) → `squash` over the `tree`.

pub mod analysis;
mod buffered;
mod capture;
mod classify;
pub(crate) mod decompress;
pub mod engine;
mod entries;
pub mod examine;
mod halt;
mod hashing;
pub(crate) mod history;
mod index;
pub mod layer;
mod layer_type;
mod matcher;
mod squash;
mod stored;
pub(crate) mod tar;
mod toc;
mod tree;

#[cfg(test)]
mod built;

use std::io::Read;
use std::sync::Arc;

use shared::model::document::Descriptor;
use tokio_util::sync::CancellationToken;

pub use analysis::LayerAnalysis;
pub use engine::{Engine, LayerCache, Progress, Silent, Turn};
pub use examine::{Examination, ExamineError};
pub use layer::LayerError;
pub(crate) use squash::{in_purls, purl};

/// Raised whenever reading, squashing or attribution could give another result for the same bytes, and whenever other
/// entries than before have a `misconfig::Trait`: tables of entries say which have one.
pub const ENGINE_VERSION: u32 = 11;

/// Analyses one layer outside of any image: verify → inflate → tar → analyzers, on the calling thread.
///
/// Bytes that are what `descriptor` says always give an analysis; what is wrong with them is in its
/// problems. [`Engine::examine`] does this for all layers of an image, and fetches them.
pub fn analyze_layer(
    reader: Box<dyn Read + Send>,
    descriptor: &Descriptor,
    engine: &Engine,
) -> Result<LayerAnalysis, LayerError> {
    let watch = stored::Watch::start(
        &descriptor.digest,
        engine.limits().layer_time,
        CancellationToken::new(),
        Arc::new(Silent),
    );
    layer::LayerPass::new(&engine.kit, descriptor, layer::Focus::Everything, engine.revision())
        .run(reader, &watch)
        .map(|(analysis, _)| analysis)
}
