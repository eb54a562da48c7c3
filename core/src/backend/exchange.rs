//! Small requests to those who hand out tokens and keys: token endpoints, metadata servers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use serde_json::Value;

use super::credential::Host;
use super::token::Token;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{HttpRequest, Limits};
use crate::secret::Secret;

/// Largest answer that is read, bytes.
const MAX_ANSWER: usize = 1 << 20;

/// One request to a giver of tokens.
pub(super) struct Exchange<'a> {
    pub method: Method,
    pub url: String,
    pub headers: &'a [(&'static str, &'a str)],
    /// Form fields, or nothing.
    pub form: &'a [(&'a str, &'a str)],
    /// A JSON body in place of a form.
    pub json: Option<Value>,
    /// How long the answer may take.
    pub patience: Duration,
}

impl<'a> Exchange<'a> {
    /// A form sent to a token endpoint.
    pub fn form(url: impl Into<String>, form: &'a [(&'a str, &'a str)]) -> Self {
        let patience = Duration::from_secs(30);
        Exchange { method: Method::POST, url: url.into(), headers: &[], form, json: None, patience }
    }

    /// A question to a metadata server, which is near or not there at all.
    pub fn metadata(url: impl Into<String>, headers: &'a [(&'static str, &'a str)]) -> Self {
        let patience = Duration::from_secs(2);
        Exchange { method: Method::GET, url: url.into(), headers, form: &[], json: None, patience }
    }

    /// Sends it; the answer's headers and body, whatever its status.
    ///
    /// # Errors
    /// `authentication` naming `whose` endpoint could not be asked.
    pub async fn send(self, whose: &str, host: Host<'_>) -> Result<(u16, HeaderMap, Vec<u8>)> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Authentication, format!("{whose} cannot be asked for a token: {why}"))
        };
        let url: url::Url = self.url.parse().map_err(|e| failed(&format!("`{}`: {e}", self.url)))?;
        let mut headers = HeaderMap::new();
        let body = match &self.json {
            Some(json) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                json.to_string()
            }
            None if self.method == Method::GET => String::new(),
            None => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.form).finish()
            }
        };
        for (name, value) in self.headers {
            let mut value = HeaderValue::from_str(value).map_err(|e| failed(&e))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let request = HttpRequest {
            method: self.method,
            url: url.into(),
            headers,
            body: Bytes::from(body),
            limits: Limits::each(self.patience),
        };
        // A metadata server that is not there may not even refuse the connection.
        let asked = tokio::time::timeout(self.patience, host.transport.send(request)).await;
        let mut response = asked.map_err(|_| failed(&"no answer"))?.map_err(|e| failed(&e.message()))?;
        let mut whole = Vec::new();
        while let Some(piece) = response.body.next().await.transpose().map_err(|e| failed(&e.message()))? {
            whole.extend_from_slice(&piece);
            if whole.len() > MAX_ANSWER {
                return Err(failed(&"its answer is too large"));
            }
        }
        Ok((response.status, response.headers, whole))
    }

    /// What it proves itself with, which some endpoints repeat.
    fn secrets(&self) -> Vec<Secret> {
        const FIELDS: [&str; 5] = ["assertion", "client_assertion", "client_secret", "refresh_token", "subject_token"];
        let fields = self.form.iter().filter(|(name, _)| FIELDS.contains(name)).map(|(_, value)| *value);
        // Nothing but proof is put into headers here.
        let headers = self.headers.iter().map(|(_, value)| value.strip_prefix("Bearer ").unwrap_or(value));
        fields.chain(headers).map(Secret::new).collect()
    }

    /// Sends it; a JSON object with status 2xx is the answer.
    ///
    /// # Errors
    /// `authentication` with what the endpoint said.
    pub async fn json(self, whose: &str, host: Host<'_>) -> Result<Value> {
        let secrets = self.secrets();
        let (status, _, body) = self.send(whose, host).await?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        if (200..300).contains(&status) && value.is_object() {
            return Ok(value);
        }
        let said = ["error_description", "message", "error"]
            .iter()
            .find_map(|name| match &value[*name] {
                Value::String(text) => Some(text.clone()),
                Value::Object(inner) => inner.get("message")?.as_str().map(str::to_owned),
                _ => None,
            })
            .unwrap_or_else(|| crate::wire::failure::excerpt(&body));
        let code = value["error"].as_str().unwrap_or_default();
        let skew = if code == "invalid_grant" {
            "; if the credential is still valid, check this machine's clock: a skew of minutes gives the same answer"
        } else {
            ""
        };
        let mut why = format!("{whose} refused to give a token (HTTP {status} {code}): {said}{skew}");
        secrets.iter().for_each(|secret| secret.redact(&mut why));
        Err(Error::new(ErrorKind::Authentication, why))
    }
}

/// The access token of an OAuth answer; `now` is the time since 1970-01-01 UTC.
pub(super) fn access_token(answer: &Value, whose: &str, now: Duration) -> Result<Token> {
    let number = |v: &Value| v.as_u64().or_else(|| v.as_str()?.parse().ok());
    let Some(token) = answer["access_token"].as_str().filter(|t| !t.is_empty()) else {
        return Err(Error::new(ErrorKind::Authentication, format!("{whose} answered without an `access_token`")));
    };
    let lasts = number(&answer["expires_in"]).map(|s| now + Duration::from_secs(s));
    let until = number(&answer["expires_on"]).map(Duration::from_secs);
    // An hour is what all of these vendors give where they do not say.
    let expires_at = lasts.or(until).unwrap_or(now + Duration::from_secs(3600));
    Ok(Token { secret: Secret::new(token), expires_at })
}
