//! The bytes of database values: postcard inside zstd frames that share one trained dictionary.
//!
//! A value states its own size in its zstd frame; nothing larger than [`LARGEST_VALUE`] is inflated.

use std::io;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// The largest value that is read, in bytes after inflating.
pub const LARGEST_VALUE: usize = 64 << 20;
/// The compression level of values; a database is written once and read for a day.
const LEVEL: i32 = 15;
/// The size of a dictionary in bytes.
const DICTIONARY_BYTES: usize = 112 << 10;
/// The most bytes that a dictionary is trained on.
const TRAINING_BYTES: usize = 12 << 20;
/// The longest beginning of a value that is used for training, in bytes.
const SAMPLE_BYTES: usize = 4096;
/// The fewest values that are worth a dictionary.
const FEWEST_SAMPLES: usize = 256;

/// Why a value of the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The zstd frame is broken or too large.
    #[error("value does not inflate")]
    Inflate(#[source] io::Error),
    /// The value cannot be compressed.
    #[error("value does not deflate")]
    Deflate(#[source] io::Error),
    /// The bytes are not of the shape that the format states.
    #[error("value is not of the database's format")]
    Shape(#[from] postcard::Error),
}

/// Trains a dictionary on values in a fixed order; empty if there are too few of them to be worth one.
///
/// The same values in the same order give the same dictionary.
pub fn train(values: &[&[u8]]) -> Vec<u8> {
    let total: usize = values.iter().map(|value| value.len().min(SAMPLE_BYTES)).sum();
    let step = total.div_ceil(TRAINING_BYTES).max(1);
    let chosen = values.iter().step_by(step).filter(|value| !value.is_empty());
    let samples: Vec<&[u8]> = chosen.map(|value| &value[..value.len().min(SAMPLE_BYTES)]).collect();
    if samples.len() < FEWEST_SAMPLES {
        return Vec::new();
    }
    // Training fails only where samples have nothing in common; then a dictionary would not help either.
    zstd::dict::from_samples(&samples, DICTIONARY_BYTES).unwrap_or_default()
}

/// Turns values into bytes.
pub struct Encoder<'d> {
    compressor: Compressor<'d>,
}

/// A dictionary made ready for compressing.
pub fn encoder_dictionary(dictionary: &[u8]) -> EncoderDictionary<'static> {
    EncoderDictionary::copy(dictionary, LEVEL)
}

impl<'d> Encoder<'d> {
    /// An encoder with a prepared dictionary.
    pub fn new(dictionary: &'d EncoderDictionary<'static>) -> Result<Self, CodecError> {
        let mut compressor = Compressor::with_prepared_dictionary(dictionary).map_err(CodecError::Deflate)?;
        compressor.include_dictid(false).map_err(CodecError::Deflate)?;
        Ok(Self { compressor })
    }

    /// Compresses bytes that already are postcard.
    pub fn compress(&mut self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        self.compressor.compress(bytes).map_err(CodecError::Deflate)
    }
}

/// Turns bytes back into values.
pub struct Decoder<'d> {
    decompressor: Decompressor<'d>,
}

/// A dictionary made ready for reading; shared by all readers of a database.
pub fn decoder_dictionary(dictionary: &[u8]) -> DecoderDictionary<'static> {
    DecoderDictionary::copy(dictionary)
}

impl<'d> Decoder<'d> {
    /// A decoder with a prepared dictionary.
    pub fn new(dictionary: &'d DecoderDictionary<'static>) -> Result<Self, CodecError> {
        let decompressor = Decompressor::with_prepared_dictionary(dictionary).map_err(CodecError::Inflate)?;
        Ok(Self { decompressor })
    }

    /// Inflates a value.
    pub fn inflate(&mut self, value: &[u8]) -> Result<Vec<u8>, CodecError> {
        let inflated = self.decompressor.decompress(value, LARGEST_VALUE);
        inflated.map_err(CodecError::Inflate)
    }
}

/// The postcard bytes of a value.
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    Ok(postcard::to_stdvec(value)?)
}

/// Reads postcard bytes; borrowed texts point into them.
pub fn from_bytes<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CodecError> {
    Ok(postcard::from_bytes(bytes)?)
}
