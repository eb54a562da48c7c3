//! Keys from the metadata servers of containers and of EC2 instances.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>

use http::Method;
use serde_json::Value;

use super::{from_json, unusable};
use crate::backend::exchange::Exchange;
use crate::backend::{AwsKeys, Environment, Host};
use crate::error::Result;
use crate::secret::Secret;

/// Where ECS tells keys.
const CONTAINER: &str = "http://169.254.170.2";
/// Addresses that keys may come from without TLS, beside the machine itself: of ECS, and of EKS in both families.
const PLAIN_HOSTS: &[&str] = &["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];
/// Where EC2 tells about the instance.
const INSTANCE: &str = "http://169.254.169.254";

/// Keys of the container's task; none when no variable leads to them.
pub(super) async fn of_container(environment: &Environment, host: Host<'_>) -> Result<Option<AwsKeys>> {
    let variable = |name: &str| environment(name).filter(|value| !value.trim().is_empty());
    let url = match variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        Some(path) => format!("{CONTAINER}{path}"),
        None => match variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            Some(url) => checked(url)?,
            None => return Ok(None),
        },
    };
    let token = match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        // Read each time: it is changed there.
        Some(file) => Some(Secret::new(
            std::fs::read_to_string(&file)
                .map_err(|e| unusable(format!("the container's authorization {file} cannot be read: {e}")))?,
        )),
        None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new),
    };
    let headers: Vec<(&'static str, &str)> = token.iter().map(|token| ("authorization", token.expose())).collect();
    let whose = "the container's credential server";
    let told = Exchange::metadata(url, &headers).json(whose, host).await?;
    from_json(&told, whose).map(Some)
}

/// An address that keys may come from.
fn checked(text: String) -> Result<String> {
    let url: url::Url =
        text.parse().map_err(|e| unusable(format!("AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL: {e}")))?;
    let known = url.host().is_some_and(|host| match host {
        url::Host::Ipv4(ip) => ip.is_loopback() || PLAIN_HOSTS.contains(&ip.to_string().as_str()),
        url::Host::Ipv6(ip) => ip.is_loopback() || PLAIN_HOSTS.contains(&format!("[{ip}]").as_str()),
        url::Host::Domain(name) => name == "localhost",
    });
    if url.scheme() == "https" || (url.scheme() == "http" && known) {
        return Ok(text);
    }
    Err(unusable(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or lead to this machine or a container's server".to_owned(),
    ))
}

/// Keys of the instance's role; none where its metadata are switched off. Only version 2 is spoken, which a forged
/// request cannot.
pub(super) async fn of_instance(environment: &Environment, host: Host<'_>) -> Result<Option<AwsKeys>> {
    if environment("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let whose = "the instance's metadata server";
    let base = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| INSTANCE.to_owned());
    let base = format!("{}/latest", base.trim_end_matches('/'));
    let ask = Exchange {
        method: Method::PUT,
        ..Exchange::metadata(format!("{base}/api/token"), &[("x-aws-ec2-metadata-token-ttl-seconds", "21600")])
    };
    let token = Secret::new(text(ask, whose, host).await?);
    let headers = [("x-aws-ec2-metadata-token", token.expose())];
    let roles = format!("{base}/meta-data/iam/security-credentials/");
    let listed = text(Exchange::metadata(roles.as_str(), &headers), whose, host).await?;
    let role = listed.lines().next().map(str::trim).filter(|role| !role.is_empty());
    let Some(role) = role else { return Err(unusable("the instance has no role".to_owned())) };
    let told: Value = Exchange::metadata(format!("{roles}{role}"), &headers).json(whose, host).await?;
    from_json(&told, whose).map(Some)
}

async fn text(ask: Exchange<'_>, whose: &str, host: Host<'_>) -> Result<String> {
    let (status, _, body) = ask.send(whose, host).await?;
    if !(200..300).contains(&status) {
        return Err(unusable(format!("{whose} answered HTTP {status}")));
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
