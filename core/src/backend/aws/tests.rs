//! The chain against a transport that answers by script, files of its own and a clock that stands still.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::scripted::{At, Scripted};
use super::*;

/// 2026-01-15T12:00:00Z
const NOON: u64 = 1_768_478_400;
const KEYS: &str = r#"{"Code": "Success", "AccessKeyId": "ASIA1", "SecretAccessKey": "s3cret", "Token": "t0ken",
    "Expiration": "2026-01-15T18:00:00Z"}"#;
const STS: &str = "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials>\
    <AccessKeyId>ASIA2</AccessKeyId><SecretAccessKey>role/secret</SecretAccessKey><SessionToken>a&amp;b==</SessionToken>\
    <Expiration>2026-01-15T13:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

/// Files of a home, and variables beside `HOME`.
struct Home {
    folder: tempfile::TempDir,
    variables: HashMap<String, String>,
}

impl Home {
    fn new(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(".aws/sso/cache")).unwrap();
        let mut variables: HashMap<_, _> = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        variables.insert("HOME".to_owned(), folder.path().display().to_string());
        Home { folder, variables }
    }

    fn with(self, file: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(file), text).unwrap();
        self
    }

    fn credentials(&self, settings: AwsSettings) -> AwsCredentials {
        let variables = self.variables.clone();
        AwsCredentials::new(settings, Arc::new(move |name| variables.get(name).cloned()))
    }
}

async fn resolve_at(credentials: &AwsCredentials, transport: &Scripted, now: u64) -> Result<AwsKeys> {
    credentials.resolve(Host { transport, clock: &At(Duration::from_secs(now)) }).await
}

async fn resolve(home: &Home, transport: &Scripted) -> Result<AwsKeys> {
    resolve_at(&home.credentials(AwsSettings::default()), transport, NOON).await
}

fn nobody() -> Scripted {
    Scripted::new([])
}

#[tokio::test]
async fn variables_come_first_unless_a_profile_is_named() {
    let home = Home::new(&[("AWS_ACCESS_KEY_ID", "AKIA1"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_SESSION_TOKEN", "t")])
        .with(".aws/credentials", "[other]\naws_access_key_id = AKIA2\naws_secret_access_key = y # mine\n");
    let keys = resolve(&home, &nobody()).await.unwrap();
    assert_eq!((keys.access_key_id.as_str(), keys.session_token.unwrap().expose()), ("AKIA1", "t"));
    let named = AwsSettings { profile: Some("other".into()), ..Default::default() };
    let keys = resolve_at(&home.credentials(named), &nobody(), NOON).await.unwrap();
    assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.expose()), ("AKIA2", "y"));
    let half = Home::new(&[("AWS_ACCESS_KEY_ID", "AKIA1")]);
    assert!(resolve(&half, &nobody()).await.unwrap_err().message().contains("AWS_SECRET_ACCESS_KEY is not"));
}

#[tokio::test]
async fn nothing_found_tells_what_was_tried() {
    let home = Home::new(&[("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_SECRET_ACCESS_KEY", "do-not-tell")]);
    let e = resolve(&home, &nobody()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Authentication);
    for place in ["variables", "profile `default`", "web identity", "container", "instance", "AWS_BEARER_TOKEN_BEDROCK"]
    {
        assert!(e.message().contains(place), "{place}: {e}");
    }
    assert!(!e.to_string().contains("do-not-tell"));
    let home = Home::new(&[("AWS_PROFILE", "gone")]);
    let e = resolve(&home, &nobody()).await.unwrap_err();
    assert!(e.message().contains("no AWS profile `gone`") && e.message().contains("credentials"), "{e}");
    let transport = nobody();
    let left_out = AwsSettings { no_metadata: true, ..Default::default() };
    resolve_at(&Home::new(&[]).credentials(left_out), &transport, NOON).await.unwrap_err();
    assert!(transport.asked().is_empty());
}

#[tokio::test]
async fn a_role_is_taken_on_with_the_keys_of_another_profile() {
    let home = Home::new(&[("AWS_PROFILE", "worker"), ("AWS_REGION", "eu-west-1")])
        .with(".aws/credentials", "[base]\naws_access_key_id=AKIA1\naws_secret_access_key=x\n")
        .with(
            ".aws/config",
            "[default]\nregion = us-west-2\n\n[profile worker]\nrole_arn = arn:aws:iam::123456789012:role/w\n\
             source_profile = middle\nexternal_id = e/1\ns3 =\n  max = 1\n[profile middle]\n\
             role_arn = arn:aws:iam::123456789012:role/m\nsource_profile = base\nregion = eu-central-1\n",
        );
    let transport = Scripted::new([(200, STS), (200, STS)]);
    let keys = resolve(&home, &transport).await.unwrap();
    assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.expose()), ("ASIA2", "role/secret"));
    assert_eq!(
        (keys.session_token.unwrap().expose(), keys.expires_at),
        ("a&b==", Some(Duration::from_secs(NOON + 3600)))
    );
    let asked = transport.asked();
    assert_eq!(asked[0].0, "POST https://sts.eu-central-1.amazonaws.com/");
    assert!(asked[0].1.contains("Action=AssumeRole&") && asked[0].1.contains("role%2Fm&"), "{}", asked[0].1);
    assert_eq!(asked[1].0, "POST https://sts.eu-west-1.amazonaws.com/");
    assert!(asked[1].1.contains("ExternalId=e%2F1"), "{}", asked[1].1);
    let headers = transport.headers();
    let proof = |i: usize| headers[i]["authorization"].to_str().unwrap().to_owned();
    assert!(
        proof(0).contains("AKIA1/20260115/eu-central-1/sts/") && proof(1).contains("ASIA2/20260115/eu-west-1/sts/")
    );
    assert_eq!(headers[1]["x-amz-security-token"], "a&b==");
}

