//! Keys of an AWS account, from wherever Amazon's own clients take them and in their order: variables, profiles (roles,
//! web identity, single sign-on, keys, a program), web identity, the container's, the instance's.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

pub(super) mod identity;
mod metadata;
mod process;
mod profile;
mod sso;
mod sts;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::{AwsKeys, Environment, Host};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use profile::{Profiles, Source};

/// How long before their end keys are fetched anew, and how long before it they are no longer used where that fails
/// (botocore's figures). Of keys that live shorter than an hour it is a quarter and a sixth.
const RENEWED: Duration = Duration::from_secs(15 * 60);
const USABLE: Duration = Duration::from_secs(10 * 60);

/// What the configuration says of an AWS account.
#[derive(Debug, Clone, Default)]
pub struct AwsSettings {
    /// Profile to use. Named here, it outranks keys in variables.
    pub profile: Option<String>,
    /// Region, for those who hand out roles.
    pub region: Option<String>,
    /// Leaves out the metadata servers of containers and instances.
    pub no_metadata: bool,
}

/// Finds keys and keeps them until shortly before their end.
pub struct AwsCredentials {
    environment: Environment,
    settings: AwsSettings,
    /// Held while keys are fetched, so that they are fetched once.
    fetching: tokio::sync::Mutex<()>,
    held: Mutex<Option<Held>>,
}

/// Keys and when they were fetched.
#[derive(Clone)]
struct Held {
    keys: AwsKeys,
    since: Duration,
}

impl Held {
    /// Whether the keys last longer than `early`, or than the share of a short life that stands for it.
    fn lasts(&self, now: Duration, early: Duration) -> bool {
        self.keys.expires_at.is_none_or(|end| {
            let life = end.saturating_sub(self.since);
            now + early.min(life * early.as_secs() as u32 / 3600) < end
        })
    }
}

