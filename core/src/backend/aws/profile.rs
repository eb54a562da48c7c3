//! The files in which AWS profiles are written down.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::unusable;
use crate::backend::AwsKeys;
use crate::error::Result;
use crate::secret::Secret;

type Section = HashMap<String, Zeroizing<String>>;

/// Both files.
pub(super) struct Profiles {
    credentials: HashMap<String, Section>,
    config: HashMap<String, Section>,
    paths: Vec<PathBuf>,
}

/// Where a profile's keys come from.
pub(super) enum Source {
    /// A role, asked for with the keys of another profile.
    Role { source: String },
    /// A role, asked for with keys that lie elsewhere.
    RoleOf { place: String },
    /// A role, asked for with a token in a file.
    WebIdentity { role: String, file: String },
    /// Single sign-on.
    Sso,
    /// Keys written down.
    Keys(AwsKeys),
    /// A program that tells them.
    Process(String),
}

impl Profiles {
    /// Reads what is there; a file that is not counts as empty.
    pub fn read(credentials: Option<PathBuf>, config: Option<PathBuf>) -> Result<Self> {
        Ok(Profiles {
            credentials: sections(credentials.as_deref(), |name| Some(name.to_owned()))?,
            config: sections(config.as_deref(), in_config)?,
            paths: [credentials, config].into_iter().flatten().collect(),
        })
    }

    /// Whether either file has the profile.
    pub fn has(&self, profile: &str) -> bool {
        self.credentials.contains_key(profile) || self.config.contains_key(profile)
    }

    /// What a profile says; the file of credentials comes first.
    pub fn value(&self, profile: &str, key: &str) -> Option<&str> {
        let in_file =
            |file: &'_ HashMap<String, Section>| file.get(profile).and_then(|section| section.get(key)).is_some();
        let file = if in_file(&self.credentials) { &self.credentials } else { &self.config };
        file.get(profile)?.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }

    /// What a section of single sign-on says.
    pub fn sso_session(&self, name: &str, key: &str) -> Option<&str> {
        self.config.get(&format!("sso-session {name}"))?.get(key).map(|value| value.as_str())
    }

    /// Where a profile's keys come from, in botocore's order.
    pub fn source(&self, profile: &str) -> Option<Source> {
        let value = |key: &str| self.value(profile, key).map(str::to_owned);
        if let Some(role) = value("role_arn") {
            if let Some(source) = value("source_profile") {
                return Some(Source::Role { source });
            }
            if let Some(place) = value("credential_source") {
                return Some(Source::RoleOf { place });
            }
            if let Some(file) = value("web_identity_token_file") {
                return Some(Source::WebIdentity { role, file });
            }
        }
        if value("sso_session").or_else(|| value("sso_start_url")).is_some() {
            return Some(Source::Sso);
        }
        let written = |file: &HashMap<String, Section>| file.get(profile).and_then(keys).map(Source::Keys);
        written(&self.credentials)
            .or_else(|| value("credential_process").map(Source::Process))
            .or_else(|| written(&self.config))
    }

    /// Keys written down in a profile.
    pub fn static_keys(&self, profile: &str) -> Option<AwsKeys> {
        [&self.credentials, &self.config].into_iter().find_map(|file| keys(file.get(profile)?))
    }

    /// The files, for errors.
    pub fn files(&self) -> String {
        let shown: Vec<String> = self.paths.iter().map(|path| path.display().to_string()).collect();
        if shown.is_empty() { "any file (no home folder is known)".to_owned() } else { shown.join(" and ") }
    }
}

fn keys(section: &Section) -> Option<AwsKeys> {
    let value = |key: &str| section.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty());
    Some(AwsKeys {
        access_key_id: value("aws_access_key_id")?.to_owned(),
        secret_access_key: Secret::new(value("aws_secret_access_key")?),
        session_token: value("aws_session_token").map(Secret::new),
        expires_at: None,
    })
}

/// Profile of a section of the configuration; sections of single sign-on keep their whole name.
fn in_config(name: &str) -> Option<String> {
    if name == "default" || name.starts_with("sso-session ") {
        return Some(name.to_owned());
    }
    let profile = name.strip_prefix("profile")?.strip_prefix(|c: char| c.is_ascii_whitespace())?;
    Some(profile.trim().trim_matches('"').to_owned())
}

/// The sections of a file by the names that `named` gives them.
fn sections(path: Option<&Path>, named: impl Fn(&str) -> Option<String>) -> Result<HashMap<String, Section>> {
    let Some(path) = path else { return Ok(HashMap::new()) };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(e) => return Err(unusable(format!("the AWS file {} cannot be read: {e}", path.display()))),
    };
    let mut sections: HashMap<String, Section> = HashMap::new();
    let mut current = None;
    for line in text.lines() {
        // What is indented belongs to the setting above it, of which nothing here has any.
        if line.starts_with(['#', ';', ' ', '\t']) || line.trim().is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            let name = name.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            current = named(&name);
            if let Some(profile) = &current {
                sections.entry(profile.clone()).or_default();
            }
        } else if let (Some(profile), Some((key, value))) = (&current, line.split_once('=')) {
            let value = value.split(" #").next().unwrap_or(value).split(" ;").next().unwrap_or(value).trim();
            let section = sections.entry(profile.clone()).or_default();
            section.insert(key.trim().to_ascii_lowercase(), Zeroizing::new(value.to_owned()));
        }
    }
    Ok(sections)
}
