//! `attest`: whether verdicts are signed and attached to their images, by which key, and whom we believe.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::values::{Span, seconds};
use super::{ConfigError, Registries};
use crate::attest::keys::{KeyError, PrivateKey, PublicKey};
use crate::attest::signer::HookSettings;
use crate::attest::statement::StatementType;
use crate::model::image::RegistryHost;
use crate::model::verdict::PolicyName;
use crate::outgoing::Egress;

/// Whether verdicts are signed and attached to their images.
#[derive(Clone, Debug, Default)]
pub enum AttestConfig {
    /// Nothing is attached, and nothing that is attached is believed.
    #[default]
    Off,
    /// Nothing is attached, but what one of these keys has signed is believed.
    Restore(Trust),
    /// Verdicts are attached, and believed when nothing else is known.
    On(Box<Attesting>),
}

/// Whose attestations are believed.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Public keys, the own one first.
    pub keys: Vec<PublicKey>,
    /// Whether reports are taken from attestations where the store knows none (I13).
    pub restore: Restore,
    /// The registries where this is done; `None` means all.
    pub registries: Option<Vec<RegistryHost>>,
}

/// What is done about a digest of which the store knows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// Look for an attestation first.
    FromAttestations,
    /// Scan.
    ByScanning,
}

/// How verdicts are attached.
#[derive(Clone, Debug)]
pub struct Attesting {
    /// Who signs.
    pub signer: SignerConfig,
    /// Whom we believe.
    pub trust: Trust,
    /// The policies whose verdicts are attached; `None` means all.
    pub policies: Option<Vec<PolicyName>>,
    /// The version of in-toto statements for cosign; summaries are always v1.
    pub statement_type: StatementType,
    /// Whether and how a `vuln` attestation is attached for cosign.
    pub cosign: CosignLayout,
    /// Who we say we are: a URI. Default: `server.public_url`.
    pub verifier: Option<String>,
}

/// Who signs.
#[derive(Clone, Debug)]
pub enum SignerConfig {
    /// A key in this process.
    Key(PrivateKey),
    /// A service that keeps the key.
    Hook(HookSettings),
}

/// Whether and how a `vuln` attestation is attached for cosign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CosignLayout {
    /// Not at all.
    #[default]
    Off,
    /// Under the tag `sha256-<hex>.att`, where every cosign looks.
    Tag,
    /// As a Sigstore bundle among the referrers, where newer ones look.
    Bundle,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAttest {
    enabled: Option<bool>,
    key_file: Option<PathBuf>,
    hook_url: Option<Url>,
    hook_token_file: Option<PathBuf>,
    hook_public_key_file: Option<PathBuf>,
    hook_ca_certificates: Option<PathBuf>,
    hook_timeout: Option<Span>,
    #[serde(default)]
    trusted_keys: Vec<PathBuf>,
    restore: Option<bool>,
    policies: Option<Vec<PolicyName>>,
    registries: Option<Vec<String>>,
    statement_type: Option<String>,
    cosign: Option<String>,
    verifier: Option<Url>,
}

impl RawAttest {
    pub(super) fn check(self, registries: &Registries, egress: &Egress) -> Result<AttestConfig, ConfigError> {
        let cosign = self.cosign_layout()?;
        let statement_type = self.statement_version()?;
        self.check_contradictions(cosign)?;
        if self.enabled == Some(false) {
            return Ok(AttestConfig::Off);
        }
        let signer = self.signer(egress)?;
        let trust = Trust {
            keys: self.trusted(signer.as_ref())?,
            restore: match self.restore {
                Some(false) => Restore::ByScanning,
                Some(true) | None => Restore::FromAttestations,
            },
            registries: self.hosts(registries)?,
        };
        let Some(signer) = signer else {
            return match (trust.keys.is_empty(), self.enabled, self.restore) {
                (true, None | Some(false), None | Some(false)) => Ok(AttestConfig::Off),
                (true, Some(true), _) => Err(ConfigError::invalid(
                    "attest.enabled",
                    "is true, but nobody signs and nobody is believed; set attest.key_file, attest.hook_url or attest.trusted_keys",
                )),
                (true, _, Some(true)) => Err(ConfigError::invalid(
                    "attest.restore",
                    "is true, but nobody is believed; set attest.key_file, attest.hook_url or attest.trusted_keys",
                )),
                (false, _, _) => Ok(AttestConfig::Restore(trust)),
            };
        };
        Ok(AttestConfig::On(Box::new(Attesting {
            signer,
            trust,
            policies: self.policies,
            statement_type,
            cosign,
            verifier: self.verifier.map(String::from),
        })))
    }

    fn check_contradictions(&self, cosign: CosignLayout) -> Result<(), ConfigError> {
        let refused = |key: &str, reason: &str| Err(ConfigError::invalid(format!("attest.{key}"), reason));
        if self.key_file.is_some() && self.hook_url.is_some() {
            return refused("hook_url", "attest.key_file and attest.hook_url are both set; keep one");
        }
        let hook_alone = self.hook_token_file.is_some()
            || self.hook_public_key_file.is_some()
            || self.hook_ca_certificates.is_some()
            || self.hook_timeout.is_some();
        if hook_alone && self.hook_url.is_none() {
            return refused(
                "hook_url",
                "is missing, but other attest.hook_… settings are there; set it or remove them",
            );
        }
        if self.policies.as_ref().is_some_and(Vec::is_empty) {
            return refused(
                "policies",
                "is empty, so nothing would be attached; leave it out for all policies, or set attest.enabled = false",
            );
        }
        if self.registries.as_ref().is_some_and(Vec::is_empty) {
            return refused(
                "registries",
                "is empty, so nothing would be attached; leave it out for all registries, or set attest.enabled = false",
            );
        }
        let signs = self.key_file.is_some() || self.hook_url.is_some();
        let about_signing = self.policies.is_some()
            || self.statement_type.is_some()
            || self.verifier.is_some()
            || cosign != CosignLayout::Off;
        if about_signing && !signs {
            return refused(
                "key_file",
                "is missing: nobody signs, but it is said what to sign; set attest.key_file or attest.hook_url",
            );
        }
        Ok(())
    }

