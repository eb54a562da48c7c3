//! Images at addresses, fetched on request: from public addresses only, as they were checked, within bounds.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use interfuse::backend::KeySources;
use interfuse::clock::SystemClock;
use interfuse::engine::Parts;
use interfuse::http::{HttpResponse, ReqwestTransport, Web};
use interfuse::types::{ChatRequest, Config, UsageQuery};
use interfuse::{Catalog, Client, Error, ErrorKind};
use interfuse_tests::upstream::Upstream;
use serde_json::{Value, json};

/// A web whose names are told by the test, and whose public addresses all lead to the scripted upstream.
struct Staged {
    names: BTreeMap<&'static str, Vec<IpAddr>>,
    real: ReqwestTransport,
    upstream: SocketAddr,
    /// Addresses that were connected to.
    reached: Mutex<Vec<SocketAddr>>,
    /// Names that were asked for.
    resolved: Mutex<Vec<String>>,
}

type Later<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

impl Web for Staged {
    fn resolve(&self, host: &str, port: u16) -> Later<io::Result<Vec<SocketAddr>>> {
        let mut resolved = self.resolved.lock().unwrap();
        // A name whose owner answers the second question otherwise.
        let again = host == "rebinding.example" && resolved.iter().any(|name| name == host);
        resolved.push(host.to_owned());
        let found = self
            .names
            .get(if again { "inside.example" } else { host })
            .map(|ips| ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect());
        let found = found.ok_or_else(|| io::Error::other("no such name"));
        Box::pin(std::future::ready(found))
    }

    fn get(&self, mut url: url::Url, addresses: Vec<SocketAddr>, idle: Duration) -> Later<Result<HttpResponse, Error>> {
        self.reached.lock().unwrap().extend(addresses);
        url.set_port(Some(self.upstream.port())).unwrap();
        self.real.get(url, vec![self.upstream], idle)
    }
}

const NAMES: &[(&str, &[&str])] = &[
    ("pics.example", &["93.184.216.34", "2606:2800:220:1::1"]),
    ("inside.example", &["10.0.0.7"]),
    ("both.example", &["93.184.216.34", "127.0.0.1"]),
    ("mapped.example", &["::ffff:169.254.169.254"]),
    ("rebinding.example", &["93.184.216.34"]),
    ("metadata.google.internal", &["169.254.169.254"]),
    ("empty.example", &[]),
    ("later.example", &["8.8.8.8", "1.1.1.1", "fd00:ec2::254"]),
];

async fn staged(routes: Value) -> (Upstream, Arc<Staged>, Client) {
    let upstream = Upstream::start(json!({ "routes": routes })).await.unwrap();
    let config: Config = serde_json::from_value(json!({
        "use_environment": false,
        "providers": {"up": {"base_url": format!("{}/v1", upstream.base_url()), "api_key": "k-1"}}
    }))
    .unwrap();
    let web = Arc::new(Staged {
        names: NAMES.iter().map(|(name, ips)| (*name, ips.iter().map(|ip| ip.parse().unwrap()).collect())).collect(),
        real: ReqwestTransport::new(config.network.clone(), &config.timeouts),
        upstream: upstream.base_url().trim_start_matches("http://").parse().unwrap(),
        reached: Mutex::default(),
        resolved: Mutex::default(),
    });
    let parts = Parts {
        catalog: Catalog::builtin(),
        transport: None,
        web: Some(web.clone()),
        ledger: None,
        clock: Arc::new(SystemClock),
        keys: KeySources::new(),
    };
    (upstream, web, Client::with_parts(config, parts).unwrap())
}

fn showing(urls: &[&str]) -> ChatRequest {
    let parts: Vec<Value> = urls.iter().map(|url| json!({"type": "image_url", "image_url": {"url": url}})).collect();
    serde_json::from_value(
        json!({"model": "up/m", "fetch_images": true, "messages": [{"role": "user", "content": parts}]}),
    )
    .unwrap()
}

fn picture() -> Value {
    json!({"when": {"path": "/cat.png"}, "then": {"headers": {"content-type": "image/PNG; q=1"}, "body_base64": "iVBORw0KGgo="}})
}

fn chat() -> Value {
    json!({"when": {"path": "/v1/chat/completions"}, "then": {"answer": "A cat."}})
}

