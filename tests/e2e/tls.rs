//! The API server of Kubernetes speaks only HTTPS: the gate answers it under a certificate that it can check.

use std::process::Command;

use anyhow::{Context, Result};
use rcgen::generate_simple_self_signed;
use reqwest::{Certificate, Client, StatusCode};
use tests::process::{Process, free_port, listens, wait_until};
use tests::site::{Site, binary};

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_answers_over_tls_and_refuses_to_be_open_in_clear_text() -> Result<()> {
    let mut site = Site::embedded().await?;
    site.front.kill();
    let folder = site.folder.path().to_owned();
    let own = generate_simple_self_signed(["localhost".to_owned(), "tidewaiter.tidewaiter.svc".to_owned()])?;
    std::fs::write(folder.join("tls.crt"), own.cert.pem())?;
    std::fs::write(folder.join("tls.key"), own.signing_key.serialize_pem())?;

    let written = std::fs::read_to_string(folder.join("tidewaiter.toml"))?;
    let port = free_port()?;
    let configured = |server: &str| {
        let lines = written.lines().map(|line| match line.starts_with("listen = ") {
            true => format!("listen = \"0.0.0.0:{port}\"\n{server}"),
            false => line.to_owned(),
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        std::fs::write(
            folder.join("tls.toml"),
            format!(
                "{text}\n[auth.tokens.ci]\ntoken = \"0123456789abcdef\"\nscopes = [\"read\"]\n[gates.kubernetes]\nopen = true\n"
            ),
        )
    };
    let command = || {
        let mut command = Command::new(binary());
        command.arg("--config").arg(folder.join("tls.toml")).arg("serve");
        command
    };

    configured("")?;
    let refused = command().output().context("tidewaiter is not built; run `make test`")?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("gates.kubernetes.open") && said.contains("server.tls"), "{said}");

    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    configured(&format!(
        "tls = {{ certificate = \"{}\", key = \"{}\" }}",
        certificate.display(),
        key.display()
    ))?;
    let serving = Process::start("tls", &mut command(), &folder)?;
    wait_until("the server", std::time::Duration::from_secs(30), || listens(port))?;
    let trusting =
        Client::builder().tls_certs_only([Certificate::from_pem(own.cert.pem().as_bytes())?]).build()?;
    let url = format!("https://localhost:{port}/gates/kubernetes/validate");
    let answer = trusting.post(&url).body("{}").send().await?;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.json::<serde_json::Value>().await?["kind"], "AdmissionReview");
    let plain = Client::new().post(format!("http://localhost:{port}/healthz")).send().await;
    assert!(plain.is_err(), "nothing in clear text");
    drop(serving);
    Ok(())
}
