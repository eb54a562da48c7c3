//! Access tokens of Google Cloud: application default credentials, in Google's order: a key file (named, by
//! `GOOGLE_APPLICATION_CREDENTIALS`, or gcloud's own), then the metadata server of the machine.
//!
//! Formats: AIP-4110 to AIP-4118 (google.aip.dev/auth).

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderValue, Method};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::Environment;
use super::credential::{Credential, Host, bearer};
use super::exchange::{Exchange, access_token};
use super::token::{Token, TokenCache};
use crate::error::{Error, ErrorKind, Result};
use crate::http::HttpRequest;
use crate::secret::Secret;

/// Google's token endpoint, for key files that name none.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Names the project whose quota a call takes from, where that is not the caller's own.
const QUOTA_PROJECT: HeaderName = HeaderName::from_static("x-goog-user-project");

/// Who a Google Cloud program is.
pub(super) struct GoogleIdentity {
    scope: String,
    /// The key file; `None`: the metadata server.
    file: Option<PathBuf>,
    metadata_host: String,
    /// Project whose quota counts; of the variable, or of the key file once that was read.
    quota_project: OnceLock<HeaderValue>,
    cache: TokenCache,
}

impl std::fmt::Debug for GoogleIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GoogleIdentity").field("scope", &self.scope).field("file", &self.file).finish_non_exhaustive()
    }
}

impl GoogleIdentity {
    /// `file` outranks what the environment says.
    pub fn new(scope: &str, file: Option<PathBuf>, environment: &Environment) -> Self {
        let named = environment("GOOGLE_CLOUD_QUOTA_PROJECT").filter(|project| !project.is_empty());
        let quota_project =
            named.and_then(|project| HeaderValue::try_from(project).ok()).map_or_else(OnceLock::new, OnceLock::from);
        GoogleIdentity {
            scope: scope.to_owned(),
            file: file.or_else(|| default_file(environment)),
            metadata_host: environment("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".to_owned()),
            quota_project,
            cache: TokenCache::default(),
        }
    }

    /// Where it was found, when something says that it is there.
    pub fn found(&self, environment: &Environment) -> Option<String> {
        match &self.file {
            Some(file) => Some(format!("file {}", file.display())),
            None => ["GCE_METADATA_HOST", "K_SERVICE", "GAE_ENV"]
                .iter()
                .find(|var| environment(var).is_some())
                .map(|var| format!("metadata server (variable {var})")),
        }
    }

    async fn fetch(&self, host: Host<'_>) -> Result<Token> {
        let Some(file) = &self.file else { return self.token_of_machine(host).await };
        let text = std::fs::read_to_string(file)
            .map_err(|e| unusable(format!("the key file {} cannot be read: {e}", file.display())))?;
        let key: Value = serde_json::from_str(&text)
            .map_err(|e| unusable(format!("the key file {} is not JSON: {e}", file.display())))?;
        if let Some(told) = key["quota_project_id"].as_str().and_then(|project| HeaderValue::from_str(project).ok()) {
            self.quota_project.get_or_init(|| told);
        }
        self.token_for(&key, host).await.map_err(|mut e| {
            let message = format!("{} (key file {})", e.message(), file.display());
            e.body_mut().message = message;
            e
        })
    }

    fn token_for<'a>(&'a self, key: &'a Value, host: Host<'a>) -> BoxFuture<'a, Result<Token>> {
        Box::pin(async move {
            match key["type"].as_str().unwrap_or_default() {
                "service_account" => self.service_account(key, host).await,
                "authorized_user" => refresh(key, host).await,
                "external_account" => self.external_account(key, host).await,
                "impersonated_service_account" => {
                    let source = self.token_for(&key["source_credentials"], host).await?;
                    let url = text(key, "service_account_impersonation_url")?;
                    self.impersonate(url, &source.secret, host).await
                }
                other => Err(unusable(format!("credentials of the type `{other}` are not known"))),
            }
        })
    }

    /// A signed assertion for a token (RFC 7523).
    async fn service_account(&self, key: &Value, host: Host<'_>) -> Result<Token> {
        let url = key["token_uri"].as_str().unwrap_or(TOKEN_URL);
        let assertion = assertion(key, &self.scope, url, host.clock.unix())?;
        let grant = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)];
        let answer = Exchange::form(url, &grant).json("Google", host).await?;
        access_token(&answer, "Google", host.clock.unix())
    }

    /// A token of another identity provider, exchanged (RFC 8693).
    async fn external_account(&self, key: &Value, host: Host<'_>) -> Result<Token> {
        let subject = subject_token(&key["credential_source"], host).await?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", text(key, "audience")?),
            ("scope", self.scope.as_str()),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", text(key, "subject_token_type")?),
            ("subject_token", subject.expose()),
        ];
        let url = key["token_url"].as_str().unwrap_or("https://sts.googleapis.com/v1/token");
        let answer = Exchange::form(url, &form).json("Google", host).await?;
        let token = access_token(&answer, "Google", host.clock.unix())?;
        match key["service_account_impersonation_url"].as_str() {
            Some(url) => self.impersonate(url, &token.secret, host).await,
            None => Ok(token),
        }
    }

    async fn impersonate(&self, url: &str, source: &Secret, host: Host<'_>) -> Result<Token> {
        let authorization = format!("Bearer {}", source.expose());
        let ask = Exchange {
            headers: &[("authorization", &authorization)],
            json: Some(json!({"scope": [self.scope], "lifetime": "3600s"})),
            ..Exchange::form(url, &[])
        };
        let answer = ask.json("Google", host).await?;
        let token = text(&answer, "accessToken")?;
        Ok(Token { secret: Secret::new(token), expires_at: host.clock.unix() + Duration::from_secs(3600) })
    }

    async fn token_of_machine(&self, host: Host<'_>) -> Result<Token> {
        let base = format!("http://{}/computeMetadata/v1/instance/service-accounts/default/token", self.metadata_host);
        let ask = Exchange::metadata(base, &[("metadata-flavor", "Google")]);
        let answer = ask.json("the metadata server", host).await.map_err(|e| {
            unusable(format!(
                "no credentials of Google Cloud: no key file (GOOGLE_APPLICATION_CREDENTIALS), none of gcloud's (run \
                 `gcloud auth application-default login`), and {}",
                e.message()
            ))
        })?;
        access_token(&answer, "the metadata server", host.clock.unix())
    }
}

