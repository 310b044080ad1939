//! Progress bars, one a layer, on a terminal; nothing elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use scanner::image::{Progress, Silent};
use shared::model::digest::Digest;
use shared::model::document::Descriptor;

/// Bars where standard error is a terminal.
pub(crate) fn for_terminal() -> Arc<dyn Progress> {
    if std::io::stderr().is_terminal() { Arc::new(Bars::default()) } else { Arc::new(Silent) }
}

#[derive(Default)]
struct Bars {
    all: MultiProgress,
    layers: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Bars {
    fn with(&self, layer: &Digest, act: impl FnOnce(&ProgressBar)) {
        let layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = layers.get(layer) {
            act(bar);
        }
    }
}

impl Progress for Bars {
    fn layer_started(&self, layer: &Descriptor) {
        let style =
            ProgressStyle::with_template("{prefix} {bar:30} {bytes:>10}/{total_bytes:<10} {bytes_per_sec}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.all.add(ProgressBar::new(layer.size)).with_style(style);
        bar.set_prefix(layer.digest.short().to_owned());
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        layers.insert(layer.digest.clone(), bar);
    }

    fn layer_read(&self, layer: &Digest, bytes: u64) {
        self.with(layer, |bar| bar.inc(bytes));
    }

    fn layer_done(&self, layer: &Digest) {
        self.with(layer, ProgressBar::finish_and_clear);
    }
}
