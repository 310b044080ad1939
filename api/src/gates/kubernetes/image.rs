//! An image that a pod names: where in the object, for the patch that pins it, and whose, for people.

use super::json::Json;
use super::pod::{Container, called};
use crate::gates::Purpose;

/// An image that a pod names.
#[derive(Clone, Copy)]
pub(super) struct NamedImage<'d> {
    /// The name, verbatim and not empty.
    pub(super) image: &'d str,
    /// Where the pod is in the object.
    pub(super) carrier: &'static str,
    pub(super) holder: Holder<'d>,
}

/// What names an image.
#[derive(Clone, Copy)]
pub(super) enum Holder<'d> {
    Container(Container<'d>),
    /// A volume of that number.
    Volume {
        at: usize,
        json: Json<'d>,
    },
}

impl NamedImage<'_> {
    /// The JSON pointer of the name, from the root of the object.
    pub(super) fn pointer(&self) -> String {
        self.holder.pointer(self.carrier)
    }

    /// Whose image it is, for people: `container "app"`.
    pub(super) fn owner(&self) -> String {
        match &self.holder {
            Holder::Container(container) => container.called(),
            Holder::Volume { at, json } => called("image volume", *json, *at),
        }
    }

    pub(super) fn purpose(&self) -> Purpose {
        match self.holder {
            Holder::Container(_) => Purpose::Container,
            Holder::Volume { .. } => Purpose::Volume,
        }
    }
}

impl Holder<'_> {
    /// Where the name is in an object that has its pod at `carrier`.
    pub(super) fn pointer(&self, carrier: &str) -> String {
        match self {
            Self::Container(Container { list, at, .. }) => {
                format!("{carrier}/spec/{}/{at}/image", list.key())
            }
            Self::Volume { at, .. } => format!("{carrier}/spec/volumes/{at}/image/reference"),
        }
    }
}
