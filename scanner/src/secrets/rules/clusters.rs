//! Registries of images, Kubernetes, Terraform, Vault.

use shared::model::report::Severity::{Critical, High, Medium};

use super::super::check::Check;
use super::super::guard::Guard;
use super::super::rule::Rule;
use super::{JWT, text, token};

pub(super) const RULES: &[Rule<'static>] = &[
    // Of every registry in the file; `.dockercfg`, its older form, has no `auths` around them.
    text("TW-SEC-DOCKER-CONFIG", "A login of an image registry", Critical, &["\"auth\""],
        r#""auth"\s*:\s*"([A-Za-z0-9+/]{8,}={0,2})""#).around(1, 8000)
        .checked(Check::BasicAuth),
    // The file in a secret of Kubernetes, which is base64: `{"auths"`, or with a line and a tab or two blanks between.
    token("TW-SEC-DOCKER-CONFIG", "A login of an image registry", Critical, &["eyJhdXRocyI", "ewoJImF1dGhz", "ewogICJhdXRocyI"],
        r"((?:eyJhdXRocyI|ewoJImF1dGhz|ewogICJhdXRocyI)[A-Za-z0-9+/]{40,}={0,2})").up_to(8000).in_texts()
        .checked(Check::DockerConfig),
    text("TW-SEC-DOCKER-IDENTITY-TOKEN", "An identity token of an image registry", Critical, &["\"identitytoken\"", "\"registrytoken\""],
        r#""(?:identitytoken|registrytoken)"\s*:\s*"([^"]{16,})""#).around(4, 4500),
    text("TW-SEC-KUBECONFIG-KEY", "A client key of a Kubernetes cluster", Critical, &["client-key-data"], r#"client-key-data["']?\s*:\s*["']?([A-Za-z0-9+/]{200,}={0,2})"#).around(4, 9000),
    text("TW-SEC-KUBECONFIG-TOKEN", "A user's token of a Kubernetes cluster", Critical, &["users:"], r"(?s)users:.*?\btoken:\s*([A-Za-z0-9_.-]{20,})").around(4, 6500),
    token("TW-SEC-KUBERNETES-TOKEN", "A token of a Kubernetes service account", High, &["eyJ", "eyAi"], JWT).up_to(9000).in_texts().guarded(Guard::Run(13)).checked(Check::ServiceAccountJwt),
    text("TW-SEC-KUBEADM", "A kubeadm bootstrap token", High, &["kubeadm", "bootstrap"], r"(?s)(?:kubeadm|bootstrap).*?\b([a-z0-9]{6}\.[a-z0-9]{16})\b").around(10, 240)
        .checked(Check::Entropy(3.0)),
    token("TW-SEC-TERRAFORM-CLOUD", "A Terraform Cloud token", Critical, &[".atlasv1."], r"\b([A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70})").around(20, 100),
    token("TW-SEC-VAULT", "A Vault token", Critical, &["hvs.", "hvb.", "hvr."], r"(hv[sbr]\.[A-Za-z0-9_-]{90,})").checked(Check::Entropy(3.5)),
    text("TW-SEC-VAULT-OLD", "A Vault token of the older form", Critical, &["VAULT_TOKEN", "ault_token", "ault-token"], r#"(?i)vault[_-]token["']?\s{0,3}[:=]\s{0,3}["']?(?-i:(s\.[A-Za-z0-9]{24}))\b"#),
    token("TW-SEC-AGE", "An age secret key", Critical, &["AGE-SECRET-KEY-1"], r"(AGE-SECRET-KEY-1[0-9A-Z]{58})"),
    text("TW-SEC-TERRAFORM-STATE", "A password in Terraform's state", High, &["\"terraform_version\""],
        r#"(?s)"terraform_version".*?"(?:[a-z_]*password|secret_key|secret_access_key|private_key)"\s*:\s*"([^"]{8,})""#).around(4, 16_000),
    text("TW-SEC-CONSUL", "A Consul token", Medium, &["CONSUL_HTTP_TOKEN"], r"CONSUL_HTTP_TOKEN\W{1,4}([a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12})"),
];
