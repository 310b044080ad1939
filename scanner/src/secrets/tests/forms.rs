//! What a kind of secret looks like besides its sample in [`samples`](super::samples): every prefix, order and notation
//! that its issuer or its users write, and what is close to it and none.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use shared::model::report::Severity;

use super::samples::{BASE32, DIGITS, HEX, LOWER, UPPER, WORD, der, jwt_with, noise as n, pem, summed};
use super::{found, rules};

const FILE: &str = "app/file.txt";
/// The characters of base32 in small letters.
const SMALL_BASE32: &str = "abcdefghijklmnopqrstuvwxyz234567";

/// The text gives away exactly what these rules find.
fn check(path: &str, text: &str, expected: &[&str]) {
    assert_eq!(rules(path, text.as_bytes()), expected, "{path}: {text}");
}

/// What is found under each of the prefixes of a token, and under a longer word that ends so.
fn check_prefixes(rule: &str, prefixes: &[&str], body: &str) {
    for prefix in prefixes {
        check(FILE, &format!("export KEPT=\"{prefix}{body}\"\n"), &[rule]);
        check(FILE, &format!("export KEPT=\"x{prefix}{body}\"\n"), &[]);
    }
}

#[test]
fn every_prefix_of_a_token_is_known() {
    for (rule, prefixes, body) in [
        ("TW-SEC-AWS-KEY-ID", &["AKIA", "ASIA", "ABIA", "ACCA"][..], n(16, BASE32)),
        ("TW-SEC-AWS-BEDROCK", &["ABSK"], n(110, WORD)),
        ("TW-SEC-AWS-BEDROCK", &["bedrock-api-key-"], n(300, WORD)),
        ("TW-SEC-GCP-HMAC-ID", &["GOOG1E", "GOOGTS"], n(55, UPPER)),
        ("TW-SEC-GCP-HMAC-ID", &["GOOG1", "GOOGT"], n(19, UPPER)),
        ("TW-SEC-DIGITALOCEAN", &["dop_v1_", "doo_v1_", "dor_v1_"], n(64, HEX)),
        ("TW-SEC-FLY", &["fo1_", "fm1a_", "fm2_"], n(60, WORD)),
        ("TW-SEC-GITHUB-APP", &["ghs_"], n(36, WORD)),
        (
            "TW-SEC-GITLAB-TOKEN",
            &[
                "glpat-", "gldt-", "glrt-", "glrt-t1_", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-",
                "gloas-", "glsoat-", "glffct-",
            ],
            n(20, WORD),
        ),
        ("TW-SEC-GITLAB-TOKEN", &["glpat-"], format!("{}.01.{}", n(60, WORD), n(9, LOWER))),
        ("TW-SEC-JFROG", &["AKCp"], n(80, WORD)),
        ("TW-SEC-PACKAGIST", &["packagist_ack_", "packagist_uut_", "packagist_ort_"], n(68, HEX)),
        ("TW-SEC-DOCKER-HUB", &["dckr_pat_"], n(27, WORD)),
        ("TW-SEC-DOCKER-HUB", &["dckr_oat_"], n(32, WORD)),
        ("TW-SEC-PYPI-TOKEN", &["pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZw"], n(120, WORD)),
        ("TW-SEC-VAULT", &["hvs.", "hvb.", "hvr."], n(95, WORD)),
        (
            "TW-SEC-SLACK-TOKEN",
            &["xoxa-", "xoxb-", "xoxe-", "xoxp-", "xoxr-", "xoxs-", "xapp-1-"],
            n(40, WORD),
        ),
        ("TW-SEC-STRIPE", &["sk_live_", "rk_live_", "sk_prod_", "rk_prod_"], n(10, WORD)),
        ("TW-SEC-STRIPE-TEST", &["sk_test_", "rk_test_"], n(99, WORD)),
        ("TW-SEC-ANTHROPIC", &["sk-ant-api03-", "sk-ant-admin01-"], format!("{}AA", n(93, WORD))),
        ("TW-SEC-HUGGING-FACE", &["hf_", "api_org_"], n(34, WORD)),
        ("TW-SEC-GRAFANA", &["glc_"], n(60, WORD)),
        ("TW-SEC-CIRCLECI", &["CCIPAT_", "CCIPRJ_"], format!("{}_{}", n(22, WORD), n(40, HEX))),
        ("TW-SEC-SENTRY", &["sntrys_", "sntryu_"], n(64, WORD)),
        ("TW-SEC-SHOPIFY", &["shpat_", "shpca_", "shppa_", "shpss_"], n(32, HEX)),
        ("TW-SEC-PLANETSCALE", &["pscale_tkn_", "pscale_pw_", "pscale_oauth_"], n(43, WORD)),
        ("TW-SEC-NOTION", &["ntn_"], n(43, WORD)),
        ("TW-SEC-NOTION", &["ntn_"], n(11, DIGITS) + &n(35, WORD)),
        ("TW-SEC-FIGMA", &["figd_"], n(44, WORD)),
        ("TW-SEC-SONAR", &["sqp_", "squ_", "sqa_"], n(40, HEX)),
        (
            "TW-SEC-TAILSCALE",
            &["tskey-", "tskey-auth-", "tskey-client-"],
            format!("{}-{}", n(12, WORD), n(22, WORD)),
        ),
        ("TW-SEC-SQUARE", &["sq0csp-", "sq0atp-"], n(43, WORD)),
    ] {
        check_prefixes(rule, prefixes, &body);
    }
    for prefix in ["ghp_", "gho_", "ghu_"] {
        check(FILE, &summed(prefix), &["TW-SEC-GITHUB-TOKEN"]);
        check(FILE, &format!("{prefix}{}000000", n(30, WORD)), &[]);
    }
    for kind in ["", "proj-", "svcacct-", "admin-"] {
        let token = format!("sk-{kind}{}{}{}", n(58, WORD), "T3Blbk".to_owned() + "FJ", n(58, WORD));
        check(FILE, &token, &["TW-SEC-OPENAI"]);
    }
    // Of things that are no keys: groups, users, roles, policies, certificates.
    for prefix in ["AGPA", "AIDA", "AIPA", "ANPA", "ANVA", "AROA", "APKA", "ASCA"] {
        check(FILE, &format!("{prefix}{}", n(16, BASE32)), &[]);
    }
}

