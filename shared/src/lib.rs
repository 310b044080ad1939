//! Tidewaiter's vocabulary and seams. Depends on nothing else of ours.
//!
//! Reading order: [`model`] (what travels), [`policy`] (what is thought of it), then the seams, each
//! one trait with two real implementations: [`queue`] and [`store`]; [`registry`] (where images come
//! from; [`outgoing`] is how), [`sweeps`] (pushes that nobody announced), [`announce`] (who is told of a changed verdict), [`attest`]
//! (proof that travels with an image), [`output`] (what leaves), [`derive`] and [`reload`] (policies that change),
//! and [`config`] and [`telemetry`], which every process begins with.

pub mod announce;
pub mod attest;
pub mod config;
pub mod derive;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod model;
pub mod outgoing;
pub mod output;
pub mod policy;
pub mod queue;
pub mod registry;
pub mod reload;
pub mod store;
pub mod sweeps;
pub mod telemetry;