    fn cosign_layout(&self) -> Result<CosignLayout, ConfigError> {
        match self.cosign.as_deref() {
            None | Some("off") => Ok(CosignLayout::Off),
            Some("tag") => Ok(CosignLayout::Tag),
            Some("bundle") => Ok(CosignLayout::Bundle),
            Some(other) => {
                Err(ConfigError::invalid("attest.cosign", format!("{other:?} is none of off, tag, bundle")))
            }
        }
    }

    fn statement_version(&self) -> Result<StatementType, ConfigError> {
        match self.statement_type.as_deref() {
            None | Some("v1") => Ok(StatementType::V1),
            Some("v0.1") => Ok(StatementType::V0_1),
            Some(other) => Err(ConfigError::invalid(
                "attest.statement_type",
                format!("{other:?} is neither v1 nor v0.1"),
            )),
        }
    }

    fn signer(&self, egress: &Egress) -> Result<Option<SignerConfig>, ConfigError> {
        if let Some(path) = &self.key_file {
            let pem = SecretString::from(read("attest.key_file", path)?);
            let key =
                PrivateKey::from_pem(&pem).map_err(|error| unusable("attest.key_file", path, &error))?;
            return Ok(Some(SignerConfig::Key(key)));
        }
        let Some(url) = &self.hook_url else { return Ok(None) };
        let is_local = url.host_str().is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host));
        let refused = |reason: &str| Err(ConfigError::invalid("attest.hook_url", reason));
        match url.scheme() {
            "https" => {}
            "http" if is_local => {}
            "http" => {
                return refused(
                    "is http beyond this machine: whoever listens could have anything signed; use https",
                );
            }
            _ => return refused("expected a URL that begins with https://, or http:// on this machine"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("holds a login; use attest.hook_token_file");
        }
        let Some(path) = &self.hook_public_key_file else {
            return Err(ConfigError::invalid(
                "attest.hook_public_key_file",
                "is missing: the public half of the hook's key, in PEM, so that its answers can be verified",
            ));
        };
        if let Some(path) = &self.hook_ca_certificates {
            read("attest.hook_ca_certificates", path)?;
        }
        let timeout = seconds(self.hook_timeout, 10);
        if timeout.is_zero() || timeout > Duration::from_secs(60) {
            return Err(ConfigError::invalid("attest.hook_timeout", "must be between 1ms and 60s"));
        }
        Ok(Some(SignerConfig::Hook(HookSettings {
            url: url.clone(),
            token_file: self.hook_token_file.clone(),
            public_key: public_key("attest.hook_public_key_file", path)?,
            timeout,
            ca_certificates: self.hook_ca_certificates.iter().cloned().collect(),
            egress: egress.clone(),
        })))
    }

    fn trusted(&self, signer: Option<&SignerConfig>) -> Result<Vec<PublicKey>, ConfigError> {
        let mut keys: Vec<PublicKey> = match signer {
            Some(SignerConfig::Key(key)) => vec![key.public().clone()],
            Some(SignerConfig::Hook(hook)) => vec![hook.public_key.clone()],
            None => Vec::new(),
        };
        for path in &self.trusted_keys {
            let key = public_key("attest.trusted_keys", path)?;
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn hosts(&self, registries: &Registries) -> Result<Option<Vec<RegistryHost>>, ConfigError> {
        let Some(names) = &self.registries else { return Ok(None) };
        let mut hosts = Vec::new();
        for name in names {
            let found = registries.iter().find(|registry| registry.name == *name).ok_or_else(|| {
                ConfigError::invalid(
                    "attest.registries",
                    format!("{name:?} is no section registries.{name}; name sections, not hosts"),
                )
            })?;
            hosts.push(found.client.host.clone());
        }
        Ok(Some(hosts))
    }
}

impl AttestConfig {
    /// Whom we believe, if anybody.
    pub fn trust(&self) -> Option<&Trust> {
        match self {
            Self::Off => None,
            Self::Restore(trust) => Some(trust),
            Self::On(attesting) => Some(&attesting.trust),
        }
    }
}

impl Trust {
    /// Whether this is done at a registry.
    pub fn covers(&self, host: &RegistryHost) -> bool {
        self.registries.as_ref().is_none_or(|hosts| hosts.contains(host))
    }
}

fn read(key: &str, path: &std::path::Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::SecretFile {
        key: key.to_owned(),
        path: path.to_owned(),
        source,
    })
}

fn public_key(key: &str, path: &std::path::Path) -> Result<PublicKey, ConfigError> {
    PublicKey::from_pem(&read(key, path)?).map_err(|error| unusable(key, path, &error))
}

fn unusable(key: &str, path: &std::path::Path, error: &KeyError) -> ConfigError {
    ConfigError::invalid(key, error.about(path))
}
