//! Tidewaiter as its users meet it: the real binary, registry, RabbitMQ, Redis and skopeo.

mod bad_input;
mod ci;
mod command_line;
mod embedded;
mod faults;
mod push;
mod sweep;
mod webhooks;
