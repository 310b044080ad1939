//! Every rule finds its kind and nothing that looks like it; nothing depends on where blocks are cut.
//!
//! Samples are put together when a test runs: no file of this repository has anything that looks like a secret.

use std::collections::BTreeSet;

use proptest::prelude::*;
use shared::model::report::Severity;

use super::*;
use samples::{WORD, jwt, jwt_with, noise, pem, samples, summed};

mod forms;
mod nested;
mod samples;

fn found(path: &str, content: &[u8]) -> Vec<FoundObservation> {
    let secrets = Secrets::built_in();
    let mut search = secrets.search(path.as_bytes(), content.len() as u64);
    search.feed(content);
    search.finish().found
}

fn rules(path: &str, content: &[u8]) -> Vec<String> {
    found(path, content).into_iter().map(|found| found.rule).collect()
}

#[test]
fn every_rule_finds_its_kind() {
    let samples = samples();
    for (rule, sample) in &samples {
        assert!(rules("app/file.txt", sample.as_bytes()).contains(&(*rule).to_owned()), "{rule}: {sample}");
    }
    let sampled: BTreeSet<&str> = samples.iter().map(|(rule, _)| *rule).collect();
    let all: BTreeSet<&str> = rules::all().map(|rule| rule.kind.id).collect();
    assert_eq!(sampled, all, "a rule without a sample, or the other way round");
}

