use actix_web::http::header::HeaderName;
use shared::config::{AuthConfig, TokenConfig, TokenSecret};

use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn tokens(scopes: &[Scope]) -> Tokens {
    let secret = TokenSecret::Clear(SecretString::from("0123456789abcdef"));
    let token = TokenConfig { secret, scopes: scopes.to_vec() };
    Tokens::new(&AuthConfig { tokens: [("ci".to_owned(), token)].into(), ..AuthConfig::default() })
}

const EVERYWHERE: &[Credential] =
    &[Credential::Authorization, Credential::Header("x-own"), Credential::UrlParameter("token")];

async fn admitted(
    proof: &WebhookProof,
    credentials: &[Credential],
    shown: &[(&str, &str)],
    query: &str,
) -> bool {
    let (proof, headers) = (Proof::new(proof), headers(shown));
    let shown = Shown { headers: &headers, query };
    identify(shown, credentials, Listing::Listed(&proof), &Tokens(Vec::new())).await.is_ok()
}

#[tokio::test]
async fn a_token_may_be_shown_where_its_sender_can_put_one_and_nowhere_else() {
    let token = WebhookProof::Token("Bearer harbor".into());
    for (shown, query, expected) in [
        (&[("authorization", "Bearer harbor")][..], "", true),
        (&[("authorization", "bearer Bearer harbor")], "", true),
        (&[("x-own", "Bearer harbor")], "", true),
        (&[], "token=Bearer+harbor", true),
        (&[], "a=b&token=Bearer%20harbor", true),
        (&[], "token=Bearer+harbo", false),
        (&[], "access_token=Bearer+harbor", false),
        (&[("authorization", "Bearer harborr")], "", false),
        (&[("x-other", "Bearer harbor")], "", false),
        (&[], "", false),
    ] {
        assert_eq!(admitted(&token, EVERYWHERE, shown, query).await, expected, "{shown:?} {query}");
    }
    assert!(!admitted(&token, &[Credential::Authorization], &[("x-own", "Bearer harbor")], "").await);
    assert!(!admitted(&token, &[Credential::Authorization], &[], "token=Bearer+harbor").await);
}

#[tokio::test]
async fn a_chosen_header_and_basic_are_compared_whole() {
    let own = WebhookProof::Header { name: "x-api-key".to_owned(), secret: "tide-key".into() };
    for (shown, expected) in [
        (&[("x-api-key", "tide-key")][..], true),
        (&[("x-api-key", "tide-ke")], false),
        (&[("authorization", "tide-key")], false),
        (&[], false),
    ] {
        assert_eq!(admitted(&own, &[Credential::ChosenHeader], shown, "").await, expected, "{shown:?}");
    }
    let basic = WebhookProof::Basic { username: "jane.joe".to_owned(), password: "opensesame".into() };
    for (shown, expected) in [
        (&[("authorization", "Basic amFuZS5qb2U6b3BlbnNlc2FtZQ==")][..], true),
        (&[("authorization", "basic amFuZS5qb2U6b3BlbnNlc2FtZQ==")], true),
        (&[("authorization", "Bearer amFuZS5qb2U6b3BlbnNlc2FtZQ==")], false),
        (&[("authorization", "Basic amFuZS5qb2U6b3BlbnNlc2FtZQ")], false),
        (&[("authorization", "Basic")], false),
    ] {
        assert_eq!(admitted(&basic, &[Credential::Authorization], shown, "").await, expected, "{shown:?}");
    }
}

#[tokio::test]
async fn unlisted_sources_need_an_api_token_and_only_a_bare_server_needs_nothing() {
    let shown = headers(&[("authorization", "Bearer 0123456789abcdef")]);
    let nobody = HeaderMap::new();
    let none = Tokens(Vec::new());
    for (headers, listing, tokens, expected) in [
        (&shown, Listing::Unlisted, &tokens(&[Scope::Push]), true),
        (&shown, Listing::NothingListed, &tokens(&[Scope::Push]), true),
        (&shown, Listing::Unlisted, &tokens(&[Scope::Read]), false),
        (&nobody, Listing::Unlisted, &tokens(&[Scope::Push]), false),
        (&nobody, Listing::Unlisted, &none, false),
        (&nobody, Listing::NothingListed, &none, true),
    ] {
        let known = identify(Shown { headers, query: "" }, EVERYWHERE, listing, tokens).await;
        assert_eq!(known.is_ok(), expected);
    }
}

#[test]
fn a_proof_that_a_sender_cannot_give_is_refused_with_what_it_can() {
    let url_only = &[Credential::UrlParameter("token")];
    assert!(offers(url_only, &WebhookProof::Token("x".into())).is_ok());
    let (key, offer) = offers(url_only, &WebhookProof::Hmac("x".into())).unwrap_err();
    assert_eq!((key, offer.as_str()), ("hmac_secret", "token (shown in the URL as ?token=), open"));
    assert!(offers(&[], &WebhookProof::Nothing).is_ok());
}

#[test]
fn only_the_first_signature_that_is_there_counts() {
    let credentials = &[
        Credential::Signature(Signature::sha256("x-first")),
        Credential::Signature(Signature::sha256("x-second")),
    ];
    let secret = SecretString::from("key");
    let body = b"The quick brown fox jumps over the lazy dog";
    let good = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
    for (shown, expected) in [
        (&[("x-first", good)][..], true),
        (&[("x-second", good)], true),
        (&[("x-first", "00"), ("x-second", good)], false),
        (&[], false),
    ] {
        assert_eq!(is_signed_by(&secret, credentials, &headers(shown), body), expected, "{shown:?}");
    }
}
