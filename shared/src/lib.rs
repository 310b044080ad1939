//! Tidewaiter's vocabulary and seams. Depends on nothing else of ours.
//!
//! Reading order: [`model`] (what travels), [`policy`] (what is thought of it), then the seams, each
//! one trait with two real implementations: [`queue`] and [`store`]; [`registry`] (where images come
//! from), [`attest`] (proof that travels with an image), [`output`] (what leaves), and [`config`] and [`telemetry`], which every process begins with.

pub mod attest;
pub mod config;
pub mod model;
pub mod output;
pub mod policy;
pub mod queue;
pub mod registry;
pub mod store;
pub mod telemetry;
