//! `tidewaiter doctor`, for whoever sets up a deployment and for whoever is woken by it.

use anyhow::Result;
use tests::image::{HARMLESS, Image};
use tests::process::free_port;
use tests::site::{Site, run};

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_deployment_is_told_to_be_sound() -> Result<()> {
    let site = Site::distributed(1).await?;
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1.0")?;
    site.verdict(&digest).await?;
    let done = site.run(&["doctor", "--set", &format!("server.public_url={}", site.url)])?;
    let said_of_all = said(&done);
    assert_eq!(done.status.code(), Some(0), "{said_of_all}");
    for expected in
        ["RabbitMQ takes jobs", "Redis can be read and written", "asks nobody who they are", ": ready"]
    {
        assert!(said_of_all.contains(expected), "{expected:?} is not in {said_of_all}");
    }
    assert!(!said_of_all.contains("nobody takes jobs"), "{said_of_all}");

    let ready = site.run(&["ready", "--server", site.url.as_str()])?;
    assert!(ready.status.success() && said(&ready).contains(r#""queue":"ok""#), "{}", said(&ready));
    let done = site.run(&["doctor", "main/team/app"])?;
    assert!(done.status.success() && said(&done).contains("can be read, 1 tags"), "{}", said(&done));
    let done = site.run(&["doctor", "main/team/nothing"])?;
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    let done = site.run(&["doctor", "elsewhere"])?;
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert!(said(&done).contains("add it under [registries]"), "{}", said(&done));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_is_told_at_once_with_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (broker, redis, registry, server) = (free_port()?, free_port()?, free_port()?, free_port()?);
    let text = format!(
        "data_dir = \"{}\"\n[server]\nlisten = \"127.0.0.1:{server}\"\n[queue]\nurl = \"amqp://guest:a-secret-word@127.0.0.1:{broker}\"\n[store]\nurl = \"redis://:a-secret-word@127.0.0.1:{redis}\"\n[registries.main]\nhost = \"127.0.0.1:{registry}\"\nplain_http = true\n",
        folder.path().display()
    );
    std::fs::write(folder.path().join("tidewaiter.toml"), text)?;
    let done = run(folder.path(), &["doctor"])?;
    let said = said(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    for expected in [
        "FAIL  advisories:",
        "FAIL  queue:",
        "FAIL  store:",
        "FAIL  registry 127.0.0.1:",
        "check queue.url",
        "check store.url",
        "nobody may announce pushes",
        "nobody answers there from here",
        "4 of these stand in the way",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
    assert!(!said.contains("a-secret-word"), "{said}");
    let ready = run(folder.path(), &["ready", "--server", &format!("http://127.0.0.1:{server}")])?;
    assert_eq!(ready.status.code(), Some(1), "{ready:?}");
    Ok(())
}
