//! The contract of a signer, for a key in the process and for a service over real HTTP; and services that misbehave.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey;
use secrecy::ExposeSecret;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::super::keys::{PrivateKey, PublicKey};
use super::super::signer::{Hook, HookSettings, KeyFile, SignError, Signer};
use crate::outgoing::Egress;

/// Every signer: what it signs verifies with its own public key, names that key, and is DER.
async fn contract(signer: &dyn Signer) {
    for message in [b"".as_slice(), b"DSSEv1 1 a 1 b", &[0xff; 5000]] {
        let signature = signer.sign(message).await.unwrap();
        assert!(signer.public_key().has_signed(message, &signature));
        assert!(!signer.public_key().has_signed(b"something else", &signature));
        assert_eq!(signature.key.as_deref(), Some(signer.public_key().id()));
        assert_eq!(signature.bytes[0], 0x30, "a DER sequence");
    }
}

/// What the service answers to a digest.
type Reply = dyn Fn(&[u8]) -> (u16, String) + Send + Sync;

/// A small HTTP server that is asked for signatures; remembers the heads of its requests.
async fn service(reply: Arc<Reply>) -> (url::Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sign", listener.local_addr().unwrap()).parse().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while stream.read_line(&mut head).await.unwrap() > 2 {}
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            let question: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(question["algorithm"], "ecdsa-p256-sha256");
            log.lock().unwrap().push(head);
            let digest = STANDARD.decode(question["digest"].as_str().unwrap()).unwrap();
            let (status, text) = reply(&digest);
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (url, heard)
}

/// Signs digests with `key`, as a key management service does.
fn signing(key: &PrivateKey) -> Arc<Reply> {
    let key = SigningKey::from_pkcs8_pem(key.to_pem().expose_secret()).unwrap();
    Arc::new(move |digest| {
        let signature: Signature = key.sign_prehash(digest).unwrap();
        (200, format!("{{\"signature\":\"{}\"}}", STANDARD.encode(signature.to_der().as_bytes())))
    })
}

fn hook(url: url::Url, key: &PublicKey) -> HookSettings {
    HookSettings {
        url,
        token_file: None,
        public_key: key.clone(),
        timeout: Duration::from_secs(5),
        ca_certificates: Vec::new(),
        egress: Egress::default(),
    }
}

#[tokio::test]
async fn a_key_file_keeps_the_contract() {
    contract(&KeyFile::new(PrivateKey::generate().unwrap())).await;
}

#[tokio::test]
async fn a_signing_service_keeps_the_contract_and_is_shown_its_token() {
    let key = PrivateKey::generate().unwrap();
    let (url, heard) = service(signing(&key)).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    let hook =
        Hook::new(HookSettings { token_file: Some(token.clone()), ..hook(url, key.public()) }).unwrap();
    contract(&hook).await;
    std::fs::write(&token, "second").unwrap();
    hook.sign(b"x").await.unwrap();
    let heard = heard.lock().unwrap();
    assert!(heard[0].contains("authorization: bearer first"), "{}", heard[0]);
    assert!(heard.last().unwrap().contains("authorization: bearer second"), "a rotated token is used");
}

#[tokio::test]
async fn a_service_that_misbehaves_gives_no_signature() {
    let key = PrivateKey::generate().unwrap();
    let other = PrivateKey::generate().unwrap();
    let told = async |reply: Arc<Reply>| {
        let (url, _) = service(reply).await;
        Hook::new(hook(url, key.public())).unwrap().sign(b"x").await.unwrap_err()
    };
    assert!(matches!(told(signing(&other)).await, SignError::WrongKey(_)));
    assert!(matches!(told(Arc::new(|_| (500, String::new()))).await, SignError::Unavailable(_)));
    assert!(matches!(told(Arc::new(|_| (403, String::new()))).await, SignError::Refused(_)));
    assert!(matches!(told(Arc::new(|_| (302, String::new()))).await, SignError::Refused(_)));
    assert!(matches!(told(Arc::new(|_| (200, "{}".to_owned()))).await, SignError::Refused(_)));
    assert!(matches!(
        told(Arc::new(|_| (200, "{\"signature\":\"*\"}".to_owned()))).await,
        SignError::Refused(_)
    ));
    assert!(matches!(told(Arc::new(|_| (200, " ".repeat(20_000)))).await, SignError::Refused(_)));
}

#[tokio::test]
async fn a_service_that_never_answers_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let key = PrivateKey::generate().unwrap();
    let settings = HookSettings { timeout: Duration::from_millis(100), ..hook(url, key.public()) };
    assert!(matches!(Hook::new(settings).unwrap().sign(b"x").await, Err(SignError::Unavailable(_))));
}