impl Credential for GoogleIdentity {
    fn authorize<'a>(&'a self, request: &'a mut HttpRequest, host: Host<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let token = self.cache.get(host.clock.unix(), self.fetch(host)).await?;
            request.headers.insert(AUTHORIZATION, bearer(&token)?);
            if let Some(project) = self.quota_project.get() {
                request.headers.entry(QUOTA_PROJECT).or_insert_with(|| project.clone());
            }
            Ok(())
        })
    }

    fn renews(&self) -> bool {
        true
    }

    fn renew(&self) -> bool {
        self.cache.forget()
    }

    fn secrets(&self) -> Vec<Secret> {
        self.cache.held().into_iter().collect()
    }
}

/// The project that the default credentials belong to, where their file says it.
pub(super) fn project(file: Option<PathBuf>, environment: &Environment) -> Option<String> {
    let text = std::fs::read_to_string(file.or_else(|| default_file(environment))?).ok()?;
    let key: Value = serde_json::from_str(&text).ok()?;
    let project = key["project_id"].as_str().or_else(|| key["quota_project_id"].as_str())?;
    Some(project.to_owned())
}

/// The key file that the environment leads to.
fn default_file(environment: &Environment) -> Option<PathBuf> {
    if let Some(file) = environment("GOOGLE_APPLICATION_CREDENTIALS").filter(|f| !f.is_empty()) {
        return Some(file.into());
    }
    let folder = match environment("CLOUDSDK_CONFIG").filter(|f| !f.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None if cfg!(windows) => PathBuf::from(environment("APPDATA")?).join("gcloud"),
        None => PathBuf::from(environment("HOME")?).join(".config/gcloud"),
    };
    Some(folder.join("application_default_credentials.json")).filter(|file| file.is_file())
}

/// A refresh token for an access token (RFC 6749, section 6).
async fn refresh(key: &Value, host: Host<'_>) -> Result<Token> {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", text(key, "client_id")?),
        ("client_secret", text(key, "client_secret")?),
        ("refresh_token", text(key, "refresh_token")?),
    ];
    let url = key["token_uri"].as_str().unwrap_or(TOKEN_URL);
    let answer = Exchange::form(url, &form).json("Google", host).await?;
    access_token(&answer, "Google", host.clock.unix())
}

/// The token that a workload already has, from a file or an address.
async fn subject_token(source: &Value, host: Host<'_>) -> Result<Secret> {
    let format = &source["format"];
    let pick = |text: String| match format["type"].as_str() {
        Some("json") => {
            let field = format["subject_token_field_name"].as_str().unwrap_or("access_token");
            let value: Value = serde_json::from_str(&text).unwrap_or_default();
            let token = value[field].as_str().map(Secret::new);
            token.ok_or_else(|| unusable(format!("the workload's token has no field `{field}`")))
        }
        _ => Ok(Secret::new(text)),
    };
    if let Some(file) = source["file"].as_str() {
        let token = std::fs::read_to_string(file);
        return pick(token.map_err(|e| unusable(format!("the workload's token {file} cannot be read: {e}")))?);
    }
    let Some(url) = source["url"].as_str() else {
        let why = "`credential_source` names neither `file` nor `url`; hand in a callable that gives access tokens";
        return Err(unusable(why.to_owned()));
    };
    let given: Vec<(&'static str, &str)> = match source["headers"]["Metadata"].as_str() {
        Some(value) => vec![("metadata", value)],
        None => match source["headers"]["Metadata-Flavor"].as_str() {
            Some(value) => vec![("metadata-flavor", value)],
            None => Vec::new(),
        },
    };
    let ask = Exchange { method: Method::GET, ..Exchange::metadata(url, &given) };
    let (status, _, body) = ask.send("the workload's identity provider", host).await?;
    if !(200..300).contains(&status) {
        return Err(unusable(format!("the workload's identity provider answered HTTP {status}")));
    }
    pick(String::from_utf8_lossy(&body).into_owned())
}

/// A JWT signed with a service account's key (RS256).
fn assertion(key: &Value, scope: &str, audience: &str, now: Duration) -> Result<String> {
    let now = now.as_secs();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": key["private_key_id"]});
    let claims = json!({
        "iss": text(key, "client_email")?, "scope": scope, "aud": audience, "iat": now, "exp": now + 3600,
    });
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let bad = |why: &dyn std::fmt::Display| unusable(format!("its `private_key` cannot be used: {why}"));
    let der = PrivatePkcs8KeyDer::from_pem_slice(text(key, "private_key")?.as_bytes()).map_err(|e| bad(&e))?;
    let pair = ring::signature::RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|e| bad(&e))?;
    let mut signature = vec![0; pair.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    pair.sign(&ring::signature::RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).map_err(|e| bad(&e))?;
    Ok(format!("{signed}.{}", encode(&signature)))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().ok_or_else(|| unusable(format!("the credentials have no `{name}`")))
}

fn unusable(why: String) -> Error {
    Error::new(ErrorKind::Authentication, why)
}

#[cfg(test)]
#[path = "google_tests.rs"]
mod tests;
