//! The vocabulary: every value that travels from push to decision, defined once.
//!
//! In the order in which an image meets them: [`push`] → [`job`] → [`layer`] → [`package`] →
//! [`report`] → [`verdict`]; [`digest`] and [`image`] are the words that all of them use.

pub mod digest;
pub mod document;
pub mod image;
pub mod job;
pub mod layer;
pub mod package;
pub mod problem;
pub mod push;
pub mod report;
pub mod settings;
pub mod signature;
pub mod verdict;

#[cfg(test)]
pub(crate) mod sample;
