//! What black-box tests stand on: a [`site::Site`] is a running Tidewaiter with its own registry, ports, queue and
//! keys; [`image`] builds images from file lists, and [`root`] makes a layer of a folder; [`servers`] starts and kills the
//! real servers; [`inventory`] lays what a scan finds beside what package managers list.
//!
//! Everything here goes through doors that users have: the binary, HTTP, and skopeo.

pub mod clamd;
pub mod image;
pub mod inventory;
pub mod process;
pub mod proxy;
pub mod root;
pub mod servers;
pub mod site;
pub mod upload;