#[tokio::test]
async fn a_public_image_is_sent_as_its_bytes() {
    let (up, web, client) = staged(json!([picture(), chat()])).await;
    let given = "data:image/gif;base64,R0lGOD";
    let request = showing(&["http://pics.example/cat.png", given, "gs://bucket/x.png", "http://pics.example/cat.png"]);
    let answer = client.chat(request).await.unwrap();
    assert_eq!(answer.interfuse.unwrap().attempts.len(), 1);

    let log = up.log();
    assert_eq!(log.len(), 2, "one fetch for both places, one call: {log:?}");
    assert_eq!((log[0].method.as_str(), log[0].path.as_str()), ("GET", "/cat.png"));
    assert!(log[0].headers["host"].starts_with("pics.example"));
    for absent in ["authorization", "cookie", "referer", "accept-encoding"] {
        assert!(!log[0].headers.contains_key(absent), "{absent}");
    }
    let sent = &log[1].body;
    let urls: Vec<&str> =
        (0..4).map(|i| sent["messages"][0]["content"][i]["image_url"]["url"].as_str().unwrap()).collect();
    let png = "data:image/png;base64,iVBORw0KGgo=";
    assert_eq!(urls, [png, given, "gs://bucket/x.png", png]);
    assert!(sent.get("fetch_images").is_none());
    let reached: Vec<String> = web.reached.lock().unwrap().iter().map(|a| a.ip().to_string()).collect();
    assert_eq!(reached, ["93.184.216.34", "2606:2800:220:1::1"], "the addresses that were checked, no others");
    assert_eq!(client.usage(UsageQuery::default()).unwrap().total.attempts, 1);
}

#[tokio::test]
async fn nothing_is_fetched_unasked() {
    let (up, web, client) = staged(json!([picture(), chat()])).await;
    let mut request = showing(&["http://pics.example/cat.png"]);
    request.fetch_images = None;
    client.chat(request).await.unwrap();
    assert!(web.reached.lock().unwrap().is_empty());
    let log = up.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].body["messages"][0]["content"][0]["image_url"]["url"], "http://pics.example/cat.png");
}

