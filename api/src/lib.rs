//! The HTTP face of Tidewaiter: pushes come in, verdicts go out. Depends only on the shared crate.
//!
//! Reading order: [`server`] (bind and run), [`routes`] (the table), [`intake`] (event → durable job),
//! [`deliveries`] and [`webhooks`] (one file a registry), [`verdicts`] (digest → verdict), [`gates`] (may it run?),
//! [`harbor`] (a scanner as Harbor wants one), then one resource a file. [`timed`] is how a small body is read.
//! [`error`] alone writes problem+json; [`auth`] alone compares secrets.

pub mod auth;
pub mod deliveries;
pub mod document;
pub mod error;
pub mod events;
pub mod gates;
pub mod harbor;
pub mod health;
pub mod history;
pub mod intake;
mod limit;
pub mod policies;
pub mod probes;
pub mod queue;
pub mod reports;
pub mod requests;
pub mod routes;
pub mod scans;
pub mod server;
pub mod simulate;
pub mod sweeps;
pub mod timed;
pub mod tls;
pub mod verdicts;
pub mod webhooks;

pub use probes::Probes;
pub use server::{Parts, Server};