#[tokio::test]
async fn roles_that_cannot_be_taken_on_say_why() {
    let refused = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>";
    let cases = [
        ("[default]\nrole_arn=r\nsource_profile=default\n", "its own source"),
        ("[default]\nrole_arn=r\nsource_profile=none\n", "`none`, source of another"),
        (
            "[default]\nrole_arn=r\nsource_profile=k\nmfa_serial=m\n[profile k]\naws_access_key_id=a\naws_secret_access_key=b\n",
            "one-time code",
        ),
        ("[default]\nrole_arn=r\ncredential_source=Moon\n", "credential_source"),
        ("[default]\nrole_arn=r\nsource_profile=default\naws_access_key_id=a\naws_secret_access_key=b\n", "not you"),
    ];
    for (config, why) in cases {
        let home = Home::new(&[]).with(".aws/config", config);
        let e = resolve(&home, &Scripted::new([(403, refused)])).await.unwrap_err();
        assert!(e.kind() == ErrorKind::Authentication && e.message().contains(why), "{config}: {e}");
    }
}

#[tokio::test]
async fn web_identity_by_variables() {
    let home = Home::new(&[
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/k"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "~/token"),
        ("AWS_DEFAULT_REGION", "cn-north-1"),
    ])
    .with("token", "eyJ.web.token\n");
    let transport = Scripted::new([(200, STS)]);
    assert_eq!(resolve(&home, &transport).await.unwrap().access_key_id, "ASIA2");
    let (line, form) = transport.asked().remove(0);
    assert_eq!(line, "POST https://sts.cn-north-1.amazonaws.com.cn/");
    assert!(form.contains("AssumeRoleWithWebIdentity") && form.ends_with("WebIdentityToken=eyJ.web.token"), "{form}");
    assert!(transport.headers()[0].get("authorization").is_none());
}

#[tokio::test]
async fn a_container_tells_keys() {
    let home = Home::new(&[
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "auth"),
    ]);
    let transport = Scripted::new([(200, KEYS)]);
    let keys = resolve(&home, &transport).await.unwrap();
    assert_eq!((keys.access_key_id.as_str(), keys.session_token.unwrap().expose()), ("ASIA1", "t0ken"));
    assert_eq!(transport.asked()[0].0, "GET http://169.254.170.2/v2/x");
    assert_eq!(transport.headers()[0]["authorization"], "auth");
    for (url, fine) in [
        ("https://elsewhere.example/k", true),
        ("http://localhost:99/k", true),
        ("http://[fd00:ec2::23]/k", true),
        ("http://169.254.170.23/k", true),
        ("http://elsewhere.example/k", false),
        ("http://10.0.0.1/k", false),
    ] {
        let home = Home::new(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]);
        assert_eq!(resolve(&home, &Scripted::new([(200, KEYS)])).await.is_ok(), fine, "{url}");
    }
}

