//! Tests of Google's credentials against a transport that answers by script.

use std::sync::Arc;

use base64::engine::general_purpose::STANDARD;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};

use super::super::scripted::{At, Scripted};
use super::*;

/// A key made for this test (PKCS#8, base64); it opens nothing.
const KEY: &[&str] = &[
    "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQDCjYnryw5hBtGQaAB/Kg1TzoOoYnKt2HD6dTwurZLiiuo4+o7V",
    "OndnLYl/ZKOXEJm8n2bOCjhNHx8VgT0L0BMMtGgrpAuND/KhFeUG2YJD0or1UUHduHzRg/dAfh9hbZBb9tfh+6f/RVRZY53gAanm",
    "fTUkytJZ2MKWQc9KA+zvdnaHDkd0bx7htoOb0sHoY428gb2wj+hejaCuEDx5aRKs8iW/YZPUmGfLf5lJe/9tOjldFxnpX4b63bkw",
    "Bk0rDiZplB4g4Lr7xvn0cBRr13Yns6SzAElF5Oh7b1aZNezAGigZNxYQRxo0O39jsbxIXjgV+Bg21E5/s18AMC9DnHTFAgMBAAEC",
    "ggEAGhVEbBK2zyFNOpwG57A+mywbu0PU9iOyJJH6dejwFrk4ZQKKiwx3R6OeRIW8kkXie/Gu+b6lr7PqxJpQEeOyj3MnEtAVJbNW",
    "pxa6tCwNv9lb/JReopgs+8tCfH4Bklv7DP6ku3e0HTrb7861iCZmSIV5eNZMVJ6v79nLgwklsdt8RKxZ73VZeT5FOVZ2N7b+AVIr",
    "aMQIVHGQuaCYWfUnP/3aHldk06HAgXqUDcdTSxt2H9Tutje/FUUWwuqUElbRWg1SZ9uIZpEJqyKWLANnSsmaQXd77EorxBj6IVWJ",
    "D+kRMI6Av2p6AKqHr6rQHvsh9gKcL6sB6TrA9hV+36O4fQKBgQDylxavs6HEdcfeaD7kHG8J5AOesmNpnFCYGg45kzXYPGVUsXis",
    "OQbuN5jwXCZh8w3oY9Ut9IM+4+mB5dchRKxsjLLSZUQW9T+tTo5INjWwXjdDlTyski/UjtZavxfNizNUfk5bQOiNJvfnx1S1ffNY",
    "q6bJT+M8W0U0u6Dx5xz/FwKBgQDNTqu21lXPPYaYoEY7QqZU2YHgthtynVD1LXVrlris8MZ7y9pXaX7X2woS7Hp64UiNXUfApWSP",
    "4/D2JqDU/TpLXOT5G3FHUjEqg8kIYKsvNLDIylhcOvHnHVwNrxpfB+5cN1IqJEP8bOwEoe7q3WWrMvsqkijXDBoIo8NgDvz0gwKB",
    "gAeYe3lc4n/IQE3SbcWurjtdDE/3ve0cm9lnV3KuDU2L9pBETkb2MiVbUEqWWA1REupn1dDuiv15HWKX07iS8eMkNKUpzov5edjv",
    "UL0qFVxEVu6iyZeNrDm3jzagLRqedSj8G2/4BFAHHFQBhcF5BBmOplY/ThohsXUJOuzYE6xZAoGAHSsjLEvRTys/lymWMM8sUHvC",
    "fwmAZs1A9kRqHUoBnNhsaqQwtiCP290L1lpwoEqngyYQjqcw3VyWHHKqgPglMxXUliu28VoVECQ/CIiraX6D61MMMLZTLfG25V7O",
    "UVgQHlvhuYkDe7aB5bqX9hhUXHlWw9qWIM9gV3/kvx4CBD8CgYBSuYKO8obln36D22Cz5s3PjPbVNSpcnQRf4mKOJnLYXyKmJgOr",
    "Y+QDS9ZlJDtXhlBsK4+8nexOY0wWnkvZ1zP0373tNJCQYpN2YZpesYNgP5cqLcykmpFZqS7qYiV3YFg8mpqRFmdpVhC35OoMeh2Y",
    "Btr3Bkv/2Tq1hHqus1Utcg==",
];

fn environment(pairs: &'static [(&'static str, &'static str)]) -> Environment {
    Arc::new(move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
}

fn identity(key: &Value) -> (tempfile::NamedTempFile, GoogleIdentity) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), key.to_string()).unwrap();
    let identity = GoogleIdentity::new("scope-1", Some(file.path().to_owned()), &environment(&[]));
    (file, identity)
}

