//! Images that stand at addresses, put into the request itself where the caller asks for that. Only public addresses are
//! reached, checked after the name is resolved and connected to as they were checked; no redirects, no credentials.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{StreamExt, TryStreamExt, iter};
use http::header::CONTENT_TYPE;
use tokio::time::Instant;
use url::{Host, Url};

use super::{Engine, total};
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Body, Web, coding, not_public};
use crate::types::{ChatRequest, Content, ContentPart, Timeout};

/// Largest image, bytes.
const MAX_IMAGE: usize = 20 << 20;
/// Most images of one request that are fetched.
const MAX_IMAGES: usize = 16;
/// Longest wait between two pieces of one where nobody says.
const IDLE: Duration = Duration::from_secs(60);
/// Images fetched at once.
const AT_ONCE: usize = 4;

/// Puts the images into a request with `fetch_images`, and takes the time that took from its `timeout_ms`. When it
/// fetched some, returns when the call must be over.
///
/// # Errors
/// `invalid_request` naming the host whose image cannot be had and why; `connection` and `timeout` of its server;
/// `deadline_exceeded`.
pub(super) async fn inline(engine: &Engine, request: &mut ChatRequest) -> Result<Option<Instant>> {
    match request.fetch_images.take() {
        Some(true) => Box::pin(fetched(engine, request)).await,
        _ => Ok(None),
    }
}

async fn fetched(engine: &Engine, request: &mut ChatRequest) -> Result<Option<Instant>> {
    let mut found = BTreeMap::new();
    for text in addresses(request) {
        if let Some(url) = remote(text) {
            found.insert(text.clone(), url);
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    if found.len() > MAX_IMAGES {
        let why = format!("{} images at addresses; at most {MAX_IMAGES} are fetched for one request", found.len());
        return Err(refused(why));
    }
    let timeouts = &engine.0.config.timeouts;
    let started = Instant::now();
    let given = request.timeouts.as_ref();
    let limit = total(request.timeout_ms, given, &engine.0.config);
    let idle = given.and_then(|t| t.get(Timeout::Idle)).or_else(|| timeouts.get(Timeout::Idle)).unwrap_or(IDLE);
    let web = &*engine.0.web;
    let fetching = iter(found)
        .map(|(text, url)| async move { Ok::<_, Error>((text, fetch(web, url, idle).await?)) })
        .buffer_unordered(AT_ONCE)
        .try_collect::<BTreeMap<String, String>>();
    let fetched = tokio::time::timeout(limit, fetching).await.map_err(|_| {
        let ms = limit.as_millis();
        let why = format!("the images were not there within the call's timeout of {ms} ms; raise `timeout_ms`");
        Error::new(ErrorKind::DeadlineExceeded, why)
    })??;
    for text in addresses(request) {
        if let Some(data) = fetched.get(text) {
            text.clone_from(data);
        }
    }
    if let Some(ms) = &mut request.timeout_ms {
        *ms = limit.saturating_sub(started.elapsed()).as_millis().max(1) as u64;
    }
    Ok(Some(started + limit))
}

/// Where the images of a request are.
fn addresses(request: &mut ChatRequest) -> impl Iterator<Item = &mut String> {
    let parts = request.messages.iter_mut().filter_map(|message| match &mut message.content {
        Some(Content::Parts(parts)) => Some(parts),
        _ => None,
    });
    parts.flatten().filter_map(|part| match part {
        ContentPart::Image(image) => Some(&mut image.image_url.url),
        _ => None,
    })
}

/// An address on the web; data URLs and the vendors' own schemes stay as they are.
fn remote(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// One image as a data URL.
async fn fetch(web: &dyn Web, url: Url, idle: Duration) -> Result<String> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let no = |why: &str| refused(format!("the image at `{host}` is not fetched: {why}"));
    if !url.username().is_empty() || url.password().is_some() {
        return Err(no("its address holds a name or a password, and none are sent"));
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let addresses = match url.host() {
        Some(Host::Ipv4(address)) => vec![SocketAddr::new(address.into(), port)],
        Some(Host::Ipv6(address)) => vec![SocketAddr::new(address.into(), port)],
        Some(Host::Domain(name)) => {
            web.resolve(name, port).await.map_err(|e| no(&format!("its name cannot be resolved: {e}")))?
        }
        None => Vec::new(),
    };
    if addresses.is_empty() {
        return Err(no("it has no address"));
    }
    // One that is not public makes the whole name suspect.
    if let Some(what) = addresses.iter().find_map(|address| not_public(address.ip())) {
        return Err(no(&format!("its address is not public ({what})")));
    }
    let response = web.get(url, addresses, idle).await.map_err(|mut e| {
        let body = e.body_mut();
        body.message = format!("the image at `{host}` is not fetched: {}", body.message);
        body.details.clear();
        e
    })?;
    match response.status {
        200 => {}
        300..400 => return Err(no("its server redirects, which is not followed; give the final address")),
        status => return Err(no(&format!("its server answered {status}"))),
    }
    if let Some(coding) = coding(&response.headers) {
        return Err(no(&format!("its server sent it in the coding `{coding}`, which was not asked for")));
    }
    let mime = response.headers.get(CONTENT_TYPE).and_then(|mime| mime.to_str().ok()).unwrap_or_default();
    let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if !mime.strip_prefix("image/").is_some_and(|kind| !kind.is_empty() && kind.chars().all(plain)) {
        return Err(no(&format!("it is no image but `{mime}`")));
    }
    let bytes = read(response.body, &no).await?;
    let mut data = format!("data:{mime};base64,");
    STANDARD.encode_string(&bytes, &mut data);
    Ok(data)
}

/// The bytes of an image of bounded size.
async fn read(mut body: Body, no: &impl Fn(&str) -> Error) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await.transpose().map_err(|e| no(e.message()))? {
        if bytes.len() + piece.len() > MAX_IMAGE {
            return Err(no(&format!("it is larger than {} MiB", MAX_IMAGE >> 20)));
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.is_empty() {
        return Err(no("its server sent nothing"));
    }
    Ok(bytes)
}

fn refused(why: String) -> Error {
    Error::invalid_request(why).with_param("messages.content.image_url")
}
