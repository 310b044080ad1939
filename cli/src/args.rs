//! The command line as types.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use shared::config::Overrides;
use shared::model::image::{ImageName, Platform};
use shared::model::job::JobId;
use shared::model::verdict::PolicyName;

/// Meets every image that is pushed to a registry, searches it, and answers by digest whether it may run.
#[derive(Debug, Parser)]
#[command(name = "tidewaiter", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Settings that every command understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file [default: tidewaiter.toml in the working directory, if there is one].
    #[arg(long, global = true, env = "TIDEWAITER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where embedded files live [default: tidewaiter-data].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Overrides one setting, for example --set server.listen=127.0.0.1:9000. May be repeated.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

impl Global {
    /// The last layer of the configuration.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            file: self.config.clone(),
            data_dir: self.data_dir.clone(),
            settings: self.settings.iter().cloned().collect(),
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').ok_or("expected KEY=VALUE, for example server.listen=127.0.0.1:9000")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs api and worker in one process; embedded queue and store unless the configuration names servers.
    Serve,
    /// Runs the HTTP api alone, on RabbitMQ and Redis.
    Api,
    /// Runs one worker, on RabbitMQ and Redis; start as many as you like.
    Worker,
    /// Scans an image now and prints what it finds.
    Scan(ScanArguments),
    /// Asks a server for the verdict of images. Exit code 0 pass or warn, 1 fail, 2 usage, 3 no verdict.
    Check(CheckArguments),
    /// Has a server compare a registry with what is known, and scan what was never seen.
    Sweep(SweepArguments),
    /// Verifies the signed verdicts that are attached to images, and makes keys to sign with.
    #[command(subcommand)]
    Attest(AttestCommand),
    /// Builds and shows the advisory database.
    #[command(subcommand)]
    Db(DbCommand),
    /// Tries everything that a deployment needs, and says what is wrong and what to do. Exit code 1 if something is in the way.
    Doctor(DoctorArguments),
    /// Asks a server or worker whether it is ready: the health check of a container without a shell. Exit code 1 if not.
    Ready(ServerArguments),
    /// Shows a server's queue and its dead letters.
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Checks policy files, explains verdicts, and shows what a policy would change.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Shows and checks the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints shell completions.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether images are pulled and searched in this process.
    pub(crate) fn reads_images(&self) -> bool {
        matches!(self, Self::Serve | Self::Worker | Self::Scan(_))
    }
}

#[derive(Debug, Args)]
pub(crate) struct ScanArguments {
    /// registry/repo:tag, registry/repo@sha256:…, oci:DIR[:tag], oci-archive:FILE, docker-archive:FILE.
    pub(crate) image: String,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ScanFormat::Table)]
    pub(crate) format: ScanFormat,
    /// The advisory database [default: advisories.database of the configuration].
    #[arg(long, value_name = "FILE")]
    pub(crate) database: Option<PathBuf>,
    /// A policy file that judges the report [default: the built-in policy].
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Of an index only the image for this platform, for example linux/amd64.
    #[arg(long)]
    pub(crate) platform: Option<Platform>,
    /// Speaks plain HTTP to a registry that the configuration does not name.
    #[arg(long)]
    pub(crate) plain_http: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScanFormat {
    /// For people.
    Table,
    /// Tidewaiter's own JSON.
    Json,
    /// CycloneDX 1.6: the inventory and what is wrong with it.
    Cyclonedx,
    /// SPDX 2.3: the inventory, with links to advisories.
    Spdx,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// OpenVEX 0.2.0: which flaws concern which packages, and what to do.
    Openvex,
    /// Markdown, for comments and job summaries.
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Only this registry of the configuration, by name or host; with /REPO whether that repository can be read.
    #[arg(value_name = "REGISTRY[/REPO]")]
    pub(crate) registry: Option<String>,
}

/// Which server, and who asks.
#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// The server's address.
    #[arg(long, env = "TIDEWAITER_SERVER", default_value = "http://127.0.0.1:8480", value_name = "URL")]
    pub(crate) server: url::Url,
    /// File with the API token [default: the variable TIDEWAITER_TOKEN].
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Images as registry/repo@sha256:… or registry/repo:tag, or bare digests.
    #[arg(required = true)]
    pub(crate) images: Vec<String>,
    /// The policy that judges.
    #[arg(long, default_value = "default")]
    pub(crate) policy: PolicyName,
    /// How long to wait for verdicts that are not there yet, for example 60s. What the server has never seen is
    /// then scanned at once, if the token has the scope push.
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub(crate) wait: Duration,
    /// Of an index the verdict for this platform.
    #[arg(long)]
    pub(crate) platform: Option<Platform>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
    /// Speaks plain HTTP to resolve a tag at a registry that the configuration does not name.
    #[arg(long)]
    pub(crate) plain_http: bool,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// How a single answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerFormat {
    /// For people.
    Text,
    /// JSON.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people.
    Text,
    /// One JSON object an image.
    Json,
    /// SARIF 2.1.0 of the findings, for code scanning.
    Sarif,
    /// JUnit XML of the verdicts, for CI systems that show tests.
    Junit,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    /// A registry of the server's configuration, by name or host; with /REPO only that repository.
    #[arg(value_name = "REGISTRY[/REPO]")]
    pub(crate) registry: String,
    /// Waits until it is over, and shows how far it is. Exit code 1 if something could not be compared.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is not a duration; write it with a unit, like 60s");
    let span: jiff::SignedDuration = text.parse().map_err(|_| refused())?;
    Duration::try_from(span).map_err(|_| refused())
}

