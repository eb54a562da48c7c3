//! Calls over TLS: HTTP/1.1 and HTTP/2 as the server offers them, an authority of one's own, and nobody else's.

// Helpers outside of `#[test]` functions may fail loudly too.
#![allow(clippy::unwrap_used)]

mod tls_server;

use std::net::SocketAddr;

use interfuse::types::{ChatRequest, Config, Message};
use interfuse::{Client, ErrorKind};
use serde_json::json;
use tls_server::server;

fn client(address: SocketAddr, ca_file: Option<&std::path::Path>) -> Client {
    let config = json!({
        "use_environment": false,
        "providers": {"up": {"base_url": format!("https://localhost:{}/v1", address.port()), "api_key": "k"}},
        "network": {"ca_file": ca_file},
        "retries": {"max_retries": 0}
    });
    Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap()
}

fn ask() -> ChatRequest {
    ChatRequest::new("up/m", [Message::user("hi")])
}

#[tokio::test]
async fn the_version_the_server_offers_is_spoken() {
    for (alpn, spoken) in [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"][..], "HTTP/1.1")] {
        let (address, pem) = server(alpn).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        let answer = client(address, Some(file.path())).chat(ask()).await.unwrap();
        assert_eq!(answer.text(), spoken);
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (address, _) = server(&["http/1.1"]).await;
    let error = client(address, None).chat(ask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(error.message().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_file_without_certificates_is_named() {
    let (address, _) = server(&["http/1.1"]).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = client(address, Some(file.path())).chat(ask()).await.unwrap_err();
    assert_eq!((error.kind(), error.body().param.as_deref()), (ErrorKind::InvalidConfig, Some("network.ca_file")));
}
