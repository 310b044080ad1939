//! Layers over lines that break, stall, and end too late.

use std::time::Duration;

use futures_util::FutureExt;

use super::super::RegistryError;
use super::server::{Act, Heard, Server, head, say};
use super::{blob_of, client, config, image, read, told};

const LAYER: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Promises the whole layer and hangs up after `sent` bytes.
fn cut_off(sent: usize) -> Vec<Act> {
    let length = LAYER.len().to_string();
    vec![Act::Send([head(200, &[("content-length", &length)]).as_slice(), &LAYER[..sent]].concat())]
}

fn rest_from(offset: usize) -> Vec<Act> {
    let range = format!("bytes {offset}-{}/{}", LAYER.len() - 1, LAYER.len());
    say(206, &[("content-range", &range)], &LAYER[offset..])
}

/// What a client reads, and which ranges it asked for.
async fn check(
    answer: impl Fn(&Heard, usize) -> Vec<Act> + Send + Sync + 'static,
    expected: Result<&[u8], &str>,
    ranges: &[Option<&str>],
) {
    let server = Server::start(answer).await;
    let read = read(&client(config(server.host().as_str())), &image(&server.host()), &blob_of(LAYER)).await;
    match (&read, expected) {
        (Ok(bytes), Ok(expected)) => assert_eq!(bytes, expected),
        (Err(error), Err(expected)) => assert!(told(error).contains(expected), "{}", told(error)),
        _ => panic!("{read:?} is not {expected:?}"),
    }
    let heard = server.heard();
    let asked: Vec<Option<&str>> = heard.iter().map(|heard| heard.header("range")).collect();
    assert_eq!(asked, ranges);
}

#[tokio::test]
async fn a_cut_off_layer_goes_on_where_it_broke() {
    let answer = |_: &Heard, before| match before {
        0 => cut_off(10),
        _ => rest_from(10),
    };
    check(answer, Ok(LAYER), &[None, Some("bytes=10-")]).await;
}

#[tokio::test]
async fn a_server_without_ranges_sends_it_all_again_and_nothing_is_read_twice() {
    let answer = |_: &Heard, before| match before {
        0 => cut_off(10),
        1 => cut_off(20),
        _ => say(200, &[], LAYER),
    };
    check(answer, Ok(LAYER), &[None, Some("bytes=10-"), Some("bytes=20-")]).await;
}

#[tokio::test]
async fn a_server_with_wrong_ranges_is_asked_for_everything() {
    let answer = |_: &Heard, before| match before {
        0 => cut_off(10),
        1 => say(206, &[("content-range", "bytes 0-35/36")], LAYER),
        _ => say(200, &[], LAYER),
    };
    check(answer, Ok(LAYER), &[None, Some("bytes=10-"), None]).await;
    let answer = |_: &Heard, before| match before {
        0 => cut_off(10),
        1 => say(416, &[], b""),
        _ => say(200, &[], LAYER),
    };
    check(answer, Ok(LAYER), &[None, Some("bytes=10-"), None]).await;
}

#[tokio::test]
async fn a_line_that_keeps_breaking_is_given_up() {
    let answer = |_: &Heard, _| cut_off(10);
    let asked = [None, Some("bytes=10-"), Some("bytes=10-"), Some("bytes=10-")];
    check(answer, Err("did not deliver blob"), &asked).await;
}

#[tokio::test]
async fn i7_a_layer_longer_than_its_descriptor_ends_one_byte_late() {
    let longer = [LAYER, b"!?", &[b'x'; 100_000]].concat();
    let expected = [LAYER, b"!"].concat();
    check(move |_, _| say(200, &[], &longer), Ok(&expected), &[None]).await;
    let endless = |_: &Heard, _| {
        vec![
            Act::Send([head(200, &[]).as_slice(), LAYER].concat()),
            Act::Repeat(b"!".to_vec(), Duration::ZERO),
        ]
    };
    check(endless, Ok(&expected), &[None]).await;
}

#[tokio::test]
async fn i5_a_layer_shorter_than_its_descriptor_is_another_layer() {
    check(|_, _| say(200, &[], &LAYER[..9]), Err("does not match its digest and size"), &[None]).await;
}

#[tokio::test]
async fn a_content_encoding_that_nobody_asked_for_is_refused() {
    let answer = |_: &Heard, _| say(200, &[("content-encoding", "gzip")], LAYER);
    check(answer, Err("content encoding"), &[None]).await;
}

#[tokio::test]
async fn i7_a_server_that_drips_is_given_up() {
    let server = Server::start(|_, _| {
        let length = LAYER.len().to_string();
        vec![
            Act::Send(head(200, &[("content-length", &length)])),
            Act::Repeat(b"x".to_vec(), Duration::from_millis(20)),
        ]
    })
    .await;
    let mut config = config(server.host().as_str());
    config.timeouts.window = Duration::from_millis(60);
    config.retries = 1;
    let mut descriptor = blob_of(LAYER);
    descriptor.size = 1 << 30;
    let error = read(&client(config), &image(&server.host()), &descriptor).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable { .. }));
    assert!(told(&error).contains("bytes arrived in 0.06 seconds"), "{}", told(&error));
}

#[tokio::test]
async fn i7_a_server_that_never_answers_is_given_up() {
    let server = Server::start(|_, _| vec![Act::Repeat(Vec::new(), Duration::from_secs(1))]).await;
    let mut config = config(server.host().as_str());
    config.timeouts.first_byte = Duration::from_millis(50);
    config.retries = 1;
    let outcome = client(config).blob(&image(&server.host()), &blob_of(LAYER)).await;
    let error = outcome.err().unwrap();
    assert!(told(&error).contains("no answer within 0.05 seconds"), "{}", told(&error));
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn layers_take_turns_and_documents_do_not_wait_for_them() {
    let server = Server::start(|_, _| say(200, &[], LAYER)).await;
    let mut config = config(server.host().as_str());
    config.concurrency = std::num::NonZeroUsize::MIN;
    let (client, name) = (client(config), image(&server.host()));
    let first = client.blob(&name, &blob_of(LAYER)).await.unwrap();
    let digest = crate::model::digest::Digest::of(LAYER);
    assert!(client.raw_document(&name, &digest).await.is_ok());
    let descriptor = blob_of(LAYER);
    let mut second = std::pin::pin!(client.blob(&name, &descriptor));
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(server.heard().len(), 2);
    drop(first);
    assert!(second.await.is_ok());
}
