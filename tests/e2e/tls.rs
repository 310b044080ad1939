//! TLS where it is spoken: to the API server of Kubernetes, and with a broker of several nodes.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    generate_simple_self_signed,
};
use reqwest::{Certificate, Client, Identity, StatusCode};
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::process::{Process, free_port, listens, wait_until};
use tests::proxy::{Line, Proxy};
use tests::servers::{Broker, redis_url};
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
    wait_until("the server", Duration::from_secs(30), || listens(port))?;
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

/// A CA, and a certificate for a client that it has signed, as one PEM with its key.
struct Authority {
    certificate: String,
    client: Vec<u8>,
}

impl Authority {
    fn new(name: &str) -> Result<Self> {
        let mut parameters = CertificateParams::new(Vec::new())?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?.pem();
        let issuer = Issuer::new(parameters, key);
        let mut of_client = CertificateParams::new(Vec::new())?;
        of_client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let client = of_client.signed_by(&key, &issuer)?.pem() + &key.serialize_pem();
        Ok(Self { certificate, client: client.into_bytes() })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_used_and_a_gate_is_for_certified_clients_only() -> Result<()> {
    let mut site = Site::embedded().await?;
    site.front.kill();
    let folder = site.folder.path().to_owned();
    let write_identity = || -> Result<Certificate> {
        let own = generate_simple_self_signed(["localhost".to_owned()])?;
        std::fs::write(folder.join("tls.key"), own.signing_key.serialize_pem())?;
        std::fs::write(folder.join("tls.crt"), own.cert.pem())?;
        Ok(Certificate::from_pem(own.cert.pem().as_bytes())?)
    };
    let first = write_identity()?;
    let (ours, theirs) = (Authority::new("ours")?, Authority::new("theirs")?);
    std::fs::write(folder.join("clients.pem"), &ours.certificate)?;
    let written = std::fs::read_to_string(folder.join("tidewaiter.toml"))?;
    let port = free_port()?;
    let place = folder.display();
    let lines = written.lines().map(|line| match line.starts_with("listen = ") {
        true => format!(
            "listen = \"127.0.0.1:{port}\"\nrequests_per_second = 5\ntls = {{ certificate = \"{place}/tls.crt\", key = \"{place}/tls.key\", client_ca = \"{place}/clients.pem\" }}"
        ),
        false => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n") + "\n[gates.kubernetes]\nclient_certificate = true\n";
    std::fs::write(folder.join("tls.toml"), text)?;
    let mut command = Command::new(binary());
    command.arg("--config").arg(folder.join("tls.toml")).arg("serve");
    let serving = Process::start("mtls", &mut command, &folder)?;
    wait_until("the server", Duration::from_secs(30), || listens(port))?;

    let client = |trusted: &Certificate, identity: Option<&[u8]>| -> Result<Client> {
        let builder = Client::builder().tls_certs_only([trusted.clone()]).pool_max_idle_per_host(0);
        Ok(match identity {
            Some(pem) => builder.identity(Identity::from_pem(pem)?),
            None => builder,
        }
        .build()?)
    };
    let gate = format!("https://localhost:{port}/gates/kubernetes/validate");
    let uncertified = client(&first, None)?.post(&gate).body("{}").send().await?;
    assert_eq!(uncertified.status(), StatusCode::FORBIDDEN);
    assert!(uncertified.text().await?.contains("server.tls.client_ca"));
    let certified = client(&first, Some(&ours.client))?.post(&gate).body("{}").send().await?;
    assert_eq!(certified.status(), StatusCode::OK);
    let headers = certified.headers();
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("strict-transport-security", "max-age=31536000")]
    {
        assert_eq!(headers.get(name).and_then(|found| found.to_str().ok()), Some(value));
    }
    let foreign = client(&first, Some(&theirs.client))?.post(&gate).body("{}").send().await;
    assert!(foreign.is_err(), "a certificate that is shown has to be good");

    // Everybody else needs none, but may not ask without end.
    let plain = client(&first, None)?;
    let policies = format!("https://localhost:{port}/v1/policies");
    let mut refused = None;
    for _ in 0..100 {
        let answer = plain.get(&policies).send().await?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let refused = refused.context("a client that asks too often is refused")?;
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(plain.get(format!("https://localhost:{port}/healthz")).send().await?.status(), StatusCode::OK);

    // Half of a renewal changes nothing; the whole one is used by the next connection.
    std::fs::write(folder.join("tls.key"), "nothing")?;
    tests::site::eventually("the broken key is noticed", || async {
        Ok(serving.log().contains("the new certificate cannot be used"))
    })
    .await?;
    let health = format!("https://localhost:{port}/healthz");
    assert!(client(&first, None)?.get(&health).send().await.is_ok(), "the old one stays");
    let second = write_identity()?;
    let renewed = client(&second, None)?;
    tests::site::eventually("the renewed certificate is used", || async {
        Ok(renewed.get(&health).send().await.is_ok())
    })
    .await?;
    assert!(client(&first, None)?.get(&health).send().await.is_err());

    // And so is whose clients are certified: what cannot be used changes nothing, and the old authority's are strangers
    // then, also one who has a session to resume.
    let resuming = client(&second, Some(&ours.client))?;
    assert_eq!(resuming.post(&gate).body("{}").send().await?.status(), StatusCode::OK);
    std::fs::write(folder.join("clients.pem"), "nothing")?;
    tests::site::eventually("the broken authority is noticed", || async {
        Ok(serving.log().contains("the new client_ca cannot be used"))
    })
    .await?;
    assert_eq!(resuming.post(&gate).body("{}").send().await?.status(), StatusCode::OK);
    std::fs::write(folder.join("clients.pem"), &theirs.certificate)?;
    let newcomer = client(&second, Some(&theirs.client))?;
    tests::site::eventually("the new authority is used", || async {
        let answer = newcomer.post(&gate).body("{}").send().await;
        Ok(answer.is_ok_and(|answer| answer.status() == StatusCode::OK))
    })
    .await?;
    assert!(resuming.post(&gate).body("{}").send().await.is_err(), "the old authority counts no longer");
    let log = serving.log();
    for (said, times) in [("the new client_ca cannot be used", 1), ("the new client_ca is in use", 1)] {
        assert_eq!(log.matches(said).count(), times, "{said}: {log}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_reached_over_tls_at_whichever_of_its_nodes_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let own = generate_simple_self_signed(["localhost".to_owned()])?;
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, own.cert.pem())?;
    let broker = Broker::start_tls(folder.path(), &own.cert.pem(), &own.signing_key.serialize_pem())?;
    // Two addresses of one broker, and one where nobody is.
    let (one, other) = (Proxy::before(broker.port).await?, Proxy::before(broker.port).await?);
    let url = |port: u16| format!("amqps://guest:guest@localhost:{port}");
    let extra = format!(
        "[telemetry]\nlog = \"info\"\n[queue]\ncluster = [\"{}\", \"{}\"]\nca_certificates = [\"{}\"]\n",
        url(one.port),
        url(other.port),
        authority.display()
    );
    let site = Site::distributed_between(1, &url(free_port()?), &redis_url()?, &extra).await?;
    let push = |number: u32, image: Image| site.push(&image, "team/tls", &format!("v{number}"));
    let tell = async |digest| {
        let body = serde_json::json!({"image": site.name("team/tls", &digest)}).to_string();
        let (status, answer) = site.post("/v1/scans", "application/json", body).await?;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer:#}");
        site.verdict(&digest).await
    };
    assert_eq!(tell(push(1, Image::debian_with_python(VULNERABLE))?).await?["outcome"], "fail");
    // The node in use vanishes without a word: its missing heartbeats tell.
    one.set(Line::Frozen);
    let reconnected = || {
        let told = |process: &Process| process.log().contains("connected to the broker again");
        told(&site.front) && site.workers.iter().all(told)
    };
    wait_until("the other node is used", std::time::Duration::from_secs(90), reconnected)?;
    assert_ne!(tell(push(2, Image::debian_with_python(HARMLESS))?).await?["outcome"], "fail");
    Ok(())
}
