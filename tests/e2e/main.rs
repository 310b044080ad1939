//! Tidewaiter as its users meet it: the real binary, registry, RabbitMQ, Redis and skopeo.

mod attest;
mod bad_input;
mod ci;
mod command_line;
mod embedded;
mod events;
mod faults;
mod gate_moments;
mod gates;
mod harbor;
mod hostile;
mod kubernetes_goat;
mod kubernetes_goat_images;
mod policies;
mod policy_changes;
mod providers;
mod pull;
mod push;
mod senders;
mod sweep;
mod tls;
mod webhooks;
