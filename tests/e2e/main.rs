//! Tidewaiter as its users meet it: the real binary, registry, RabbitMQ, Redis and skopeo.

mod bad_input;
mod command_line;
mod embedded;
mod events;
mod faults;
mod push;
mod webhooks;
