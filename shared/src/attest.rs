//! Proof that travels: signed statements about a digest that anybody can verify without asking this server.
//!
//! Pure: bytes and values in, bytes and values out; `now` and keys are arguments. What talks to a registry is
//! [`crate::registry`]; the one thing here that may use the network is a signer whose key lives elsewhere.
//!
//! Reading order: [`dsse`] (the envelope: exact bytes and who signed them), [`keys`] (PEM in, signatures out),
//! [`signer`] (who signs: a key file, or a service that keeps the key), [`statement`] (in-toto: what is said about which
//! digest), [`summary`] (one verdict as a SLSA verification summary), [`vulnerability`] (the predicate that cosign
//! knows), [`report`] (the facts as a blob), [`artifact`] (how all of it lies in a registry), [`tag`] (how
//! cosign finds it).

pub mod artifact;
pub mod dsse;
pub mod keys;
pub mod report;
pub mod signer;
pub mod statement;
pub mod summary;
pub mod tag;
pub mod vulnerability;

#[cfg(test)]
mod tests;
