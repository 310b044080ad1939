//! Through a forward proxy, a real Squid with a login: the registry has a name that only the proxy knows, so that what
//! is judged came that way. The proxy away, its login wrong, and hosts that do not go through it.

use std::path::Path;

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result, ensure};
use rcgen::generate_simple_self_signed;
use tempfile::TempDir;
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::process::free_port;
use tests::proxy::{Line, Proxy};
use tests::servers::{BEHIND_PROXY, PROXY_USER, Registry, Squid};
use tests::site::{Site, advisories, binary, eventually, eventually_here, run};

const PASSWORD: &str = "password-of-the-proxy";

/// A site that reaches its registry by the name that only the proxy knows, with further configuration.
async fn behind(egress: &str, further: &str) -> Result<Site> {
    let retries = "[queue]\nretry_after = [\"1s\", \"2s\", \"4s\", \"8s\", \"8s\"]\n";
    let mut site = Site::embedded_with(&format!("{retries}{egress}{further}")).await?;
    site.front.kill();
    rewrite(&site, |text| {
        let host = format!("host = \"{}\"\n", site.registry.host());
        let endpoint = format!("endpoint = \"{BEHIND_PROXY}:{}\"\n", site.registry.port);
        text.replacen(&host, &format!("{host}{endpoint}"), 1)
    })?;
    site.restart_front("serve").await?;
    Ok(site)
}

fn rewrite(site: &Site, change: impl FnOnce(&str) -> String) -> Result<()> {
    let file = site.folder.path().join("tidewaiter.toml");
    let text = std::fs::read_to_string(&file)?;
    let changed = change(&text);
    ensure!(changed != text, "nothing was changed in {text}");
    Ok(std::fs::write(file, changed)?)
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_i4_images_are_judged_through_the_proxy_also_after_it_was_away() -> Result<()> {
    let folder = TempDir::new()?;
    let mut squid = Squid::start(folder.path(), PASSWORD)?;
    let line = Proxy::before(squid.port).await?;
    let egress = squid.section(PASSWORD).replace(&squid.port.to_string(), &line.port.to_string());
    let heard = listening()?;
    let elsewhere = format!("http://{BEHIND_PROXY}:{heard}");
    let told = format!(
        "[notify.ops]\nurl = \"{elsewhere}/hook\"\nplain_http = true\n[telemetry.traces]\nendpoint = \"{elsewhere}\"\nplain_http = true\n"
    );
    let site = behind(&egress, &told).await?;
    assert!(site.front.log().contains("requests leave through a proxy"), "{}", site.front.log());
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "team/app", "1.0")?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    let target = format!("http://{BEHIND_PROXY}:{}/v2/team/app/", site.registry.port);
    eventually("event and spans went that way too", || async {
        let asked = squid.asked();
        let posted = |path: &str| {
            asked
                .lines()
                .any(|line| line.contains("/200 ") && line.contains(&format!("POST {elsewhere}{path} ")))
        };
        Ok(posted("/hook") && posted("/v1/traces"))
    })
    .await?;
    eventually("the proxy has it in its log", || async {
        let asked = squid.asked();
        let layer = asked.lines().any(|line| line.contains(&format!("{target}blobs/")));
        Ok(layer && asked.contains(&format!("{target}manifests/{digest} {PROXY_USER} ")))
    })
    .await?;
    let doctor = said(&site.run(&["doctor"])?);
    assert!(doctor.contains(&format!("ok    egress: the proxy 127.0.0.1:{} takes", line.port)), "{doctor}");
    assert!(doctor.contains("ok    registry ") || doctor.contains("look  registry "), "{doctor}");

    // Nothing comes through any more; then it dies with what it was asked.
    line.set(Line::Frozen);
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1.1")?;
    eventually_here("it is being examined", || {
        site.front.log().contains(&format!("examining image.digest={digest}"))
    })?;
    squid.kill()?;
    let port = line.port;
    drop(line);
    let failed = || async { Ok(site.metric("tidewaiter_jobs_total", "result=\"failed\"").await? > 0.0) };
    eventually("a job has failed", failed).await?;
    assert!(site.front.log().contains("of egress.proxy cannot be reached"), "{}", site.front.log());
    let doctor = said(&site.run(&["doctor"])?);
    assert!(doctor.contains("FAIL  egress:") && doctor.contains("check egress.proxy"), "{doctor}");
    let _line = Proxy::before_at(port, squid.port).await?;
    squid.run()?;
    assert_eq!(site.verdict(&digest).await?["counts"]["critical"], 0);
    assert_ne!(site.verdict(&digest).await?["outcome"], "error");

    // Nobody but the proxy knows that name.
    rewrite(&site, |text| text.replacen("[egress]\n", "[egress]\nno_proxy = [\".behind-proxy.test\"]\n", 1))?;
    let checks = || squid.asked().matches(&format!(":{}/v2/ ", site.registry.port)).count();
    let before = checks();
    let doctor = site.run(&["doctor", "main"])?;
    assert_eq!(doctor.status.code(), Some(1), "{}", said(&doctor));
    assert!(!said(&doctor).contains("egress.proxy"), "it went directly: {}", said(&doctor));
    assert_eq!(checks(), before);
    Ok(())
}

/// A server that takes everything; its port.
fn listening() -> Result<u16> {
    let port = free_port()?;
    let server = HttpServer::new(|| App::new().default_service(web::to(HttpResponse::Ok)));
    tokio::spawn(server.workers(1).disable_signals().bind(("127.0.0.1", port))?.run());
    Ok(port)
}

