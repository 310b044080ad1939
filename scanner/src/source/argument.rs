//! temporary
use super::{ImageSource, SourceError};
use shared::model::digest::Digest;
use shared::model::image::Reference;
use std::str::FromStr;
use std::sync::Arc;
/// x
pub enum ImageArgument {
    /// x
    Registry(Reference),
}
impl FromStr for ImageArgument {
    type Err = shared::model::image::ReferenceError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(Self::Registry(s.parse()?))
    }
}
impl ImageArgument {
    /// x
    pub async fn open(self) -> Result<(Arc<dyn ImageSource>, Digest), SourceError> {
        unimplemented!()
    }
}
