//! Which layer each line of a config's history made.

use shared::model::document::ImageConfig;
use shared::model::layer::LayerIndex;

/// For every line its layer: none for a line that made none, and none at all where the lines that made one are not as
/// many as the image has layers.
pub(crate) fn layers(config: &ImageConfig, layers: usize) -> impl Iterator<Item = Option<LayerIndex>> + '_ {
    let lines_up = config.history.iter().filter(|line| !line.empty_layer).count() == layers;
    let mut next = 0_u16;
    config.history.iter().map(move |line| {
        let layer = (lines_up && !line.empty_layer).then_some(LayerIndex(next));
        next = next.saturating_add(u16::from(!line.empty_layer));
        layer
    })
}
