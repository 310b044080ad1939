//! Cloud providers.

use shared::model::report::Severity::{Critical, High, Medium};

use super::super::aws;
use super::super::check::Check;
use super::super::guard::Guard;
use super::super::rule::{BEFORE, Rule};
use super::{text, token};

pub(super) const RULES: &[Rule<'static>] = &[
    // The id alone gives nothing; the secret beside it is another rule's.
    token(aws::KEY_ID, "An AWS access key id", Medium, &["AKIA", "ASIA", "ABIA", "ACCA"], r"((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})\b")
        .checked(Check::Entropy(2.5)),
    text("TW-SEC-AWS-SECRET", "An AWS secret access key", Critical, &["ecret", "ECRET", "AKIA", "ASIA"],
        r#"(?is)(?:aws.{0,20}secret.{0,20}|secret_?access_?key.{0,5}|(?-i:(?:AKIA|ASIA)[A-Z2-7]{16}).+?secret.{0,20}?)["'\s:=>]{1,8}([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#).around(60, 500)
        .guarded(Guard::RunWithin(40, 500))
        .checked(Check::Entropy(3.5)),
    // Without a word for it within five lines of its id, as in the console's `accessKeys.csv` and in code.
    token("TW-SEC-AWS-SECRET", "An AWS secret access key", Critical, &["AKIA", "ASIA"],
        r"(?:AKIA|ASIA)[A-Z2-7]{16}[^A-Za-z0-9+/=](?:[^\n]*\n){0,4}?(?:[^\n]*[^A-Za-z0-9+/=_\n-])?([A-Za-z0-9+/]{40})(?:[^A-Za-z0-9+/=_-]|$)").up_to(500).in_texts()
        .guarded(Guard::RunWithin(40, 500))
        .checked(Check::Mixed(4.2)),
    token("TW-SEC-AWS-BEDROCK", "An Amazon Bedrock API key", Critical, &["ABSK", "bedrock-api-key-"], r"(ABSK[A-Za-z0-9+/]{109,}={0,2}|bedrock-api-key-[A-Za-z0-9+/_-]{100,}={0,2})").up_to(2500)
        .checked(Check::Entropy(3.5)),
    text("TW-SEC-GCP-SERVICE-ACCOUNT", "A Google Cloud service account key", Critical, &["\"service_account\""],
        r#"(?s)"type"\s*:\s*"service_account".*?"private_key"\s*:\s*"(-----BEGIN.{100,}?-----END[^"]{1,40})""#).around(40, 9000)
        .checked(Check::OpenKey),
    token("TW-SEC-GCP-SERVICE-ACCOUNT-BASE64", "A Google Cloud service account key in base64", Critical, &["ewogICJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCI"],
        r"(ewogICJ0eXBlIjogInNlcnZpY2VfYWNjb3VudCI[A-Za-z0-9+/]{200,})").up_to(8200),
    token("TW-SEC-GCP-API-KEY", "A Google API key", Medium, &["AIza"], r"(AIza[A-Za-z0-9_-]{35})(?:[^A-Za-z0-9_-]|$)")
        .checked(Check::Entropy(3.0)),
    token("TW-SEC-GCP-CLIENT-SECRET", "A Google OAuth client secret", High, &["GOCSPX-"], r"(GOCSPX-[A-Za-z0-9_-]{28})(?:[^A-Za-z0-9_-]|$)"),
    token("TW-SEC-GCP-OAUTH", "A Google OAuth access token", High, &["ya29."], r"(ya29\.[A-Za-z0-9_-]{60,})").checked(Check::Entropy(3.5)),
    token("TW-SEC-AZURE-STORAGE-KEY", "An Azure storage account key", Critical, &["AccountKey="], r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    token("TW-SEC-AZURE-SHARED-ACCESS-KEY", "An Azure shared access key", Critical, &["SharedAccessKey="], r"SharedAccessKey=([A-Za-z0-9+/]{43}=)"),
    text("TW-SEC-AZURE-CLIENT-SECRET", "A Microsoft Entra client secret", Critical, &["0Q~", "1Q~", "2Q~", "3Q~", "4Q~", "5Q~", "6Q~", "7Q~", "8Q~", "9Q~"], r"(?:^|[^A-Za-z0-9_~.-])([A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34})(?:[^A-Za-z0-9_~.-]|$)").around(8, 60)
        .checked(Check::Entropy(3.3)),
    token("TW-SEC-AZURE-KEY", "An Azure service key", Critical, &["JQQJ99"], r"\b([A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26})\b").around(60, 60),
    token("TW-SEC-AZURE-DEVOPS", "An Azure DevOps personal access token", Critical, &["AZDO"], r"\b([A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4})\b").around(90, 20),
    text("TW-SEC-AZURE-DEVOPS", "An Azure DevOps personal access token", Critical, &["AZURE_DEVOPS", "azure_devops", "dev.azure.com", "visualstudio.com"],
        r"(?i:azure_devops|dev\.azure\.com|visualstudio\.com)(?s:.{0,100}?)[^A-Za-z0-9]([a-z2-7]{52})(?:[^A-Za-z0-9]|$)").around(1, 180)
        .guarded(Guard::RunWithin(52, 180))
        .checked(Check::Entropy(3.8)),
    // Azure's keys of 256 and 512 bits, in which some characters say what for.
    text("TW-SEC-AZURE-MARKED-KEY", "An Azure service key", Critical,
        &["+ACR", "+ABa", "+AEh", "+AMC", "+ARm", "+ASb", "+ASt", "ACDb", "AIoT", "APIM", "AzCa", "AzFu", "AzSe"],
        r"(?:^|[^A-Za-z0-9+/])([A-Za-z0-9+/]{76}(?:\+ABa|\+AMC|\+ASt|ACDb)[A-Za-z0-9+/]{6}(?:==)?|[A-Za-z0-9+/]{33}(?:\+AEh|\+ARm|\+ASb|AIoT|AzCa)[A-Za-z0-9+/]{6}=|[A-Za-z0-9+/]{44}AzFu[A-Za-z0-9+/]{6}==|[A-Za-z0-9+/]{42}(?:\+ACR|AzSe)[A-D][A-Za-z0-9+/]{5})(?:[^A-Za-z0-9+/=]|$)").around(80, 20)
        .checked(Check::Entropy(4.0)),
    // The parameters stand in any order, and not always behind an address: storage signs last, the service bus before `se`.
    text("TW-SEC-AZURE-SAS", "A shared access signature of Azure", High, &["&sig=", "?sig="],
        r#"\b(?:sv|se)=[^\s"'<>]{0,240}?&sig=([A-Za-z0-9%]{43,63}%3[Dd])"#).around(BEFORE, 100),
    text("TW-SEC-AZURE-SAS", "A shared access signature of Azure", High, &["&sig=", "?sig="],
        r#"[&?]sig=([A-Za-z0-9%]{43,63}%3[Dd])&[^\s"'<>]{0,240}?\b(?:sv|se)="#).around(1, 400),
    text("TW-SEC-GCP-USER", "A refresh token of a Google account", High, &["\"refresh_token\""],
        r#""refresh_token"\s*:\s*"(1//[A-Za-z0-9_-]{40,300})""#)
        .checked(Check::Entropy(3.5)),
    token("TW-SEC-GCP-HMAC-ID", "An HMAC key id of Google Cloud Storage", Medium, &["GOOG"], r"(GOOG(?:[A-Z0-9]{20}|[A-Z0-9]{57}))\b")
        .guarded(Guard::Run(24))
        .checked(Check::NoIdentifier(3.0)),
    text("TW-SEC-SCALEWAY-KEY-ID", "A Scaleway access key id", Medium, &["SCW"], r#"(?:^|[\s"'=:])(SCW[A-Z0-9]{17})(?:[\s"',]|$)"#).around(2, 30)
        .guarded(Guard::Run(20))
        .checked(Check::Entropy(2.8)),
    token("TW-SEC-ALIBABA-KEY-ID", "An Alibaba Cloud access key id", Medium, &["LTAI"], r"(LTAI[A-Za-z0-9]{20})\b").checked(Check::Entropy(3.3)),
    token("TW-SEC-DIGITALOCEAN", "A DigitalOcean token", Critical, &["dop_v1_", "doo_v1_", "dor_v1_"], r"(do[opr]_v1_[a-f0-9]{64})\b"),
    token("TW-SEC-HEROKU", "A Heroku API key", High, &["HRKU-"], r"(HRKU-[A-Za-z0-9_-]{36,64})(?:[^A-Za-z0-9_-]|$)"),
    token("TW-SEC-CLOUDFLARE-ORIGIN", "A Cloudflare origin CA key", High, &["v1.0-"], r"(v1\.0-[a-f0-9]{24}-[a-f0-9]{146})\b"),
    token("TW-SEC-FLY", "A Fly.io token", High, &["fm1a_", "fm2_", "fo1_"], r"((?:fm1a|fm2|fo1)_[A-Za-z0-9+/=_-]{40,})").checked(Check::Entropy(3.5)),
    text("TW-SEC-IBM", "An IBM Cloud API key", Critical, &["ibmcloud", "IBMCLOUD", "IBM_CLOUD", "IC_API_KEY"],
        r"(?i:ibm_?cloud|ic_api_key)(?s:.{0,60}?)[^A-Za-z0-9_-]([A-Za-z0-9_-]{44})(?:[^A-Za-z0-9_-]|$)").around(1, 130)
        .checked(Check::Mixed(4.0)),
    token("TW-SEC-TENCENT-KEY-ID", "A Tencent Cloud key id", Medium, &["AKID"], r"(AKID[A-Za-z0-9]{32})\b").checked(Check::Entropy(3.3)),
];
