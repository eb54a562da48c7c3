//! Calls over TLS: HTTP/1.1 and HTTP/2 as the server offers them, an authority of one's own, and nobody else's.

// Helpers outside of `#[test]` functions may fail loudly too.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use interfuse::types::{ChatRequest, Config, Message};
use interfuse::{Client, ErrorKind};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A server that answers with the HTTP version it was asked in; gives its address and its certificate.
async fn server(alpn: &[&str]) -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    tls.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that refuses the certificate ends the handshake.
                let Ok(socket) = acceptor.accept(socket).await else { return };
                let answer = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                    let said = format!("{:?}", request.version());
                    let body = json!({"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]});
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from(body.to_string()))))
                });
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await;
            });
        }
    });
    (address, made.cert.pem())
}

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