async fn authorization(identity: &GoogleIdentity, transport: &Scripted, now: u64) -> Result<String> {
    let clock = At(Duration::from_secs(now));
    let mut request = transport.request();
    identity.authorize(&mut request, Host { transport, clock: &clock }).await?;
    Ok(request.headers[AUTHORIZATION].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_service_account_signs_for_a_token_and_keeps_it() {
    let pem = format!("-----BEGIN {0}-----\n{1}\n-----END {0}-----\n", "PRIVATE KEY", KEY.concat());
    let key = json!({"type": "service_account", "private_key_id": "kid-1", "private_key": pem,
                     "client_email": "me@p.iam", "token_uri": "https://token.example/t"});
    let (_file, identity) = identity(&key);
    let transport = Scripted::new([(200, r#"{"access_token": "ya29.one", "expires_in": 3599}"#)]);
    assert_eq!(authorization(&identity, &transport, 1_700_000_000).await.unwrap(), "Bearer ya29.one");
    assert_eq!(authorization(&identity, &transport, 1_700_000_100).await.unwrap(), "Bearer ya29.one");

    let asked = transport.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].0, "POST https://token.example/t");
    let form: Vec<(String, String)> = url::form_urlencoded::parse(asked[0].1.as_bytes()).into_owned().collect();
    assert_eq!(form[0], ("grant_type".into(), "urn:ietf:params:oauth:grant-type:jwt-bearer".into()));
    let (signed, signature) = form[1].1.rsplit_once('.').unwrap();
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(KEY.concat()).unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!(claims["aud"], "https://token.example/t");
    assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(1_700_000_000), Some(1_700_003_600)));
}

#[tokio::test]
async fn a_refused_token_is_explained_and_names_the_file() {
    let key = json!({"type": "authorized_user", "client_id": "c", "client_secret": "shh-secret", "refresh_token": "r-secret"});
    let (file, identity) = identity(&key);
    let transport =
        Scripted::new([(400, r#"{"error": "invalid_grant", "error_description": "Token has been expired"}"#)]);
    let e = authorization(&identity, &transport, 0).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Authentication);
    let text = e.message();
    assert!(text.contains("Token has been expired") && text.contains("clock"), "{text}");
    assert!(text.contains(&file.path().display().to_string()) && !text.contains("secret"), "{text}");
    assert_eq!(transport.asked()[0].0, format!("POST {TOKEN_URL}"));
}

#[tokio::test]
async fn a_call_names_the_project_whose_quota_counts() {
    let key = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r",
        "quota_project_id": "of-the-file"});
    let asked_for = |variable: Option<&'static str>| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), key.to_string()).unwrap();
        let environment: Environment =
            Arc::new(move |name| variable.filter(|_| name == "GOOGLE_CLOUD_QUOTA_PROJECT").map(str::to_owned));
        let identity = GoogleIdentity::new("scope-1", Some(file.path().to_owned()), &environment);
        (file, identity)
    };
    for (variable, want) in [(None, "of-the-file"), (Some("of-the-variable"), "of-the-variable")] {
        let (_file, identity) = asked_for(variable);
        let transport = Scripted::new([(200, r#"{"access_token": "t", "expires_in": 3600}"#)]);
        // Also while the token is kept.
        for _ in 0..2 {
            let mut request = transport.request();
            let host = Host { transport: &transport, clock: &At(Duration::ZERO) };
            identity.authorize(&mut request, host).await.unwrap();
            assert_eq!(request.headers[QUOTA_PROJECT], want);
        }
        assert!(!transport.headers()[0].contains_key(QUOTA_PROJECT), "the giver of tokens needs none");
    }
}

#[tokio::test]
async fn a_workload_exchanges_its_token_and_borrows_a_service_account() {
    let subject = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(subject.path(), r#"{"id_token": "theirs"}"#).unwrap();
    let key = json!({"type": "external_account", "audience": "//iam/x", "subject_token_type": "urn:jwt",
        "token_url": "https://sts.example/t", "service_account_impersonation_url": "https://iam.example/gen",
        "credential_source": {"file": subject.path(), "format": {"type": "json", "subject_token_field_name": "id_token"}}});
    let (_file, identity) = identity(&key);
    let transport = Scripted::new([
        (200, r#"{"access_token": "first", "expires_in": 60}"#),
        (200, r#"{"accessToken": "second", "expireTime": "2030-01-01T00:00:00Z"}"#),
    ]);
    assert_eq!(authorization(&identity, &transport, 0).await.unwrap(), "Bearer second");
    let asked = transport.asked();
    assert!(asked[0].1.contains("subject_token=theirs"), "{}", asked[0].1);
    assert_eq!(asked[1].0, "POST https://iam.example/gen");
}

#[tokio::test]
async fn the_metadata_server_is_the_last_resort() {
    let identity = GoogleIdentity::new("s", None, &environment(&[("GCE_METADATA_HOST", "127.0.0.1:9")]));
    let transport = Scripted::new([(200, r#"{"access_token": "m", "expires_in": 3600}"#)]);
    assert_eq!(authorization(&identity, &transport, 0).await.unwrap(), "Bearer m");
    let url = "GET http://127.0.0.1:9/computeMetadata/v1/instance/service-accounts/default/token";
    assert_eq!(transport.asked()[0].0, url);
    let nobody = Scripted::new([]);
    let identity = GoogleIdentity::new("s", None, &environment(&[]));
    let e = authorization(&identity, &nobody, 0).await.unwrap_err();
    assert!(e.message().contains("GOOGLE_APPLICATION_CREDENTIALS") && e.message().contains("gcloud auth"), "{e}");
}

#[test]
fn an_unreadable_key_file_is_named() {
    let identity = GoogleIdentity::new("s", Some("/nowhere/key.json".into()), &environment(&[]));
    assert_eq!(identity.found(&environment(&[])).as_deref(), Some("file /nowhere/key.json"));
}