impl std::fmt::Debug for AwsCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsCredentials").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl AwsCredentials {
    /// Reads nothing yet.
    pub fn new(settings: AwsSettings, environment: Environment) -> Self {
        AwsCredentials { environment, settings, fetching: tokio::sync::Mutex::default(), held: Mutex::default() }
    }

    /// Keys that last.
    ///
    /// # Errors
    /// `authentication` with what was tried, or why what is configured gave none.
    pub async fn resolve(&self, host: Host<'_>) -> Result<AwsKeys> {
        let now = host.clock.unix();
        let held = self.held();
        match &held {
            Some(held) if held.lasts(now, RENEWED) => return Ok(held.keys.clone()),
            // They still serve; one caller fetches the next ones.
            Some(held) if held.lasts(now, USABLE) => {
                let Ok(_alone) = self.fetching.try_lock() else { return Ok(held.keys.clone()) };
                return Ok(self.renewed(now, host).await.unwrap_or_else(|_| held.keys.clone()));
            }
            _ => {}
        }
        let _alone = self.fetching.lock().await;
        match self.held() {
            Some(held) if held.lasts(now, USABLE) => Ok(held.keys),
            _ => self.renewed(now, host).await,
        }
    }

    /// Forgets the keys, so that they are looked for anew. Whether there were any.
    pub fn forget(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// The secrets that are held.
    pub fn secrets(&self) -> Vec<Secret> {
        let secrets = |held: Held| [Some(held.keys.secret_access_key), held.keys.session_token];
        self.held().into_iter().flat_map(secrets).flatten().collect()
    }

    /// A key of Bedrock's own, which goes into a header and needs no signature.
    pub fn bearer(&self) -> Option<Secret> {
        self.variable("AWS_BEARER_TOKEN_BEDROCK").map(Secret::new)
    }

    /// The region: of the configuration, the variables, the profile.
    pub fn region(&self) -> Option<String> {
        let given = self.settings.region.clone();
        given
            .or_else(|| self.variable("AWS_REGION"))
            .or_else(|| self.variable("AWS_DEFAULT_REGION"))
            .or_else(|| self.profiles().ok()?.value(&self.profile_name(), "region").map(str::to_owned))
    }

    /// Where keys would come from, as far as that can be told without asking anyone.
    pub fn found(&self) -> Option<String> {
        if self.settings.profile.is_none() && self.variable("AWS_ACCESS_KEY_ID").is_some() {
            return Some("variable AWS_ACCESS_KEY_ID".to_owned());
        }
        let profile = self.profile_name();
        if self.profiles().is_ok_and(|profiles| profiles.source(&profile).is_some()) {
            return Some(format!("AWS profile `{profile}`"));
        }
        let variables = [
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ];
        variables.into_iter().find(|name| self.variable(name).is_some()).map(|name| format!("variable {name}"))
    }

    async fn renewed(&self, now: Duration, host: Host<'_>) -> Result<AwsKeys> {
        let keys = self.fetch(host).await?;
        let held = Held { keys: keys.clone(), since: now };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        Ok(keys)
    }

    /// Asks one source after the other.
    async fn fetch(&self, host: Host<'_>) -> Result<AwsKeys> {
        let mut tried = Vec::new();
        if self.settings.profile.is_some() {
            tried.push("variables (a profile is named, which outranks them)".to_owned());
        } else if let Some(keys) = self.of_variables()? {
            return Ok(keys);
        } else {
            tried.push("variables (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set)".to_owned());
        }

        let profile = self.profile_name();
        let profiles = self.profiles()?;
        if profiles.source(&profile).is_some() {
            return self.of_profile(&profiles, &profile, host).await;
        }
        if !profiles.has(&profile) && (self.settings.profile.is_some() || self.variable("AWS_PROFILE").is_some()) {
            return Err(unusable(format!("there is no AWS profile `{profile}` in {}", profiles.files())));
        }
        tried.push(format!("profile `{profile}` (it gives no keys in {})", profiles.files()));

        match (self.variable("AWS_WEB_IDENTITY_TOKEN_FILE"), self.variable("AWS_ROLE_ARN")) {
            (Some(file), Some(role)) => {
                let session = self.variable("AWS_ROLE_SESSION_NAME");
                let role =
                    sts::Role { arn: &role, session: session.as_deref(), region: self.region(), ..Default::default() };
                return sts::with_web_identity(&role, &self.expand(&file), host).await;
            }
            _ => tried.push("web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN are not set)".to_owned()),
        }
        if self.settings.no_metadata {
            tried.push("metadata of container and instance (left out)".to_owned());
        } else {
            match metadata::of_container(&self.environment, host).await? {
                Some(keys) => return Ok(keys),
                None => tried
                    .push("container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set)".to_owned()),
            }
            match metadata::of_instance(&self.environment, host).await {
                Ok(Some(keys)) => return Ok(keys),
                Ok(None) => tried.push("instance metadata (AWS_EC2_METADATA_DISABLED is set)".to_owned()),
                Err(e) => tried.push(format!("instance metadata ({})", e.message())),
            }
        }
        Err(unusable(format!(
            "no AWS credentials were found; tried: {}. Set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY, or a profile (`aws configure`)",
            tried.join("; ")
        )))
    }

    fn of_variables(&self) -> Result<Option<AwsKeys>> {
        let Some(id) = self.variable("AWS_ACCESS_KEY_ID") else { return Ok(None) };
        let Some(secret) = self.variable("AWS_SECRET_ACCESS_KEY") else {
            return Err(unusable("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not".to_owned()));
        };
        Ok(Some(AwsKeys {
            access_key_id: id,
            secret_access_key: Secret::new(secret),
            session_token: self.variable("AWS_SESSION_TOKEN").map(Secret::new),
            expires_at: None,
        }))
    }

    /// Keys by what a profile says; a role's are asked for with the keys of another profile, and so on.
    async fn of_profile(&self, profiles: &Profiles, name: &str, host: Host<'_>) -> Result<AwsKeys> {
        // From the profile down to the one that has keys of its own, then back up through the roles.
        let mut roles: Vec<String> = Vec::new();
        let mut at = name.to_owned();
        let mut keys = loop {
            // A profile may take on a role with keys of its own.
            if roles.contains(&at) {
                let circle = || unusable(format!("the AWS profile `{at}` is its own source, and has no keys"));
                break profiles.static_keys(&at).ok_or_else(circle)?;
            }
            match profiles.source(&at) {
                Some(Source::Role { source }) => roles.push(std::mem::replace(&mut at, source)),
                Some(Source::RoleOf { place }) => {
                    roles.push(at);
                    break self.of_place(&place, host).await?;
                }
                Some(Source::WebIdentity { role, file }) => {
                    let session = profiles.value(&at, "role_session_name");
                    let role = sts::Role { arn: &role, session, region: self.region(), ..Default::default() };
                    break sts::with_web_identity(&role, &self.expand(&file), host).await?;
                }
                Some(Source::Sso) => break sso::keys(profiles, &at, self.home(), host).await?,
                Some(Source::Keys(keys)) => break keys,
                Some(Source::Process(command)) => break process::keys(&command).await?,
                None => return Err(unusable(format!("the AWS profile `{at}`, source of another, gives no keys"))),
            }
        };
        for name in roles.iter().rev() {
            let value = |key: &str| profiles.value(name, key);
            if value("mfa_serial").is_some() {
                let why = format!(
                    "the role of the AWS profile `{name}` asks for a one-time code; get a session by `aws sts`, or name a \
                     program as `credential_process`"
                );
                return Err(unusable(why));
            }
            let role = sts::Role {
                arn: value("role_arn").unwrap_or_default(),
                session: value("role_session_name"),
                external_id: value("external_id"),
                seconds: value("duration_seconds"),
                region: value("region").map(str::to_owned).or_else(|| self.region()),
            };
            keys = sts::assume(&role, &keys, host).await?;
        }
        Ok(keys)
    }

    /// Keys of a `credential_source`.
    async fn of_place(&self, place: &str, host: Host<'_>) -> Result<AwsKeys> {
        let found = match place {
            "Environment" => self.of_variables()?,
            "EcsContainer" => metadata::of_container(&self.environment, host).await?,
            "Ec2InstanceMetadata" => metadata::of_instance(&self.environment, host).await?,
            other => return Err(unusable(format!("an AWS profile names the unknown `credential_source` {other}"))),
        };
        found.ok_or_else(|| unusable(format!("an AWS profile takes its keys from {place}, and there are none")))
    }

    fn profiles(&self) -> Result<Profiles> {
        let path = |variable: &str, usual: &str| match self.variable(variable) {
            Some(file) => Some(self.expand(&file)),
            None => Some(self.home()?.join(".aws").join(usual)),
        };
        Profiles::read(path("AWS_SHARED_CREDENTIALS_FILE", "credentials"), path("AWS_CONFIG_FILE", "config"))
    }

    fn profile_name(&self) -> String {
        let named = self.settings.profile.clone();
        named.or_else(|| self.variable("AWS_PROFILE")).unwrap_or_else(|| "default".to_owned())
    }

    fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").or_else(|| self.variable("USERPROFILE")).map(PathBuf::from)
    }

    /// A path that may begin in the user's folder.
    fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.trim().is_empty())
    }

    fn held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Keys as JSON tells them: metadata servers say `Token`, programs `SessionToken`, single sign-on begins in lower case.
