//! What black-box tests stand on: a [`site::Site`] is a running Tidewaiter with its own registry, ports, queue and
//! keys; [`image`] builds images from file lists; [`servers`] starts and kills the real servers.
//!
//! Everything here goes through doors that users have: the binary, HTTP, and skopeo.

pub mod clamd;
pub mod image;
pub mod process;
pub mod proxy;
pub mod servers;
pub mod site;
pub mod upload;
