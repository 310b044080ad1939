//! Tidewaiter as its users meet it: the real binary, registry, RabbitMQ, Redis and skopeo.

mod bad_input;
mod command_line;
mod embedded;
mod faults;
mod push;
mod senders;
mod webhooks;