/// A configuration for `scan` and `doctor` of a registry that speaks TLS under the name that only the proxy knows.
fn configure(folder: &Path, registry: &Registry, egress: &str) -> Result<()> {
    let text = format!(
        "data_dir = \"{data}\"\n[registries.main]\nhost = \"{BEHIND_PROXY}:{port}\"\nca_certificates = [\"{ca}\"]\n{egress}",
        data = folder.join("data").display(),
        port = registry.port,
        ca = folder.join("registry.crt").display(),
    );
    Ok(std::fs::write(folder.join("tidewaiter.toml"), text)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_of_a_registry_with_tls_the_proxy_hears_host_and_port_and_whoever_it_does_not_know_gets_nothing()
-> Result<()> {
    let folder = TempDir::new()?;
    let squid = Squid::start(folder.path(), PASSWORD)?;
    let own = generate_simple_self_signed([BEHIND_PROXY.to_owned()])?;
    let registry = Registry::start_tls(folder.path(), &own.cert.pem(), &own.signing_key.serialize_pem())?;
    configure(folder.path(), &registry, &squid.section(PASSWORD))?;
    let built = run(folder.path(), &["db", "build", &advisories().display().to_string()])?;
    ensure!(built.status.success(), "{}", said(&built));
    let layout = tests::image::Layout::new(&folder.path().join("layout"))?;
    let descriptor = layout.image(&Image::debian_with_python(VULNERABLE))?;
    layout.tag(&descriptor, "1.0")?;
    let pushed = std::process::Command::new("skopeo")
        .args(["copy", "--quiet", "--dest-tls-verify=false"])
        .arg(format!("oci:{}:1.0", layout.folder().display()))
        .arg(format!("docker://{}/team/app:1.0", registry.host()))
        .output()
        .context("skopeo is missing; run `make test`")?;
    ensure!(pushed.status.success(), "{}", said(&pushed));

    let image = format!("{BEHIND_PROXY}:{}/team/app:1.0", registry.port);
    let scanned = run(folder.path(), &["scan", &image])?;
    assert!(said(&scanned).contains("PYSEC") || said(&scanned).contains("CVE-"), "{}", said(&scanned));
    let tunnel = format!("CONNECT {BEHIND_PROXY}:{}", registry.port);
    eventually("the tunnel is in the proxy's log", || async { Ok(squid.asked().contains(&tunnel)) }).await?;
    assert!(!squid.asked().contains("/v2/"), "{}", squid.asked());

    // The same through a proxy that is itself spoken to by TLS, under an authority of its own.
    let other = TempDir::new()?;
    let proxy = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (certificate, key) = (proxy.cert.pem(), proxy.signing_key.serialize_pem());
    let tls = Squid::start_tls(other.path(), PASSWORD, &certificate, &key)?;
    configure(folder.path(), &registry, &tls.section(PASSWORD))?;
    let refused = said(&run(folder.path(), &["scan", &image])?);
    assert!(refused.contains("of egress.proxy cannot be reached: invalid peer certificate"), "{refused}");
    let ca = other.path().join("proxy.pem");
    std::fs::write(&ca, certificate)?;
    let trusting = format!("{}ca_certificates = [\"{}\"]\n", tls.section(PASSWORD), ca.display());
    configure(folder.path(), &registry, &trusting)?;
    let scanned = said(&run(folder.path(), &["scan", &image])?);
    assert!(scanned.contains("PYSEC") || scanned.contains("CVE-"), "{scanned}");
    eventually("the tunnel is in its log", || async { Ok(tls.asked().contains(&tunnel)) }).await?;

    configure(folder.path(), &registry, &squid.section("another-password"))?;
    for arguments in [&["scan", &image][..], &["doctor", "main"]] {
        let refused = run(folder.path(), arguments)?;
        assert!(!refused.status.success(), "{}", said(&refused));
        assert!(said(&refused).contains("check egress.proxy_user"), "{arguments:?}: {}", said(&refused));
        assert!(!said(&refused).contains("another-password"), "{}", said(&refused));
    }
    Ok(())
}

#[test]
fn a_proxy_that_only_the_environment_names_is_not_used_and_is_told_of() -> Result<()> {
    let folder = TempDir::new()?;
    let config = folder.path().join("tidewaiter.toml");
    let command = |arguments: &[&str]| {
        let mut command = std::process::Command::new(binary());
        command.arg("--config").arg(&config).args(arguments);
        command.env("HTTPS_PROXY", "http://u:hunter2@proxy.invalid:3128");
        command.output().context("tidewaiter is not built; run `make test`")
    };
    std::fs::write(&config, format!("data_dir = \"{}\"\n", folder.path().join("data").display()))?;
    // Both end soon: there are no advisories.
    for (arguments, expected) in [
        (&["doctor"][..], "the environment sets HTTPS_PROXY, which is not used"),
        (&["serve"], "the environment names a proxy, which is not used; set egress.proxy"),
    ] {
        let output = said(&command(arguments)?);
        assert!(output.contains(expected) && !output.contains("hunter2"), "{arguments:?}: {output}");
    }
    let named = format!(
        "data_dir = \"{}\"\n[egress]\nproxy = \"http://proxy.invalid:3128\"\n",
        folder.path().display()
    );
    std::fs::write(&config, named)?;
    let output = said(&command(&["doctor"])?);
    assert!(!output.contains("HTTPS_PROXY") && output.contains("FAIL  egress:"), "{output}");
    Ok(())
}