#[tokio::test]
async fn what_is_not_public_is_never_reached() {
    let (up, web, client) = staged(json!([picture(), chat()])).await;
    let cases = [
        // By name.
        ("http://inside.example/cat.png", "`inside.example`", "private"),
        ("http://both.example/cat.png", "`both.example`", "loopback"),
        ("http://mapped.example/cat.png", "`mapped.example`", "link-local"),
        ("http://later.example/cat.png", "`later.example`", "unique-local"),
        ("http://empty.example/cat.png", "`empty.example`", "no address"),
        ("http://nowhere.example/cat.png", "`nowhere.example`", "resolved"),
        ("http://localhost/cat.png", "`localhost`", "resolved"),
        // What clouds tell their machines.
        ("http://metadata.google.internal/computeMetadata/v1/", "`metadata.google.internal`", "link-local"),
        ("http://METADATA.google.internal/", "`metadata.google.internal`", "link-local"),
        ("https://169.254.169.254/latest/meta-data", "`169.254.169.254`", "link-local"),
        ("http://169.254.170.2/v2/credentials", "`169.254.170.2`", "link-local"),
        ("http://[fd00:ec2::254]/latest/meta-data", "`[fd00:ec2::254]`", "unique-local"),
        ("http://168.63.129.16/machine", "`168.63.129.16`", "a cloud's platform"),
        ("http://100.100.100.200/latest/meta-data", "`100.100.100.200`", "shared by a carrier"),
        ("http://192.0.0.192/opc/v2", "`192.0.0.192`", "kept for protocols"),
        // One address in other words.
        ("http://127.0.0.1/cat.png", "`127.0.0.1`", "loopback"),
        ("http://127.1/cat.png", "`127.0.0.1`", "loopback"),
        ("http://0x7f.1/cat.png", "`127.0.0.1`", "loopback"),
        ("http://0x7f000001/cat.png", "`127.0.0.1`", "loopback"),
        ("http://2130706433/cat.png", "`127.0.0.1`", "loopback"),
        ("http://017700000001/cat.png", "`127.0.0.1`", "loopback"),
        ("http://0177.0.0.01/cat.png", "`127.0.0.1`", "loopback"),
        ("http://127.0.0.1./cat.png", "`127.0.0.1`", "loopback"),
        ("http://127%2e0%2e0%2e1/cat.png", "`127.0.0.1`", "loopback"),
        ("http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/cat.png", "`127.0.0.1`", "loopback"),
        ("http://2852039166/latest", "`169.254.169.254`", "link-local"),
        ("http://0xa9fea9fe/latest", "`169.254.169.254`", "link-local"),
        ("http://0251.0376.0251.0376/latest", "`169.254.169.254`", "link-local"),
        // IPv6, and IPv4 inside it.
        ("http://[::1]/cat.png", "`[::1]`", "loopback"),
        ("http://[::]/cat.png", "`[::]`", "unspecified"),
        ("http://[0:0:0:0:0:ffff:7f00:1]/cat.png", "`[::ffff:7f00:1]`", "loopback"),
        ("http://[::ffff:169.254.169.254]/", "`[::ffff:a9fe:a9fe]`", "link-local"),
        ("http://[::127.0.0.1]/cat.png", "`[::7f00:1]`", "not global"),
        ("http://[64:ff9b::a9fe:a9fe]/", "`[64:ff9b::a9fe:a9fe]`", "link-local"),
        ("http://[64:ff9b:1::a9fe:a9fe]/", "`[64:ff9b:1::a9fe:a9fe]`", "not global"),
        ("http://[2002:a9fe:a9fe::]/", "`[2002:a9fe:a9fe::]`", "a relay"),
        ("http://[2001:0:a9fe:a9fe::1]/", "`[2001:0:a9fe:a9fe::1]`", "kept for protocols"),
        ("http://[fe80::1]/cat.png", "`[fe80::1]`", "link-local"),
        // Blocks that lead nowhere else.
        ("http://0.0.0.0/cat.png", "`0.0.0.0`", "this network"),
        ("http://0/cat.png", "`0.0.0.0`", "this network"),
        ("http://10.0.0.1:8080/cat.png", "`10.0.0.1`", "private"),
        ("http://100.64.0.1/cat.png", "`100.64.0.1`", "shared by a carrier"),
        ("http://192.168.0.1/cat.png", "`192.168.0.1`", "private"),
        ("http://224.0.0.1/cat.png", "`224.0.0.1`", "multicast"),
        ("http://255.255.255.255/cat.png", "`255.255.255.255`", "reserved"),
        // Who else is asked, and as whom.
        ("http://user:word@pics.example/cat.png", "`pics.example`", "password"),
        ("http://user@pics.example/cat.png", "`pics.example`", "name or a password"),
        ("http://pics.example@127.0.0.1/cat.png", "`127.0.0.1`", "name or a password"),
        ("http://127.0.0.1\\@pics.example/cat.png", "`127.0.0.1`", "loopback"),
        ("http:/127.0.0.1/cat.png", "`127.0.0.1`", "loopback"),
        ("http:\t//127.0.0.1/cat.png", "`127.0.0.1`", "loopback"),
        ("HTTP://127.0.0.1/cat.png", "`127.0.0.1`", "loopback"),
    ];
    for (url, host, why) in cases {
        let error = client.chat(showing(&[url])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{url}: {error}");
        assert!(error.message().contains(host) && error.message().contains(why), "{url}: {error}");
        assert!(!error.message().contains("word@"), "{error}");
    }
    assert!(web.reached.lock().unwrap().is_empty());
    assert!(up.log().is_empty());
    assert_eq!(client.usage(UsageQuery::default()).unwrap().total.attempts, 0);
}

#[tokio::test]
async fn a_name_that_changes_its_address_after_the_check_gains_nothing() {
    let (up, web, client) = staged(json!([picture(), chat()])).await;
    client.chat(showing(&["http://rebinding.example/cat.png"])).await.unwrap();
    assert_eq!(*web.resolved.lock().unwrap(), ["rebinding.example"], "asked once: what was checked is connected to");
    let reached: Vec<String> = web.reached.lock().unwrap().iter().map(|a| a.ip().to_string()).collect();
    assert_eq!(reached, ["93.184.216.34"]);
    assert_eq!(up.log().len(), 2);
    // The next request is checked anew, and by now the name leads inside.
    let error = client.chat(showing(&["http://rebinding.example/cat.png"])).await.unwrap_err();
    assert!(error.message().contains("private"), "{error}");
    assert_eq!(up.log().len(), 2);
}

#[tokio::test]
async fn what_is_no_image_of_bounded_size_is_refused() {
    let png = json!({"content-type": "image/png"});
    let piece = "x".repeat(1 << 20);
    let mut endless: Vec<Value> = vec![json!({"send": piece}); 21];
    endless.push(json!({"stall": true}));
    let coded = json!({"content-type": "image/png", "content-encoding": "gzip"});
    let (up, _, client) = staged(json!([
        {"when": {"path": "/moved"}, "then": {"status": 302, "headers": {"location": "http://127.0.0.1/"}, "body": ""}},
        {"when": {"path": "/gone"}, "then": {"status": 404, "headers": png, "body": "x"}},
        {"when": {"path": "/page"}, "then": {"headers": {"content-type": "text/html"}, "body": "<html>"}},
        {"when": {"path": "/odd"}, "then": {"headers": {"content-type": "image/png\",x"}, "body": "x"}},
        {"when": {"path": "/coded"}, "then": {"headers": coded, "body": "x"}},
        {"when": {"path": "/empty"}, "then": {"headers": png, "body": ""}},
        {"when": {"path": "/large"}, "then": {"headers": png, "steps": endless}},
        {"when": {"path": "/slow"}, "then": {"headers": png, "steps": [{"stall": true}]}},
        chat()
    ]))
    .await;
    let cases = [
        ("moved", "redirects"),
        ("gone", "404"),
        ("page", "text/html"),
        ("odd", "no image"),
        ("coded", "gzip"),
        ("empty", "nothing"),
        ("large", "larger than 20 MiB"),
    ];
    for (path, why) in cases {
        let error = client.chat(showing(&[&format!("http://pics.example/{path}")])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{path}: {error}");
        assert!(error.message().contains("`pics.example`") && error.message().contains(why), "{path}: {error}");
    }
    let mut request = showing(&["http://pics.example/slow"]);
    request.timeout_ms = Some(80);
    assert_eq!(client.chat(request).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);

    let many: Vec<String> = (0..17).map(|i| format!("http://pics.example/{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let error = client.chat(showing(&many)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);

    let log = up.settled(Duration::from_secs(5)).await;
    assert_eq!(log.len(), cases.len() + 1, "no call was made: {log:?}");
    let closed = |path: &str| log.iter().find(|l| l.path == path).unwrap().client_closed_ms.is_some();
    assert!(closed("/large") && closed("/slow"));
}

#[tokio::test]
async fn claude_on_vertex_takes_no_address_and_another_target_does() {
    // Where there is another route, an answer is streamed inside.
    let events = json!([
        {"type": "message_start", "message": {"id": "m-1", "type": "message", "role": "assistant", "model": "claude", "content": [],
            "usage": {"input_tokens": 3, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a cat"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"}
    ]);
    let routes = json!([{"when": {"path": "/v1/messages"}, "then": {"sse": events}}]);
    let up = Upstream::start(json!({ "routes": routes })).await.unwrap();
    let config = json!({"use_environment": false, "providers": {
        "vertex": {"base_url": up.base_url(), "api_key": "k-1", "vars": {"project": "p"}},
        "anthropic": {"base_url": up.base_url(), "api_key": "k-2"}}});
    let client = Client::from_config(serde_json::from_value::<Config>(config).unwrap()).unwrap();
    let image = json!({"type": "image_url", "image_url": {"url": "https://pics.example/a.png"}});
    let mut request: ChatRequest = serde_json::from_value(json!({"model": "vertex/claude-haiku-4-5@20251001",
        "messages": [{"role": "user", "content": [image]}]}))
    .unwrap();
    let refused = client.chat(request.clone()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.body().param.as_deref()), (ErrorKind::Unsupported, Some("image_url")));
    assert!(refused.message().contains("fetch_images"), "{refused}");
    assert!(up.log().is_empty());

    request.models = Some(vec!["anthropic/claude-haiku-4-5".into()]);
    assert_eq!(client.chat(request).await.unwrap().text(), "a cat");
}
