//! Systems without the measures that we know.

use super::{Got, Needs};

pub(super) fn confine(_: &Needs) -> Vec<(&'static str, Got)> {
    vec![("confinement", Got::Nothing("only Linux has it".to_owned()))]
}
