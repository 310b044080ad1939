//! The fastest that this machine, this HTTP server and this client could possibly answer: an actix handler
//! that returns the bytes of a file, after it has read the body where there is one, in a process of its own, with
//! the settings that Tidewaiter's api has.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, ETAG};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;
use tests::process::{Process, free_port, listens, wait_until};

/// The first argument of this program when it is to be that server.
pub(crate) const ROLE: &str = "bare-server";

/// Starts this very program as that server; returns it and its port.
pub(crate) fn start(folder: &Path, body: &Path) -> Result<(Process, u16)> {
    let port = free_port()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([ROLE, &port.to_string()]).arg(body);
    let process = Process::start("bare", &mut command, folder)?;
    wait_until("the bare server", Duration::from_secs(10), || listens(port))?;
    Ok((process, port))
}

/// Answers until it is killed.
pub(crate) fn serve(port: u16, body: &Path) -> Result<()> {
    let body = web::Bytes::from(std::fs::read(body)?);
    let server = move || {
        let shown = body.clone();
        let show = move || {
            let body = shown.clone();
            async move {
                HttpResponse::Ok()
                    .insert_header((ETAG, "\"0123456789abcdef0123456789abcdef\""))
                    .insert_header((CACHE_CONTROL, "no-cache"))
                    .content_type("application/json")
                    .body(body)
            }
        };
        let told = body.clone();
        let tell = move |_question: web::Bytes| {
            let body = told.clone();
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        };
        App::new()
            .route("/v1/verdicts/{digest}", web::get().to(show))
            .route("/gates/kubernetes/validate", web::post().to(tell))
    };
    let running = async move { HttpServer::new(server).bind(("127.0.0.1", port))?.run().await };
    Ok(actix_web::rt::System::new().block_on(running)?)
}