fn from_json(told: &Value, whose: &str) -> Result<AwsKeys> {
    let text = |names: &[&str]| names.iter().find_map(|name| told.get(*name)?.as_str()).filter(|text| !text.is_empty());
    let (Some(id), Some(secret)) =
        (text(&["AccessKeyId", "accessKeyId"]), text(&["SecretAccessKey", "secretAccessKey"]))
    else {
        let why = text(&["Message", "message", "Code"]).unwrap_or("its answer holds no keys");
        return Err(unusable(format!("{whose} gave no AWS keys: {why}")));
    };
    let ends = match told.get("expiration").and_then(Value::as_u64) {
        Some(ms) => Some(Duration::from_millis(ms)),
        None => text(&["Expiration"]).map(|time| moment(time, whose)).transpose()?,
    };
    Ok(AwsKeys {
        access_key_id: id.to_owned(),
        secret_access_key: Secret::new(secret),
        session_token: text(&["Token", "SessionToken", "sessionToken"]).map(Secret::new),
        expires_at: ends,
    })
}

/// A time as RFC 3339 writes it, since 1970-01-01 UTC.
fn moment(time: &str, whose: &str) -> Result<Duration> {
    let told = time.trim().parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_second()).ok());
    told.map(Duration::from_secs)
        .ok_or_else(|| unusable(format!("{whose} told an end of its keys that is no time: {time}")))
}

fn unusable(why: String) -> Error {
    Error::new(ErrorKind::Authentication, why)
}

#[cfg(test)]
mod tests;