#[derive(Debug, Subcommand)]
pub(crate) enum AttestCommand {
    /// Reads what is attached to an image from its registry, without asking any server. Exit code 0 pass or warn and validly
    /// signed, 1 fail, expired or wrongly signed, 2 usage, 3 nothing attached.
    Verify(VerifyArguments),
    /// Makes a key pair: tidewaiter.key to sign with, tidewaiter.pub to verify with.
    Key {
        /// The folder to write them to; nothing is overwritten.
        #[arg(short, long, default_value = ".", value_name = "DIR")]
        output: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// registry/repo@sha256:… or registry/repo:tag.
    pub(crate) image: String,
    /// A public key in PEM that may have signed; repeat it while keys are rotated [default: those of the configuration].
    #[arg(long = "key", value_name = "FILE")]
    pub(crate) keys: Vec<PathBuf>,
    /// Only this policy's verdict counts [default: every policy's].
    #[arg(long)]
    pub(crate) policy: Option<PolicyName>,
    /// Statements that are older do not count, for example 168h.
    #[arg(long, value_parser = duration)]
    pub(crate) max_age: Option<Duration>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
    pub(crate) format: AnswerFormat,
    /// Speaks plain HTTP to a registry that the configuration does not name.
    #[arg(long)]
    pub(crate) plain_http: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Compiles OSV dumps into one database file.
    Build {
        /// all.zip files, or folders that hold <Ecosystem>/all.zip, *.json records, kev.json, epss.csv.gz.
        #[arg(required = true)]
        inputs: Vec<PathBuf>,
        /// The file to write [default: advisories.database of the configuration].
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Shows what a database knows, and how old it is.
    Status {
        /// The file [default: advisories.database of the configuration].
        #[arg(long, value_name = "FILE")]
        database: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// How full the lanes are.
    Status {
        #[command(flatten)]
        server: ServerArguments,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Dead letters with their last errors.
    Dead {
        #[command(flatten)]
        server: ServerArguments,
        /// At most so many, oldest first.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Moves dead letters back to their lanes.
    Requeue {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        server: ServerArguments,
    },
    /// Forgets dead letters.
    Drop {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        server: ServerArguments,
    },
}

/// Which dead letters.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// One job.
    pub(crate) id: Option<JobId>,
    /// Every dead letter.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Parses policy files and says what is wrong, with line and column.
    Check {
        /// Files, or folders of *.yaml.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Explains a verdict: which rule said what, who answers for what until when, what would make it pass.
    Explain(Box<ExplainArguments>),
    /// Prints the JSON Schema of policy files, for editors.
    Schema,
    /// Replays a policy file over everything that a server knows: what would be blocked, allowed and warned about.
    Simulate(SimulateArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The digest of an image that the server knows, or a file with a report in JSON (scan --format json).
    pub(crate) report: String,
    /// The policy file that judges [default: the server's policy].
    #[arg(long, value_name = "FILE", conflicts_with = "policy_name")]
    pub(crate) policy: Option<PathBuf>,
    /// The server's policy of that name [default: default].
    #[arg(long, value_name = "NAME")]
    pub(crate) policy_name: Option<PolicyName>,
    /// Where the image is asked about: registry/repository. Exceptions with a scope hold only there.
    #[arg(long, value_name = "REPOSITORY")]
    pub(crate) image: Option<ImageName>,
    /// In which namespace it is asked about.
    #[arg(long)]
    pub(crate) namespace: Option<String>,
    /// With which label it is asked about. May be repeated.
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) labels: Vec<(String, String)>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
    pub(crate) format: AnswerFormat,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    /// The policy file; it is compared with the server's policy of the same name.
    pub(crate) file: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = AnswerFormat::Text)]
    pub(crate) format: AnswerFormat,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, for example tier=web")?;
    Ok((key.to_owned(), value.to_owned()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every setting that somebody made, with its origin; secrets are redacted.
    Print,
    /// Reads the whole configuration, policies included, and says what is wrong.
    Check,
    /// Every metric of /metrics, as Markdown.
    Metrics,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
