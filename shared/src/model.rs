//! The vocabulary: every value that travels from push to decision, defined once.
//!
//! In the order in which an image meets them: [`push`] → [`job`] → [`layer`] → [`package`], [`functions`] and
//! [`observation`] → [`report`] → [`verdict`] → [`change`] → [`event`]; [`digest`] and [`image`] are the words that all of them
//! use. [`sweep`] and [`bookmark`]: the way of the pushes that nobody announced.

pub mod bookmark;
pub mod change;
pub mod digest;
pub mod document;
pub mod event;
pub mod functions;
pub mod image;
pub mod job;
pub mod layer;
pub mod license;
pub mod observation;
pub mod package;
pub mod problem;
pub mod push;
pub mod report;
pub mod sbom;
pub mod settings;
pub mod signature;
pub mod sweep;
pub mod verdict;

#[cfg(test)]
pub(crate) mod sample;