/// One character less, or another one in the middle of a word: no rule may take it for its kind.
#[test]
fn what_only_looks_like_a_secret_is_none() {
    let aws = format!("{}{}", "AKIA", "IOSFODNN7EXAMPLE");
    let jwt_unsigned = jwt("none");
    let key = pem("", b"not DER at all, only an example of what a key looks like, long enough to be one");
    let github = format!("gh{}{}000000", "p_", noise(30, WORD));
    for text in [
        aws.as_str(),
        &format!("x{}", summed(&format!("gh{}", "p_"))),
        &github,
        &jwt_unsigned,
        &key,
        "postgres://user:${PASSWORD}@db/app",
        "{\"credHelpers\": {\"gcr.io\": \"gcr\"}, \"auths\": {\"r.example.com\": {}}}",
        "root:*:19000:0:99999:7:::",
        "daemon:!:19000:0:99999:7:::",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
        "https://example.com/path?x=1:2@3",
        // Of aiohttp, botocore, uvicorn, redis, httpx and a list of packages.
        "                proxy_auth = self._default_proxy_auth",
        "    get_auth = get_auth_instance\n_auth = get_auth_instance",
        "        self.ssl_keyfile_password = ssl_keyfile_password",
        "            redis://[[username]:[password]]@localhost:6379/0",
        "    url = \"https://jo%40email.com:a%20secret@www.example.com\"",
        "Package: libdatadog-dev\nMD5sum: cd8a5b1c9e7f42d3a6b8c0d1e2f30415",
        "glpat-xxxxxxxxxxxxxxxxxxxx",
        // Of a program that knows GitLab's tokens.
        "glcbt-glffct-glagent-gloas-glptt-glsoat-glimt-glpat-glft-glrt-gldt-\n",
        // Of `settings.xml` and AWS's command line.
        "<server>\n<id>deploymentRepo</id>\n<username>repouser</username>\n<password>repopwd</password>\n</server>",
        "[pypi]\nusername: aws\npassword: {auth_token}",
        "type line struct { machine string\n login string\n password string }",
        "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        // Of apt's manual page and of a README.
        "machine example\\&.orga login apt password debian",
        "machine example.org\nlogin apt\npassword debian",
    ] {
        assert_eq!(rules("app/file.txt", text.as_bytes()), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_web_token_that_has_expired_is_of_little_weight() {
    for (claims, expected) in [
        ("{\"exp\":1516239022}", ("TW-SEC-JWT-EXPIRED", Severity::Low)),
        ("{\"exp\":1.5e9}", ("TW-SEC-JWT-EXPIRED", Severity::Low)),
        ("{\"exp\":4102444800}", ("TW-SEC-JWT", Severity::Medium)),
        ("{\"exp\":\"soon\"}", ("TW-SEC-JWT", Severity::Medium)),
        ("{\"sub\":\"a\"}", ("TW-SEC-JWT", Severity::Medium)),
    ] {
        let found = found("app/file.txt", jwt_with("HS256", claims).as_bytes());
        let found: Vec<_> = found.iter().map(|one| (one.rule.as_str(), one.severity)).collect();
        assert_eq!(found, [expected], "{claims}");
    }
}

#[test]
fn a_user_without_a_password_is_found_whatever_else_is_not_stated() {
    for (line, is_found) in [
        ("root:::0:::::", true),
        ("bob::::::::", true),
        ("bob::19000:0:99999:7:::", true),
        ("bob::19000:0:90:7:30:20000:", true),
        ("root:*:::::::", false),
        ("root:!::0:::::", false),
        ("fe80::1:2:3:4:5:6", false),
        (":::note", false),
    ] {
        let file = format!("daemon:*:19000:0:99999:7:::\n{line}\nnobody:*:19000:0:99999:7:::\n");
        let found = rules("etc/shadow", file.as_bytes());
        assert_eq!(found == ["TW-SEC-SHADOW-EMPTY"], is_found, "{line}: {found:?}");
    }
}

#[test]
fn a_token_that_was_compiled_into_a_program_is_found() {
    let token = summed(&format!("gh{}", "p_"));
    let program = [b"\x7fELF\0\0\0\0".as_slice(), &[0; 5000], token.as_bytes(), &[0, 1, 2]].concat();
    let found = found("usr/bin/tool", &program);
    assert_eq!(found[0].rule, "TW-SEC-GITHUB-TOKEN");
    assert_eq!(found[0].line, None);
    let words = [b"\0".as_slice(), b"aws_secret_access_key = ", noise(40, WORD).as_bytes()].concat();
    assert_eq!(rules("usr/bin/tool", &words), Vec::<String>::new(), "names prove nothing in a program");
}

#[test]
fn text_of_two_bytes_a_character_is_read() {
    let token = summed(&format!("gh{}", "p_"));
    let text = format!("one\ntoken={token}\n");
    for (mark, low_first) in [([0xff, 0xfe], true), ([0xfe, 0xff], false)] {
        let units = text.bytes().flat_map(|byte| if low_first { [byte, 0] } else { [0, byte] });
        let wide: Vec<u8> = mark.into_iter().chain(units).collect();
        for piece in [wide.len(), 1, 3, 64, 67] {
            let found = in_pieces(&wide, piece);
            assert_eq!((found[0].rule.as_str(), found[0].line), ("TW-SEC-GITHUB-TOKEN", Some(2)));
        }
    }
}

#[test]
fn settings_files_give_away_what_stands_under_a_telling_name() {
    let strong = noise(24, WORD);
    for (path, text, expected) in [
        ("app/.env", format!("DB_PASSWORD={strong}\n"), Some(Severity::Medium)),
        ("app/.env", "DB_PASSWORD=Winter2024\n".to_owned(), Some(Severity::Low)),
        ("app/config.json", format!("{{\"apiKey\": \"{strong}\"}}"), Some(Severity::Medium)),
        ("app/settings.xml", format!("<password>{strong}</password>"), Some(Severity::Medium)),
        ("app/.env", "DB_PASSWORD_FILE=/run/secrets/db-password1\n".to_owned(), None),
        ("app/ci.yml", "secrets:\n  CARGO_REGISTRY_TOKEN:\n    required: true\n".to_owned(), None),
        // Of Tomcat's messages.
        (
            "app/LocalStrings.properties",
            "realm.credentialNotDelegated=Credential for user\n".to_owned(),
            None,
        ),
        ("app/a.properties", "db.password=Credential\n".to_owned(), Some(Severity::Low)),
        ("app/a.yml", "password: \"Sunshine garden\"\n".to_owned(), Some(Severity::Low)),
        ("app/a.json", "{\"password\": \"hunter23:\"}\n".to_owned(), Some(Severity::Low)),
        ("app/.env", "DB_PASSWORD=${DB_PASSWORD}\n".to_owned(), None),
        ("app/.env", "PASSWORD_POLICY=strict-and-long-1\n".to_owned(), None),
        ("app/main.py", format!("DB_PASSWORD = '{strong}'"), Some(Severity::Low)),
        ("app/main.php", "$password = 'Winter2024';".to_owned(), None),
        ("app/main.js", format!("token: {strong}.value,"), None),
        ("app/main.rs", format!("let password = \"{strong}\";"), None),
        ("usr/lib/node_modules/x/config.json", format!("{{\"apiKey\": \"{strong}\"}}"), None),
    ] {
        let severity = found(path, text.as_bytes()).first().map(|found| found.severity);
        assert_eq!(severity, expected, "{path}: {text}");
    }
}

#[test]
fn settings_that_come_in_pieces_are_looked_at_as_a_whole() {
    let text = format!("{}DB_PASSWORD={}\n", "# a comment\n".repeat(60_000), noise(24, WORD));
    let secrets = Secrets::built_in();
    let mut search = secrets.search(b"app/.env", text.len() as u64);
    text.as_bytes().chunks(1000).for_each(|piece| search.feed(piece));
    let found = search.finish().found;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].rule.as_str(), found[0].line), ("TW-SEC-ASSIGNMENT", Some(60_001)));
}

