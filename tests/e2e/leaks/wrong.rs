//! What people do wrong with secrets: another place, another type, a broken file, a wrong password.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::process::wait_until;
use tests::site::binary;

use super::{Plants, Process, Said, Servers, Site, run};

/// A secret where the configuration expects something else.
pub(super) fn configurations(plants: &Plants, said: &mut Said) -> Result<()> {
    let secret = plants.all().next().expect("there is one");
    let folder = tempfile::tempdir()?;
    for (at, text) in [
        format!("[auth.tokens.ci]\nscopes = [\"read\"]\ntoken = \"{secret}"),
        format!("[auth.tokens.ci]\nscopes = [\"read\"]\ntoken = {secret}"),
        format!("[auth.tokens]\nci = \"{secret}\""),
        format!("[auth.tokens.ci]\nscopes = \"{secret}\"\ntoken = \"{secret}\""),
        format!("[auth.tokens.ci]\nscopes = [\"read\"]\ntoken = [\"{secret}\"]\nsha256 = \"{secret}\""),
        format!("[auth.tokens.ci]\nscopes = [\"read\"]\nsha256 = \"{secret}\""),
        format!("[auth.webhooks]\nharbor = \"{secret}\""),
        format!("queue = \"amqp://u:{secret}@mq\""),
        format!("[queue]\nurl = \"http://u:{secret}@mq\""),
        format!("[queue]\nurl = \"amqp://u:{secret}@mq\"\nurl_file = \"x\""),
        format!("[store]\nurl = \"redis//:{secret}@cache\""),
        format!("[store]\nurl = {{ a = \"{secret}\" }}"),
        format!("[registries.main]\nhost = \"u:{secret}@registry.example.com\""),
        format!("[registries.main]\nhost = \"r.io\"\nendpoint = \"https://u:{secret}@r.io\""),
        format!("[registries.main]\nhost = \"r.io\"\nplain_http = \"{secret}\""),
        format!("[registries.main]\nhost = \"r.io\"\nusername = \"u\"\npassword = \"{secret}\"\ntoken = \"{secret}\""),
        format!("[notify]\nops = \"https://hooks.example.com/{secret}\""),
        format!("[notify.ops]\nurl = \"https://u:{secret}@hooks.example.com\""),
        format!("[notify.ops]\nurl = \"ftp://hooks.example.com/{secret}\""),
        format!("[notify.ops]\nurl = \"https://h.io/{secret}\"\ntoken = \"{secret}\\n\""),
        format!("[notify.ops]\nurl = \"https://h.io/\"\ntimeout = 1\nsecret = [\"{secret}\"]"),
        format!("[telemetry.traces]\nendpoint = \"https://u:{secret}@collector\""),
        format!("[telemetry.traces]\nendpoint = \"https://c\"\nheaders = \"{secret}\""),
        format!("[telemetry.traces]\nendpoint = \"https://c\"\nheaders = [\"a: {secret}\"]"),
        format!("[worker]\nsecret_key = 7\nsecret_rules = [\"{secret}\"]"),
        format!("[server]\npublic_url = \"https://u:{secret}@[\""),
        format!("[egress]\nproxy = \"http://u:{secret}@proxy:3128\""),
        format!("[egress]\nproxy = \"http://p\"\nproxy_user = \"a:b\"\nproxy_password = \"{secret}\""),
        format!("[egress]\nproxy_password = [\"{secret}\"]"),
        format!("[attest]\nkey_file = \"k\"\nhook_url = \"https://u:{secret}@h.io\""),
    ]
    .into_iter()
    .enumerate()
    {
        std::fs::write(folder.path().join("tidewaiter.toml"), text.clone())?;
        for command in ["print", "check"] {
            let output = run(folder.path(), &["config", command])?;
            let first = text.lines().next().unwrap_or_default();
            said.by_command(format!("config {command} of wrong file {at} ({first} …)"), &output);
        }
    }
    for variable in ["TIDEWAITER__QUEUE", "TIDEWAITER__AUTH__TOKENS__CI", "TIDEWAITER__NOTIFY__OPS"] {
        let mut command = Command::new(binary());
        command.current_dir(folder.path()).args(["config", "check"]).env(variable, secret);
        std::fs::write(folder.path().join("tidewaiter.toml"), "")?;
        said.by_command(format!("config check with {variable}"), &command.output()?);
    }
    Ok(())
}

/// Servers that do not know the password.
pub(super) fn passwords(servers: &Servers, site: &Site, plants: &Plants, said: &mut Said) -> Result<()> {
    let text = std::fs::read_to_string(site.folder.path().join("tidewaiter.toml"))?;
    let folder = tempfile::tempdir()?;
    let (right, wrong) = (plants.of("proxy"), plants.of("proxy") + "x");
    std::fs::write(folder.path().join("tidewaiter.toml"), text.replace(&right, &wrong))?;
    said.by_command("doctor, wrong password of the proxy", &run(folder.path(), &["doctor", "behind"])?);
    for (name, right, wrong) in [
        ("broker", servers.amqp(&plants.of("rabbitmq")), servers.amqp(&(plants.of("rabbitmq") + "x"))),
        ("redis", servers.redis(&plants.of("redis")), servers.redis(&(plants.of("redis") + "x"))),
    ] {
        ensure!(text.contains(&right), "{name} is in the configuration");
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("tidewaiter.toml"), text.replace(&right, &wrong))?;
        said.by_command(format!("doctor, wrong password of {name}"), &run(folder.path(), &["doctor"])?);
        let mut command = Command::new(binary());
        command.arg("--config").arg(folder.path().join("tidewaiter.toml")).arg("worker");
        let mut worker = Process::start("wrong", &mut command, folder.path())?;
        wait_until("the worker gives up", Duration::from_secs(60), || !worker.is_running())?;
        said.by(format!("a worker, wrong password of {name}"), worker.log());
    }
    Ok(())
}
