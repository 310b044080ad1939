//! Tidewaiter as its users meet it: the real binary, registry, RabbitMQ, Redis and skopeo.

mod bad_input;
mod command_line;
mod embedded;
mod faults;
mod gates;
mod kubernetes_goat;
mod policies;
mod push;
mod tls;
mod webhooks;
