//! Keys of someone who has signed on with `aws sso login`: the token lies in a file, named by a hash.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html>

use std::fmt::Write as _;
use std::path::PathBuf;

use http::Method;
use ring::digest;
use serde_json::Value;
use zeroize::Zeroizing;

use super::profile::Profiles;
use super::{from_json, moment, unusable};
use crate::backend::exchange::Exchange;
use crate::backend::{AwsKeys, Host};
use crate::error::Result;

/// Keys of a profile's role.
pub(super) async fn keys(profiles: &Profiles, profile: &str, home: Option<PathBuf>, host: Host<'_>) -> Result<AwsKeys> {
    let session = profiles.value(profile, "sso_session");
    let value = |key: &str| {
        let of_session = session.and_then(|session| profiles.sso_session(session, key));
        profiles.value(profile, key).or(of_session).map(str::to_owned)
    };
    let need = |key: &str| value(key).ok_or_else(|| unusable(format!("the AWS profile `{profile}` has no `{key}`")));
    let login = || {
        unusable(format!(
            "no one is signed on for the AWS profile `{profile}`: run `aws sso login --profile {profile}`"
        ))
    };
    let named = match session {
        Some(session) => session.to_owned(),
        None => need("sso_start_url")?,
    };
    let mut file = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, named.as_bytes()).as_ref().iter().fold(
        String::new(),
        |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        },
    );
    file.push_str(".json");
    let path = home.ok_or_else(login)?.join(".aws/sso/cache").join(file);
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|_| login())?;
    let held: Value = serde_json::from_str(&text).map_err(|_| login())?;
    let (Some(token), Some(end)) = (held["accessToken"].as_str(), held["expiresAt"].as_str()) else {
        return Err(login());
    };
    if moment(end, "single sign-on")? <= host.clock.unix() {
        return Err(login());
    }
    let mut url: url::Url = format!("https://portal.sso.{}.amazonaws.com/federation/credentials", need("sso_region")?)
        .parse()
        .map_err(|e| unusable(format!("the `sso_region` of the AWS profile `{profile}` is none: {e}")))?;
    let (role, account) = (need("sso_role_name")?, need("sso_account_id")?);
    url.query_pairs_mut().append_pair("role_name", &role).append_pair("account_id", &account);
    let headers = [("x-amz-sso_bearer_token", token)];
    let ask = Exchange { method: Method::GET, headers: &headers, ..Exchange::form(url.as_str(), &[]) };
    let told = ask.json("AWS single sign-on", host).await?;
    from_json(&told["roleCredentials"], "AWS single sign-on")
}
