//! Services that are used over the network.

use shared::model::report::Severity::{Critical, High, Medium};

use super::super::check::Check;
use super::super::guard::Guard;
use super::super::rule::Rule;
use super::{text, token};

pub(super) const RULES: &[Rule<'static>] = &[
    token(
        "TW-SEC-SLACK-TOKEN",
        "A Slack token",
        Critical,
        &["xoxb-", "xoxa-", "xoxp-", "xoxe-", "xoxr-", "xoxs-", "xapp-1-"],
        r"((?:xox[abeprs]-|xapp-1-)[A-Za-z0-9-]{20,})",
    )
    .checked(Check::Entropy(3.0)),
    token(
        "TW-SEC-SLACK-WEBHOOK",
        "A Slack webhook",
        High,
        &["hooks.slack.com/services/"],
        r"(hooks\.slack\.com/services/T[A-Z0-9]{6,12}/B[A-Z0-9]{6,12}/[A-Za-z0-9]{20,28})",
    ),
    token(
        "TW-SEC-STRIPE",
        "A Stripe secret key",
        Critical,
        &["sk_live_", "rk_live_", "sk_prod_", "rk_prod_"],
        r"([sr]k_(?:live|prod)_[A-Za-z0-9]{10,})",
    )
    .checked(Check::Entropy(3.0)),
    token(
        "TW-SEC-STRIPE-TEST",
        "A Stripe key for tests",
        Medium,
        &["sk_test_", "rk_test_"],
        r"([sr]k_test_[A-Za-z0-9]{10,})",
    )
    .checked(Check::Entropy(3.0)),
    token(
        "TW-SEC-STRIPE-WEBHOOK",
        "A Stripe webhook secret",
        High,
        &["whsec_"],
        r"(whsec_[A-Za-z0-9+/]{32,80})",
    )
    .checked(Check::Entropy(3.3)),
    token(
        "TW-SEC-OPENAI",
        "An OpenAI API key",
        Critical,
        &["T3BlbkFJ"],
        r"\b(sk-(?:(?:proj|svcacct|admin)-)?[A-Za-z0-9_-]{20,80}T3BlbkFJ[A-Za-z0-9_-]{20,80})",
    )
    .around(90, 200),
    token(
        "TW-SEC-ANTHROPIC",
        "An Anthropic API key",
        Critical,
        &["sk-ant-"],
        r"(sk-ant-(?:api03|admin01)-[A-Za-z0-9_-]{93}AA)",
    ),
    token(
        "TW-SEC-HUGGING-FACE",
        "A Hugging Face token",
        High,
        &["hf_", "api_org_"],
        r"((?:hf_|api_org_)[A-Za-z0-9]{34})\b",
    )
    .guarded(Guard::Run(37))
    .in_texts()
    .checked(Check::Entropy(3.8)),
    token(
        "TW-SEC-SENDGRID",
        "A SendGrid API key",
        Critical,
        &["SG."],
        r"(SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43})(?:[^A-Za-z0-9_-]|$)",
    )
    .in_texts(),
    text(
        "TW-SEC-TWILIO",
        "A Twilio API key",
        High,
        &["wilio", "WILIO"],
        r"(?i:twilio)(?s:.*?)\b(SK[a-f0-9]{32})\b",
    )
    .around(10, 150),
    // What a login to the account's name needs.
    text(
        "TW-SEC-TWILIO-AUTH",
        "An authorization token of a Twilio account",
        High,
        &["wilio", "WILIO"],
        r"(?i:twilio)(?s:.{0,150}?)(?:\bAC[a-f0-9]{32}\b(?s:.{1,80}?)|(?i:auth_?token)\W{1,5})\b([a-f0-9]{32})\b",
    )
    .around(1, 330)
    .guarded(Guard::RunWithin(32, 330))
    .checked(Check::Entropy(3.0)),
    token("TW-SEC-MAILGUN", "A Mailgun API key", High, &["key-"], r"(key-[a-f0-9]{32})\b")
        .guarded(Guard::Run(36))
        .in_texts()
        .checked(Check::Entropy(3.0)),
    text(
        "TW-SEC-MAILCHIMP",
        "A Mailchimp API key",
        High,
        &["-us1", "-us2", "-us3", "-us4", "-us5", "-us6", "-us7", "-us8", "-us9"],
        r"\b([a-f0-9]{32}-us[0-9]{1,2})\b",
    )
    .around(40, 10)
    .checked(Check::Entropy(3.0)),
    token(
        "TW-SEC-GRAFANA",
        "A Grafana token",
        High,
        &["glsa_", "glc_"],
        r"(glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}={0,2})",
    )
    .checked(Check::Entropy(3.3)),
    // Base64 of `{"k":"…"`.
    token(
        "TW-SEC-GRAFANA-API-KEY",
        "A Grafana API key of the older form",
        High,
        &["eyJrIjoi"],
        r"(eyJrIjoi[A-Za-z0-9+/]{60,400}={0,2})",
    )
    .checked(Check::Entropy(3.5)),
    text(
        "TW-SEC-DISCORD",
        "A Discord bot token",
        High,
        &["iscord", "ISCORD"],
        r"(?i:discord)(?s:.{0,60}?)\b([MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38})(?:[^A-Za-z0-9_-]|$)",
    )
    .around(4, 180)
    .checked(Check::Entropy(3.8)),
    token(
        "TW-SEC-DISCORD-WEBHOOK",
        "A Discord webhook",
        High,
        &["discord.com/api/webhooks/", "discordapp.com/api/webhooks/"],
        r"(discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,80})",
    ),
    text(
        "TW-SEC-OKTA",
        "An Okta API token",
        High,
        &["SSWS", "okta", "Okta", "OKTA"],
        r"(?i:okta|ssws)(?s:.{0,60}?)[^A-Za-z0-9_-](00[A-Za-z0-9_-]{40})(?:[^A-Za-z0-9_-]|$)",
    )
    .around(4, 130)
    .checked(Check::Entropy(3.8)),
    text(
        "TW-SEC-DATADOG",
        "A Datadog key",
        Medium,
        &["atadog", "ATADOG", "DD_API_KEY", "DD_APP_KEY"],
        r"(?is:datadog.{0,40}?key|dd_ap[ip]_key)(?s:.{0,20}?)\b([a-f0-9]{40}|[a-f0-9]{32})\b",
    )
    .around(4, 110)
    .checked(Check::Entropy(3.0)),
    text(
        "TW-SEC-SNYK",
        "A Snyk token",
        Medium,
        &["SNYK_TOKEN", "snyk_token", "snyk-token"],
        r"(?i:snyk[_-]token)\W{1,4}([a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12})\b",
    ),
    token("TW-SEC-DATABRICKS", "A Databricks token", Critical, &["dapi"], r"(dapi[a-f0-9]{32}(?:-[0-9])?)\b")
        .checked(Check::Entropy(3.0)),
    token("TW-SEC-PULUMI", "A Pulumi token", Critical, &["pul-"], r"(pul-[a-f0-9]{40})\b"),
    token("TW-SEC-POSTMAN", "A Postman API key", High, &["PMAK-"], r"(PMAK-[a-f0-9]{24}-[a-f0-9]{34})\b"),
    token(
        "TW-SEC-CIRCLECI",
        "A CircleCI token",
        High,
        &["CCIPAT_", "CCIPRJ_"],
        r"(CCIP(?:AT|RJ)_[A-Za-z0-9]{22}_[a-f0-9]{40})\b",
    ),
    token(
        "TW-SEC-SENTRY",
        "A Sentry token",
        High,
        &["sntrys_", "sntryu_"],
        r"(sntry[su]_[A-Za-z0-9_=+/-]{60,})",
    ),
    token(
        "TW-SEC-TELEGRAM",
        "A Telegram bot token",
        High,
        &[":AA"],
        r"\b([0-9]{8,10}:AA[A-Za-z0-9_-]{33})(?:[^A-Za-z0-9_-]|$)",
    )
    .around(12, 60)
    .in_texts()
    .checked(Check::Entropy(3.8)),
    token("TW-SEC-LINEAR", "A Linear API key", High, &["lin_api_"], r"(lin_api_[A-Za-z0-9]{40})\b"),
    token(
        "TW-SEC-SHOPIFY",
        "A Shopify token",
        Critical,
        &["shpat_", "shpca_", "shppa_", "shpss_"],
        r"(shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32})\b",
    ),
    token("TW-SEC-NEW-RELIC", "A New Relic user key", High, &["NRAK-"], r"(NRAK-[A-Z0-9]{27})\b"),
    token(
        "TW-SEC-1PASSWORD",
        "A 1Password service account token",
        Critical,
        &["ops_eyJ"],
        r"(ops_eyJ[A-Za-z0-9+/_-]{200,}={0,3})",
    )
    .up_to(4200),
    token(
        "TW-SEC-1PASSWORD-KEY",
        "The secret key of a 1Password account",
        Critical,
        &["A3-"],
        r"(A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5})\b",
    )
    .guarded(Guard::Run(10))
    .in_texts(),
    token(
        "TW-SEC-DOPPLER",
        "A Doppler token",
        Critical,
        &["dp.pt.", "dp.st."],
        r"(dp\.(?:pt|st)\.[A-Za-z0-9.]{40,60})\b",
    ),
    token(
        "TW-SEC-PLANETSCALE",
        "A PlanetScale credential",
        Critical,
        &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"],
        r"(pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,64})",
    ),
    token("TW-SEC-SUPABASE", "A Supabase token", Critical, &["sbp_"], r"(sbp_[a-f0-9]{40})\b"),
    token("TW-SEC-AIRTABLE", "An Airtable token", High, &["pat"], r"(pat[A-Za-z0-9]{14}\.[a-f0-9]{64})\b")
        .guarded(Guard::Run(17))
        .in_texts(),
    token("TW-SEC-NOTION", "A Notion token", High, &["ntn_"], r"(ntn_(?:[A-Za-z0-9]{43}|[0-9]{11}[A-Za-z0-9]{35}))\b"),
    token(
        "TW-SEC-NOTION-OLD",
        "A Notion token of the older form",
        High,
        &["secret_"],
        r"(secret_[A-Za-z0-9]{43})\b",
    )
    .guarded(Guard::Run(50))
    .in_texts()
    .checked(Check::Entropy(4.0)),
    token("TW-SEC-FIGMA", "A Figma token", High, &["figd_"], r"(figd_[A-Za-z0-9_-]{40,})"),
    token("TW-SEC-TYPEFORM", "A Typeform token", High, &["tfp_"], r"(tfp_[A-Za-z0-9_.=-]{59})"),
    token("TW-SEC-SONAR", "A SonarQube token", High, &["sqp_", "squ_", "sqa_"], r"(sq[upa]_[a-f0-9]{40})\b"),
    token(
        "TW-SEC-TAILSCALE",
        "A Tailscale key",
        Critical,
        &["tskey-"],
        r"(tskey-(?:[a-z]{2,10}-)?[A-Za-z0-9]{6,32}-[A-Za-z0-9]{16,64})\b",
    ),
    text(
        "TW-SEC-NGROK",
        "An ngrok token",
        High,
        &["ngrok", "NGROK", "authtoken"],
        r"(?i:ngrok|authtoken)(?s:.{0,80}?)\b(2[A-Za-z0-9]{26}_[0-9][A-Za-z0-9]{20})\b",
    )
    .around(1, 150),
    token(
        "TW-SEC-DYNATRACE",
        "A Dynatrace token",
        High,
        &["dt0c01."],
        r"(dt0c01\.[A-Z0-9]{24}\.[A-Z0-9]{64})\b",
    ),
    token(
        "TW-SEC-SQUARE",
        "A Square credential",
        Critical,
        &["sq0csp-", "sq0atp-"],
        r"(sq0(?:csp|atp)-[A-Za-z0-9_-]{22,43})",
    ),
    token(
        "TW-SEC-SQUARE-TOKEN",
        "A Square access token",
        Critical,
        &["EAAA"],
        r"(EAAA[A-Za-z0-9_-]{60})(?:[^A-Za-z0-9_+/=-]|$)",
    )
    .guarded(Guard::Run(64))
    .in_texts()
    .checked(Check::Entropy(4.0)),
    token(
        "TW-SEC-BRAINTREE",
        "A Braintree access token",
        Critical,
        &["access_token$production$"],
        r"(access_token\$production\$[a-z0-9]{16}\$[a-f0-9]{32})",
    ),
];