#[tokio::test]
async fn an_instance_tells_keys_to_who_has_a_token() {
    let home = Home::new(&[]);
    let transport = Scripted::new([(200, "imds-token"), (200, "my-role\n"), (200, KEYS)]);
    assert_eq!(resolve(&home, &transport).await.unwrap().access_key_id, "ASIA1");
    let lines: Vec<_> = transport.asked().into_iter().map(|(line, _)| line).collect();
    assert_eq!(
        lines,
        [
            "PUT http://169.254.169.254/latest/api/token",
            "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/",
            "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/my-role"
        ]
    );
    let headers = transport.headers();
    assert_eq!(headers[0]["x-aws-ec2-metadata-token-ttl-seconds"], "21600");
    assert_eq!(headers[2]["x-aws-ec2-metadata-token"], "imds-token");
    let e = resolve(&home, &Scripted::new([(403, "no")])).await.unwrap_err();
    assert!(e.message().contains("HTTP 403"), "{e}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_tells_keys() {
    let told =
        r#"{"Version": 1, "AccessKeyId": "AKIA9", "SecretAccessKey": "p", "Expiration": "2026-01-15T12:30:00+00:00"}"#;
    let home = Home::new(&[]).with("keys.json", told);
    let file = home.folder.path().join("keys.json").display().to_string();
    let home = home.with(".aws/config", &format!("[default]\ncredential_process = cat '{file}'\n"));
    let keys = resolve(&home, &nobody()).await.unwrap();
    assert_eq!((keys.access_key_id.as_str(), keys.expires_at), ("AKIA9", Some(Duration::from_secs(NOON + 1800))));
    for (command, why) in
        [("/no/such/program", "cannot be run"), ("echo hello", "as JSON"), ("echo {}", "version 1"), ("a 'b", "quote")]
    {
        let home = Home::new(&[]).with(".aws/config", &format!("[default]\ncredential_process = {command}\n"));
        let e = resolve(&home, &nobody()).await.unwrap_err();
        assert!(e.message().contains(why), "{command}: {e}");
    }
}

#[tokio::test]
async fn single_sign_on_reads_the_token_that_a_login_left() {
    let config = "[default]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Dev\n\
                  [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.example/start\n";
    // SHA-1 of `corp`.
    let cache = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
    let home = Home::new(&[]).with(".aws/config", config);
    let e = resolve(&home, &nobody()).await.unwrap_err();
    assert!(e.message().contains("aws sso login --profile default"), "{e}");
    let home = home.with(cache, r#"{"accessToken": "sso-token", "expiresAt": "2026-01-15T12:00:01Z"}"#);
    let answer = r#"{"roleCredentials": {"accessKeyId": "ASIA7", "secretAccessKey": "s", "sessionToken": "t", "expiration": 1768482000000}}"#;
    let transport = Scripted::new([(200, answer)]);
    let keys = resolve(&home, &transport).await.unwrap();
    assert_eq!((keys.access_key_id.as_str(), keys.expires_at), ("ASIA7", Some(Duration::from_secs(NOON + 3600))));
    let want =
        "GET https://portal.sso.eu-west-1.amazonaws.com/federation/credentials?role_name=Dev&account_id=123456789012";
    assert_eq!(
        (transport.asked()[0].0.as_str(), &transport.headers()[0]["x-amz-sso_bearer_token"]),
        (want, &"sso-token".parse().unwrap())
    );
    let late = resolve_at(&home.credentials(AwsSettings::default()), &nobody(), NOON + 1).await.unwrap_err();
    assert!(late.message().contains("aws sso login"));
}

#[tokio::test]
async fn keys_are_kept_and_fetched_again_before_their_end() {
    let home = Home::new(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")]);
    let credentials = home.credentials(AwsSettings::default());
    let next =
        r#"{"AccessKeyId": "ASIA8", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-01-16T00:00:00Z"}"#;
    // Keys of six hours.
    let end = NOON + 6 * 3600;
    let transport = Scripted::new([(200, KEYS), (500, ""), (500, ""), (200, next)]);
    let at = |now: u64| resolve_at(&credentials, &transport, now);
    for now in [NOON, end - 901] {
        assert_eq!(at(now).await.unwrap().access_key_id, "ASIA1");
    }
    assert_eq!(transport.asked().len(), 1);
    // In their last quarter of an hour a failure does not matter yet, in the last ten minutes it does.
    assert_eq!(at(end - 900).await.unwrap().access_key_id, "ASIA1");
    assert_eq!(transport.asked().len(), 2);
    at(end - 600).await.unwrap_err();
    assert_eq!(at(end - 600).await.unwrap().access_key_id, "ASIA8");
    assert_eq!(credentials.secrets().len(), 2);
    assert!(credentials.forget() && !credentials.forget());
    assert!(!format!("{credentials:?}").contains("ASIA"));
}

#[tokio::test]
async fn those_who_wait_share_one_fetch() {
    let home = Home::new(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")]);
    let credentials = home.credentials(AwsSettings::default());
    let transport = Scripted::new([(200, KEYS)]);
    let (a, b) = tokio::join!(resolve_at(&credentials, &transport, NOON), resolve_at(&credentials, &transport, NOON));
    assert_eq!((a.unwrap(), transport.asked().len()), (b.unwrap(), 1));
}

#[test]
fn region_and_where_keys_would_come_from() {
    let home = Home::new(&[]).with(".aws/config", "[default]\nregion = us-west-2\ncredential_process = x\n");
    let credentials = home.credentials(AwsSettings::default());
    assert_eq!((credentials.region().as_deref(), credentials.bearer()), (Some("us-west-2"), None));
    assert_eq!(credentials.found().as_deref(), Some("AWS profile `default`"));
    let home = Home::new(&[("AWS_DEFAULT_REGION", "b"), ("AWS_REGION", "a"), ("AWS_BEARER_TOKEN_BEDROCK", "k")]);
    let credentials = home.credentials(AwsSettings::default());
    assert_eq!((credentials.region().as_deref(), credentials.found()), (Some("a"), None));
    assert_eq!(credentials.bearer().unwrap().expose(), "k");
    assert_eq!(
        home.credentials(AwsSettings { region: Some("c".into()), ..Default::default() }).region().as_deref(),
        Some("c")
    );
}
