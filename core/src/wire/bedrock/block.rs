//! Content blocks of a request, and the parts of messages they are made from. What is borrowed here (the base64 of an
//! image, say) goes from the request's text into the body's as it is.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::family::{Cache, Family};
use crate::error::Result;
use crate::types::{ContentPart, Extra};
use crate::wire::fields::Fields;
use crate::wire::history::{DataUrl, data_url};

/// One block.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(Cow<'a, str>),
    Image(Media<'a>),
    Video(Media<'a>),
    Audio(Media<'a>),
    Document(Media<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
    CachePoint(CachePoint<'a>),
    /// A block in Converse's own words.
    #[serde(untagged)]
    Own(&'a Value),
    /// A part in Converse's own words.
    #[serde(untagged)]
    OwnPart(&'a Extra),
}

#[derive(Debug, Serialize)]
pub(super) struct Media<'a> {
    format: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    source: Source<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Source<'a> {
    /// In base64.
    Bytes(Cow<'a, str>),
    S3Location {
        uri: &'a str,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    pub tool_use_id: Cow<'a, str>,
    pub name: &'a str,
    pub input: &'a RawValue,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'a> {
    pub tool_use_id: Cow<'a, str>,
    pub content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct CachePoint<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

/// Names under which a cache point is asked for, on parts, messages, tools and requests.
pub(super) const CACHE: &[&str] = &["cache_control", "prompt_cache_breakpoint"];

/// The cache point that something asks for.
///
/// # Errors
/// `unsupported` when the family has none and the request says `strict_params`.
pub(super) fn cache_point<'a>(
    extra: &'a Extra,
    family: &Family,
    fields: &mut Fields<'_>,
) -> Result<Option<CachePoint<'a>>> {
    let asked = CACHE.iter().find_map(|name| Some((name, extra.get(*name)?)));
    let Some((name, asked)) = asked.filter(|(_, asked)| !asked.is_null() && **asked != Value::Bool(false)) else {
        return Ok(None);
    };
    let ttl = match family.cache {
        Cache::None => {
            fields.drop(name)?;
            return Ok(None);
        }
        Cache::Plain => None,
        Cache::Timed => asked.get("ttl").and_then(Value::as_str),
    };
    Ok(Some(CachePoint { r#type: "default", ttl }))
}

/// The block of one part; none for text that says nothing, which Bedrock refuses.
///
/// # Errors
/// `unsupported` for what has no block.
pub(super) fn part<'a>(part: &'a ContentPart, fields: &mut Fields<'_>) -> Result<Option<Block<'a>>> {
    let part = match part {
        ContentPart::Text(part) => return Ok(text(&part.text)),
        ContentPart::Image(part) => return media("image_url", &part.image_url.url, None, fields).map(Some),
        ContentPart::Other(part) => part,
    };
    let Some(kind) = part.get("type").and_then(Value::as_str) else { return Ok(Some(Block::OwnPart(part))) };
    let said = |name: &str| part.get(kind).and_then(|inner| inner.get(name)).and_then(Value::as_str);
    match kind {
        "file" => match said("file_data") {
            Some(data) => media("file", data, said("filename"), fields).map(Some),
            None => Err(fields.refused("file", "it takes a file's bytes (`file_data`), not its id")),
        },
        "video_url" => media("video_url", said("url").unwrap_or_default(), None, fields).map(Some),
        "input_audio" => {
            let (format, data) = (said("format").unwrap_or("wav"), said("data").unwrap_or_default());
            let source = Source::Bytes(Cow::Borrowed(data));
            Ok(Some(Block::Audio(Media { format: Cow::Borrowed(format), name: None, source })))
        }
        kind => Err(fields.refused("messages", &format!("it has no block for a part of type `{kind}`"))),
    }
}

/// A text block, unless the text is blank.
pub(super) fn text(text: &str) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text(Cow::Borrowed(text)))
}

/// Kinds of blocks for media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Image,
    Video,
    Document,
}

/// Media type, what files of it are called, Converse's word for it, kind of block.
const FORMATS: &[(&str, &str, &str, Kind)] = &[
    ("image/png", "png", "png", Kind::Image),
    ("image/jpeg", "jpeg", "jpeg", Kind::Image),
    ("image/jpeg", "jpg", "jpeg", Kind::Image),
    ("image/gif", "gif", "gif", Kind::Image),
    ("image/webp", "webp", "webp", Kind::Image),
    ("application/pdf", "pdf", "pdf", Kind::Document),
    ("text/csv", "csv", "csv", Kind::Document),
    ("application/msword", "doc", "doc", Kind::Document),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", "docx", Kind::Document),
    ("application/vnd.ms-excel", "xls", "xls", Kind::Document),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", "xlsx", Kind::Document),
    ("text/html", "html", "html", Kind::Document),
    ("text/plain", "txt", "txt", Kind::Document),
    ("text/markdown", "md", "md", Kind::Document),
    ("video/mp4", "mp4", "mp4", Kind::Video),
    ("video/quicktime", "mov", "mov", Kind::Video),
    ("video/x-matroska", "mkv", "mkv", Kind::Video),
    ("video/webm", "webm", "webm", Kind::Video),
    ("video/x-flv", "flv", "flv", Kind::Video),
    ("video/mpeg", "mpeg", "mpeg", Kind::Video),
    ("video/x-ms-wmv", "wmv", "wmv", Kind::Video),
    ("video/3gpp", "3gp", "three_gp", Kind::Video),
];

/// How base64 of a format begins, for data URLs that do not say what they hold.
const BEGINNINGS: &[(&str, &str)] = &[
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi", "application/pdf"),
];

/// A block of what stands at an address; nothing is fetched.
fn media<'a>(field: &str, url: &'a str, name: Option<&str>, fields: &Fields<'_>) -> Result<Block<'a>> {
    let ending = |name: &str| name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
    let (mime, end, source) = if let Some(DataUrl { mime, base64 }) = data_url(url) {
        let sniffed =
            BEGINNINGS.iter().find(|(begin, _)| base64.starts_with(begin)).map(|(_, mime)| (*mime).to_owned());
        let said = mime.split(';').next().unwrap_or_default().trim();
        let known = FORMATS.iter().any(|(mime, ..)| *mime == said);
        let mime = if known { Some(said.to_owned()) } else { sniffed };
        (mime, name.and_then(ending), Source::Bytes(base64))
    } else if url.starts_with("s3://") {
        (None, ending(url), Source::S3Location { uri: url })
    } else if url.starts_with("data:") {
        return Err(fields.refused(field, "its data URL is not in base64"));
    } else {
        let why = "it takes the bytes themselves (a data URL) or an address in S3; with `fetch_images` interfuse fetches images";
        return Err(fields.refused(field, why));
    };
    let found = FORMATS
        .iter()
        .find(|(media, ..)| mime.as_deref() == Some(*media))
        .or_else(|| FORMATS.iter().find(|(_, known, ..)| end.as_deref() == Some(*known)));
    let Some((_, _, format, kind)) = found else {
        let what = mime.or(end).unwrap_or_else(|| "it does not name".to_owned());
        return Err(fields.refused(field, &format!("it knows no format `{what}`")));
    };
    let mut media = Media { format: Cow::Borrowed(*format), name: None, source };
    Ok(match kind {
        Kind::Image => Block::Image(media),
        Kind::Video => Block::Video(media),
        Kind::Document => {
            media.name = Some(document_name(name.or_else(|| url.starts_with("s3://").then_some(url))));
            Block::Document(media)
        }
    })
}

/// A name as Converse takes it: letters, digits, single spaces, `-()[]`, at most 200 of them.
fn document_name(given: Option<&str>) -> String {
    let given = given.map(|name| name.rsplit('/').next().unwrap_or(name)).unwrap_or_default();
    let stem = given.rsplit_once('.').map_or(given, |(stem, _)| stem);
    let taken = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
    let name: String = stem.chars().map(taken).collect();
    let name: String = name.split_ascii_whitespace().collect::<Vec<_>>().join(" ").chars().take(180).collect();
    if name.is_empty() { "document".to_owned() } else { name }
}