#[test]
fn a_secret_of_aws_beside_its_id_needs_no_word_for_it() {
    let id = format!("{}{}", "AKI", "A".to_owned() + &n(16, BASE32));
    let secret = n(40, WORD);
    let both = &["TW-SEC-AWS-KEY-ID", "TW-SEC-AWS-SECRET"][..];
    for (text, expected) in [
        (format!("Access key ID,Secret access key\r\n{id},{secret}\r\n"), both),
        (format!("new BasicAWSCredentials(\"{id}\", \"{secret}\")"), both),
        (format!("id: {id}\nregion: eu-west-1\nrole: none\nkey: {secret}\n"), both),
        (format!("{id}\n{secret}"), both),
        (format!("{id}\n1\n2\n3\n4\n5\n6\n{secret}"), &both[..1]),
        (format!("{id} in commit {}", n(40, HEX)), &both[..1]),
        (format!("{id} {}", n(41, WORD)), &both[..1]),
    ] {
        let mut found = rules(FILE, text.as_bytes());
        found.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn keys_of_azure_and_ibm_of_every_notation() {
    let signature = format!("{}%3D", n(43, WORD));
    let sas = &["TW-SEC-AZURE-SAS"][..];
    let devops = &["TW-SEC-AZURE-DEVOPS"][..];
    for (text, expected) in [
        (format!("https://x.blob.core.windows.net/c?sp=r&se=2030-01-01T00:00:00Z&sig={signature}"), sas),
        (format!("AZURE_STORAGE_SAS=sv=2024-01-01&ss=b&sig={signature}"), sas),
        (format!("SharedAccessSignature sr=sb%3a%2f%2fx&sig={signature}&se=1900000000&skn=root"), sas),
        (format!("https://example.net/?a=1&sig={signature}"), &[]),
        (format!("AZURE_DEVOPS_EXT_PAT={}", n(52, SMALL_BASE32)), devops),
        (format!("url = https://dev.azure.com/acme\npassword = {}\n", n(52, SMALL_BASE32)), devops),
        (format!("see visualstudio.com, {}", n(52, WORD)), &[]),
        (format!("password = {}", n(52, SMALL_BASE32)), &[]),
        (format!("ibmcloud login --apikey {}", n(44, WORD)), &["TW-SEC-IBM"]),
        (format!("ibmcloud {}", n(44, LOWER)), &[]),
    ] {
        check(FILE, &text, expected);
    }
}

#[test]
fn logins_of_registries_and_clusters_of_every_notation() {
    let auth = |user: &str| STANDARD.encode(format!("{user}:{}", n(12, WORD)));
    let (one, other) = (auth("me"), auth("you"));
    let docker = "TW-SEC-DOCKER-CONFIG";
    let config = |space: &str| format!("{{{space}\"auths\":{{\"r.internal\":{{\"auth\":\"{one}\"}}}}}}");
    let key = n(400, WORD);
    for (text, expected) in [
        (
            format!(
                "{{\"auths\":{{\"a.internal\":{{\"auth\":\"{one}\"}},\"b.internal\":{{\"auth\":\"{other}\"}}}}}}"
            ),
            &[docker, docker][..],
        ),
        (format!("{{\"https://index.docker.io/v1/\": {{\"auth\": \"{one}\", \"email\": \"\"}}}}"), &[docker]),
        (format!(".dockerconfigjson: {}", STANDARD.encode(config(""))), &[docker]),
        (format!(".dockerconfigjson: {}", STANDARD.encode(config("\n\t"))), &[docker]),
        (format!(".dockerconfigjson: {}", STANDARD.encode(config("\n  "))), &[docker]),
        (STANDARD.encode("{\"auths\":{},\"credHelpers\":{\"eu.gcr.io\":\"gcloud\"}}"), &[]),
        ("{\"auths\":{\"r.internal\":{\"auth\":\"\"}},\"auth\":\"required\"}".to_owned(), &[]),
        (format!("client-key-data: {key}"), &["TW-SEC-KUBECONFIG-KEY"]),
        (format!("{{\"client-key-data\":\"{key}\"}}"), &["TW-SEC-KUBECONFIG-KEY"]),
        (format!("GITEA_SERVER_TOKEN: {}", n(40, HEX)), &["TW-SEC-GITEA"]),
        (format!("gitea at {}", n(40, HEX)), &[]),
        (format!("ngrok config add-{} 2{}_4{}", "authtoken", n(26, WORD), n(20, WORD)), &["TW-SEC-NGROK"]),
        (format!("2{}_4{}", n(26, WORD), n(20, WORD)), &[]),
        (format!("twilio(\"AC{}\", \"{}\")", n(32, HEX), n(31, HEX) + "7"), &["TW-SEC-TWILIO-AUTH"]),
        (format!("twilio(\"AC{}\")", n(32, HEX)), &[]),
        (format!("<server><password>a$b{{c{}</password></server>", n(4, WORD)), &["TW-SEC-MAVEN-SETTINGS"]),
        (format!("<server><password>{{{}=}}</password></server>", n(40, WORD)), &[]),
        ("<server><password>${env.PASSWORD}</password></server>".to_owned(), &[]),
    ] {
        check(FILE, &text, expected);
    }
}

#[test]
fn web_tokens_of_every_notation() {
    let of = |header: &str, claims: &str, signature: &str| {
        format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    };
    let pod = "{\"exp\":4102444800,\"kubernetes.io\":{\"namespace\":\"default\"}}";
    let ended = "{\"exp\":1516239022,\"kubernetes.io\":{\"namespace\":\"default\"}}";
    for (text, expected) in [
        (of("{\"alg\":\"HS256\"}", "{\"sub\":\"build\"}", &n(43, WORD)), "TW-SEC-JWT"),
        (of("{ \"alg\": \"HS256\" }", "{ \"sub\": \"build\" }", &n(10, WORD)), "TW-SEC-JWT"),
        (jwt_with("RS256", pod), "TW-SEC-KUBERNETES-TOKEN"),
        (jwt_with("RS256", ended), "TW-SEC-JWT-EXPIRED"),
    ] {
        check(FILE, &text, &[expected]);
    }
}

#[test]
fn a_password_in_an_address_is_rated_by_what_it_is() {
    let password = n(14, WORD);
    for (address, expected) in [
        (format!("redis://:{password}@cache.internal:6379/0"), Some(("TW-SEC-URL-PASSWORD", Severity::High))),
        (format!("mongodb+srv://app:{password}@db.internal"), Some(("TW-SEC-URL-PASSWORD", Severity::High))),
        (format!("https://me:{password}@git.internal/a.git"), Some(("TW-SEC-URL-PASSWORD", Severity::High))),
        ("mysql://root:root@db/app".to_owned(), Some(("TW-SEC-URL-COMMON-PASSWORD", Severity::Low))),
        ("amqp://guest:guest@queue:5672".to_owned(), Some(("TW-SEC-URL-COMMON-PASSWORD", Severity::Low))),
        ("postgres://postgres:postgres@db".to_owned(), Some(("TW-SEC-URL-COMMON-PASSWORD", Severity::Low))),
        ("postgres://user:password@db".to_owned(), None),
        ("redis://:%REDIS_PASSWORD%@cache".to_owned(), None),
        ("redis://:${REDIS_PASSWORD}@cache".to_owned(), None),
    ] {
        let found = found(FILE, address.as_bytes());
        let found = found.first().map(|one| (one.rule.as_str(), one.severity));
        assert_eq!(found, expected, "{address}");
    }
}

#[test]
fn password_hashes_of_every_account() {
    let hash = n(86, WORD);
    for (line, expected) in [
        (format!("Admin:$6$x${hash}:19000:0:99999:7:::"), &["TW-SEC-SHADOW"][..]),
        (format!("john.doe:$y$j9T$x${hash}:19000:0:99999:7:::"), &["TW-SEC-SHADOW"]),
        (format!("staff:$6$x${hash}:root,me:you"), &["TW-SEC-SHADOW"]),
        ("John.Doe::19000:0:99999:7:::".to_owned(), &["TW-SEC-SHADOW-EMPTY"]),
        (format!("c.NotebookApp.password = u'sha1:{}:{}'", n(12, HEX), n(40, HEX)), &["TW-SEC-JUPYTER"]),
        (format!("sha1:{}", n(40, HEX)), &[]),
    ] {
        check(FILE, &line, expected);
    }
}

#[test]
fn what_only_somebody_else_can_read_is_no_secret() {
    let sealed = format!("kind: SealedSecret\nspec:\n  encryptedData:\n    password: AgB{}\n", n(190, WORD));
    check("app/sealed.yaml", &sealed, &[]);
    check("app/sealed.yaml", &format!("---\n# a\n{sealed}---\n{sealed}"), &[]);
    let json = sealed.replace("kind: Sealed", "{\"kind\": \"Sealed").replace("Secret\n", "Secret\",");
    check("app/sealed.json", &json, &[]);
    check("app/vault.yml", "$ANSIBLE_VAULT;1.1;AES256\npassword: 6638643965323633646262656665\n", &[]);
    // One that is not sealed beside it is as open as anywhere.
    let open = format!("password: {}\n", n(20, WORD));
    for beside in [
        format!("{sealed}---\nkind: Secret\n{open}"),
        format!("{open}---\n{sealed}"),
        format!("# not a kind: SealedSecret\n{open}"),
        format!("a_token: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  66386439\n{open}"),
    ] {
        assert!(
            rules("app/all.yaml", beside.as_bytes()).contains(&"TW-SEC-ASSIGNMENT".to_owned()),
            "{beside}"
        );
    }
    let state = format!("{{\"resources\": [{{\"a_password\": \"{}\"}}]}}", n(20, WORD));
    check("infra/terraform.tfstate.backup", &state, &["TW-SEC-ASSIGNMENT"]);
    check("infra/terraform.txt", &state, &[]);
}

#[test]
fn private_keys_of_every_notation() {
    let pgp = |headers: &str| {
        let block = ["-----BEGIN PGP PRIV", "ATE KEY BLOCK-----"].concat();
        format!("{block}\n{headers}\n{}\n=Ab1c\n{}\n", n(400, WORD), block.replace("BEGIN", "END"))
    };
    let putty = |encryption: &str| {
        format!(
            "PuTTY-User-{}: ssh-rsa\r\nEncryption: {encryption}\r\nComment: me\r\nPrivate-Lines: 1\r\n{}\r\n",
            "Key-File-3",
            n(60, WORD)
        )
    };
    let d = n(43, WORD);
    for (text, expected) in [
        (pgp(""), &["TW-SEC-PGP-KEY"][..]),
        (pgp("Version: GnuPG v2.0.22 (GNU/Linux)\n"), &["TW-SEC-PGP-KEY"]),
        (pgp("Version: Keybase OpenPGP v2\nComment: <https://keybase.io/crypto>\n"), &["TW-SEC-PGP-KEY"]),
        (pgp("Version: GnuPG v1 (Darwin)\n").replace('\n', "\\n"), &["TW-SEC-PGP-KEY"]),
        (pgp("print('this is code, and no key')\n"), &[]),
        (putty("none"), &["TW-SEC-PUTTY-KEY"]),
        (putty("aes256-cbc"), &["TW-SEC-PROTECTED-KEY"]),
        (format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"{d}\"}}"), &["TW-SEC-JWK"]),
        (format!("{{\"alg\":\"ES256\",\"d\":\"{d}\",\"kty\":\"EC\"}}"), &["TW-SEC-JWK"]),
        (format!("{{\n  \"d\": \"{d}\",\n  \"e\": \"AQAB\",\n  \"kty\": \"RSA\"\n}}"), &["TW-SEC-JWK"]),
        (format!("{{\"d\": \"{d}\"}}, {{\"kty\": \"RSA\"}}"), &[]),
        (pem("EC ", &der()).replace('\n', "\\n"), &["TW-SEC-PRIVATE-KEY"]),
    ] {
        check(FILE, &text, expected);
    }
}