#[test]
fn a_key_is_what_its_place_says() {
    let key = pem("", &samples::der());
    let severity = |path: &str| found(path, key.as_bytes())[0].severity;
    assert_eq!(severity("etc/ssl/private/ssl-cert-snakeoil.key"), Severity::Low);
    assert_eq!(severity("etc/ssl/private/server.key"), Severity::High);
    for (path, expected) in [
        ("etc/ssh/ssh_host_rsa_key", "TW-SEC-SSH-HOST-KEY"),
        ("srv/jail/etc/ssh/ssh_host_ed25519_key", "TW-SEC-SSH-HOST-KEY"),
        ("etc/ssh/ssh_host_rsa_key.old", "TW-SEC-PRIVATE-KEY"),
        ("root/.ssh/ssh_host_rsa_key", "TW-SEC-PRIVATE-KEY"),
    ] {
        let found = &found(path, key.as_bytes())[0];
        assert_eq!((found.rule.as_str(), found.severity), (expected, Severity::High), "{path}");
    }
    let django = format!("SECRET_KEY = '{}{}'", "django-insecure", "-".to_owned() + &noise(50, WORD));
    assert_eq!(rules("app/notes.txt", django.as_bytes()), ["TW-SEC-DJANGO-INSECURE"]);
}

#[test]
fn a_token_under_a_telling_name_is_told_of_once() {
    let text = format!("TOKEN={}\n", summed(&format!("gh{}", "p_")));
    assert_eq!(rules("app/.env", text.as_bytes()), ["TW-SEC-GITHUB-TOKEN"]);
}

#[test]
fn the_same_secret_has_the_same_fingerprint_and_another_key_another_one() {
    let token = summed(&format!("gh{}", "p_"));
    let of = |secrets: &Secrets, text: &str| {
        let mut search = secrets.search(b"x", text.len() as u64);
        search.feed(text.as_bytes());
        search.finish().found[0].fingerprint.clone().unwrap()
    };
    let theirs = Secrets::new(Key::Site(b"theirs"), OwnRules::default());
    let ours = Secrets::new(Key::Site(b"ours"), OwnRules::default());
    assert_eq!(of(&ours, &token), of(&ours, &format!("elsewhere {token} ")));
    assert_ne!(of(&ours, &token), of(&theirs, &token));
    assert_ne!(ours.revision(), theirs.revision());
}

/// SCANNING 8, 145.
#[test]
fn no_observation_and_no_masked_text_has_the_secret() {
    for (rule, sample) in samples() {
        let shown = serde_json::to_string(&found("app/.env", sample.as_bytes())).unwrap();
        let masked = Secrets::built_in().without_secrets(&sample);
        // The longest word of a sample is its secret.
        let secret =
            sample.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|word| word.len()).unwrap();
        if rule != "TW-SEC-SHADOW-EMPTY" {
            assert!(!shown.contains(secret), "{rule}: {shown}");
            assert!(!masked.contains(secret), "{rule}: {masked}");
        }
    }
}

#[test]
fn a_file_full_of_secrets_gives_a_bounded_number() {
    let text: String =
        (0..1000).map(|n| format!("postgres://a:{}{n}@h.example/d\n", noise(12, WORD))).collect();
    assert!(found("x.txt", text.as_bytes()).len() <= 100);
}

fn in_pieces(content: &[u8], piece: usize) -> Vec<FoundObservation> {
    let secrets = Secrets::built_in();
    let mut search = secrets.search(b"app/file.txt", content.len() as u64 + 1);
    content.chunks(piece.max(1)).for_each(|piece| search.feed(piece));
    search.finish().found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// SCANNING 8, 138.
    #[test]
    fn hits_do_not_depend_on_where_blocks_are_cut(
        before in 0_usize..400_000,
        behind in 0_usize..40_000,
        which in 0_usize..100,
        piece in 1_usize..300_000,
    ) {
        let samples = samples();
        let (_, sample) = &samples[which % samples.len()];
        let filler = |length: usize| "lorem ipsum\n".bytes().cycle().take(length).collect::<Vec<u8>>();
        let content = [filler(before), b"\n".to_vec(), sample.clone().into_bytes(), b"\n".to_vec(), filler(behind)].concat();
        let whole = found("app/file.txt", &content);
        prop_assert!(!whole.is_empty());
        prop_assert_eq!(in_pieces(&content, piece.max(997)), whole);
    }

    #[test]
    fn what_was_compiled_into_a_program_is_found_wherever_it_lies(before in 0_usize..3000, behind in 0_usize..3000, zero in 0x80_u8..) {
        let reaches = |id: &str| rules::all().any(|rule| rule.kind.id == id && rule.reach == Reach::Everywhere);
        for (rule, sample) in samples().iter().filter(|(rule, _)| reaches(rule)) {
            let content = [&[0], &*vec![zero; before], sample.as_bytes(), &vec![zero; behind]].concat();
            prop_assert!(rules("usr/bin/tool", &content).contains(&(*rule).to_owned()), "{}", rule);
        }
    }

    #[test]
    fn i7_no_bytes_panic(content in proptest::collection::vec(any::<u8>(), 0..4000), path in "[a-z./]{0,20}(\\.gz|\\.env|\\.git/objects/pack/x\\.pack)?") {
        let _ = rules(&path, &content);
    }
}
#[test]
fn no_built_in_rule_makes_every_byte_of_programs_be_searched() {
    let everywhere = Secrets::built_in();
    let mut rules = everywhere.rules.iter().filter(|rule| rule.reach == Reach::Everywhere);
    assert!(rules.all(|rule| rule.surroundings == Surroundings::Text));
}
