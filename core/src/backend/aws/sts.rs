//! Keys of a role, from Amazon's Security Token Service; its answers are XML.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/>

use std::path::Path;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use zeroize::Zeroizing;

use super::{moment, unusable};
use crate::backend::exchange::Exchange;
use crate::backend::{AwsKeys, Host, Signer};
use crate::error::Result;
use crate::secret::Secret;

/// A role to be taken on.
#[derive(Debug, Default)]
pub(super) struct Role<'a> {
    pub arn: &'a str,
    /// Name under which it is taken on.
    pub session: Option<&'a str>,
    pub external_id: Option<&'a str>,
    /// How long, in seconds.
    pub seconds: Option<&'a str>,
    pub region: Option<String>,
}

/// Takes on a role with keys.
pub(super) async fn assume(role: &Role<'_>, keys: &AwsKeys, host: Host<'_>) -> Result<AwsKeys> {
    let form = role.form("AssumeRole", None);
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
    let region = role.region.as_deref().unwrap_or("us-east-1");
    let address = address(region);
    let url = address.parse().map_err(|e| unusable(format!("`{region}` is no region of AWS: {e}")))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let signer = Signer { keys, region, service: "sts", now: host.clock.unix() };
    signer.sign(&Method::POST, &url, &mut headers, body.as_bytes())?;
    let names = ["authorization", "x-amz-date", "x-amz-security-token"];
    let signed: Vec<(&'static str, &str)> =
        names.into_iter().filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?))).collect();
    ask(role, Exchange { headers: &signed, ..Exchange::form(address, &form) }, host).await
}

/// Takes on a role with a token that lies in a file, read each time: it is changed there.
pub(super) async fn with_web_identity(role: &Role<'_>, file: &Path, host: Host<'_>) -> Result<AwsKeys> {
    let token = std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|e| unusable(format!("the web identity token {} cannot be read: {e}", file.display())))?;
    let form = role.form("AssumeRoleWithWebIdentity", Some(token.trim()));
    ask(role, Exchange::form(address(role.region.as_deref().unwrap_or("us-east-1")), &form), host).await
}

impl<'a> Role<'a> {
    fn form(&self, action: &'a str, token: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
        let mut form = vec![
            ("Action", action),
            ("Version", "2011-06-15"),
            ("RoleArn", self.arn),
            ("RoleSessionName", self.session.unwrap_or("interfuse")),
        ];
        let more = [("ExternalId", self.external_id), ("DurationSeconds", self.seconds), ("WebIdentityToken", token)];
        form.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
        form
    }
}

fn address(region: &str) -> String {
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://sts.{region}.{end}/")
}

async fn ask(role: &Role<'_>, exchange: Exchange<'_>, host: Host<'_>) -> Result<AwsKeys> {
    let (status, _, body) = exchange.send("AWS STS", host).await?;
    let xml = Zeroizing::new(String::from_utf8_lossy(&body).into_owned());
    if !(200..300).contains(&status) {
        let code = element(&xml, "Code").unwrap_or_default();
        let said = element(&xml, "Message").unwrap_or_default();
        return Err(unusable(format!("AWS STS refused the role {} (HTTP {status} {code}): {said}", role.arn)));
    }
    let told = element(&xml, "Credentials").unwrap_or_default();
    let part = |name: &str| {
        element(&told, name).ok_or_else(|| unusable(format!("AWS STS gave the role {} without {name}", role.arn)))
    };
    Ok(AwsKeys {
        access_key_id: part("AccessKeyId")?,
        secret_access_key: Secret::new(part("SecretAccessKey")?),
        session_token: Some(Secret::new(part("SessionToken")?)),
        expires_at: Some(moment(&part("Expiration")?, "AWS STS")?),
    })
}

/// What stands in the first element of this name; STS gives its elements no attributes.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    let marks = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(marks.iter().fold(inside.trim().to_owned(), |text, (mark, sign)| text.replace(mark, sign)))
}
