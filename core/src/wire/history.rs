//! Reading a conversation for vendors whose messages have another form: names of called tools, arguments as objects,
//! media in data URLs, and what of a message has no place there.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use super::WireTarget;
use super::fields::Fields;
use crate::error::{Error, Result};
use crate::types::{Content, ContentPart, Message, Role, ToolCall};

/// Names of the called tools by the ids of the calls.
pub fn call_names(messages: &[Message]) -> HashMap<&str, &str> {
    let calls = messages.iter().flat_map(|m| m.tool_calls.iter().flatten());
    calls.filter_map(|call| Some((call.id.as_str(), call.function.as_ref()?.name.as_str()))).collect()
}

/// The arguments of a call of the history as a JSON object; none is an empty one.
///
/// # Errors
/// `invalid_request` when they are no JSON object, as after an answer that was cut off.
pub fn arguments<'a>(call: &'a ToolCall, target: &WireTarget<'_>) -> Result<&'a RawValue> {
    let text = call.function.as_ref().map(|f| f.arguments.trim()).filter(|a| !a.is_empty()).unwrap_or("{}");
    match serde_json::from_str::<&RawValue>(text) {
        Ok(object) if object.get().starts_with('{') => Ok(object),
        _ => {
            let why = format!(
                "the arguments of tool call `{}` are no JSON object, and `{}` takes nothing else; correct them or leave \
                 that turn out",
                call.id, target.provider
            );
            Err(target.at(Error::invalid_request(why).with_param("messages")))
        }
    }
}

/// The content of a data URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataUrl<'a> {
    /// Media type.
    pub mime: Cow<'a, str>,
    /// The bytes in base64, without white space.
    pub base64: Cow<'a, str>,
}

/// Takes a base64 data URL apart; `None` for any other address.
pub fn data_url(url: &str) -> Option<DataUrl<'_>> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let mime = head.strip_suffix(";base64")?;
    // Images are large, and mostly have none.
    let blank = |data: &[u8]| {
        memchr::memchr3(b' ', b'\n', b'\r', data).or_else(|| memchr::memchr2(b'\t', b'\x0C', data)).is_some()
    };
    let base64 =
        if blank(data.as_bytes()) { Cow::Owned(data.split_ascii_whitespace().collect()) } else { Cow::Borrowed(data) };
    // A name in common use that is none.
    let mime = if mime == "image/jpg" { "image/jpeg" } else { mime };
    Some(DataUrl { mime: Cow::Borrowed(mime), base64 })
}

/// Media types by the end of a file's name.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("bmp", "image/bmp"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
];

/// The media type that a URL's path suggests.
pub fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, end) = path.rsplit_once('.')?;
    MEDIA_TYPES.iter().find(|(known, _)| end.eq_ignore_ascii_case(known)).map(|(_, media)| *media)
}

/// Fields of a message that answers carry and that conversations bring back: nothing is lost when another vendor does
/// not get them.
const OF_ANSWERS: &[&str] = &[
    super::state::FIELD,
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "refusal",
    "annotations",
    "audio",
    "content_blocks",
];

/// Notes what messages say that has no place in the vendor's; `kept` does have one.
///
/// # Errors
/// `unsupported` when the request says `strict_params`, and for a role or a form of call that would be lost.
pub fn note_foreign(messages: &[Message], kept: &[&str], fields: &mut Fields<'_>) -> Result<()> {
    let foreign = |name: &&String| !OF_ANSWERS.contains(&name.as_str()) && !kept.contains(&name.as_str());
    for message in messages {
        if let Role::Other(role) = &message.role {
            return Err(fields.refused("messages", &format!("it knows no role `{role}`")));
        }
        if message.extra.get("function_call").is_some_and(|call| !call.is_null()) {
            return Err(fields.refused("messages", "it takes `tool_calls`, not `function_call`"));
        }
        if message.name.is_some() && message.role != Role::Tool && !kept.contains(&"name") {
            fields.drop("messages.name")?;
        }
        for name in message.extra.keys().filter(foreign) {
            fields.drop(&format!("messages.{name}"))?;
        }
        let Some(Content::Parts(parts)) = &message.content else { continue };
        for part in parts {
            let extra = match part {
                ContentPart::Text(part) => &part.extra,
                ContentPart::Image(part) => {
                    if part.image_url.detail.as_ref().is_some_and(|d| d != "auto") && !kept.contains(&"detail") {
                        fields.drop("messages.content.image_url.detail")?;
                    }
                    &part.extra
                }
                ContentPart::Other(_) => continue,
            };
            for name in extra.keys().filter(foreign) {
                fields.drop(&format!("messages.content.{name}"))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_are_taken_apart() {
        let url = data_url("data:image/jpg;base64,AA\n BB").unwrap();
        assert_eq!((&*url.mime, &*url.base64), ("image/jpeg", "AABB"));
        assert!(matches!(data_url("data:image/png;base64,AAAA").unwrap().base64, Cow::Borrowed("AAAA")));
        assert_eq!(data_url("https://example.com/a.png"), None);
        assert_eq!(data_url("data:text/plain,hello"), None);
    }

    #[test]
    fn a_path_suggests_its_media_type() {
        assert_eq!(media_type("https://example.com/a/b.PNG?size=1#x"), Some("image/png"));
        assert_eq!(media_type("https://example.com/picture"), None);
    }
}
