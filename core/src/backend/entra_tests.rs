//! Tests of Azure's identities against a transport that answers by script.

use std::sync::Arc;
use std::time::Duration;

use super::super::scripted::{At, Scripted};
use super::*;

fn identity(pairs: Vec<(&'static str, String)>) -> EntraIdentity {
    let environment: Environment = Arc::new(move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone()));
    let scope = "https://cognitiveservices.azure.com/.default";
    EntraIdentity::new(scope, &CredentialConfig::default(), "providers.azure.credentials", &environment).unwrap()
}

async fn authorization(identity: &EntraIdentity, transport: &Scripted) -> Result<String> {
    let mut request = transport.request();
    identity.authorize(&mut request, Host { transport, clock: &At(Duration::ZERO) }).await?;
    Ok(request.headers[AUTHORIZATION].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_client_shows_its_secret() {
    let identity = identity(vec![
        ("AZURE_TENANT_ID", "t-1".into()),
        ("AZURE_CLIENT_ID", "c-1".into()),
        ("AZURE_CLIENT_SECRET", "shh-secret".into()),
    ]);
    assert_eq!(identity.found().as_deref(), Some("Entra ID, client c-1"));
    let transport = Scripted::new([(200, r#"{"access_token": "eyJ.one", "expires_in": 3599}"#)]);
    assert_eq!(authorization(&identity, &transport).await.unwrap(), "Bearer eyJ.one");
    let (url, form) = transport.asked().remove(0);
    assert_eq!(url, "POST https://login.microsoftonline.com/t-1/oauth2/v2.0/token");
    assert!(form.contains("scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default"), "{form}");

    // A refused token is fetched anew.
    assert!(identity.renew());
    let transport = Scripted::new([(401, r#"{"error": "invalid_client", "error_description": "AADSTS7000215: bad"}"#)]);
    let e = authorization(&identity, &transport).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Authentication);
    assert!(e.message().contains("AADSTS7000215") && !e.message().contains("shh-secret"), "{e}");
}

#[tokio::test]
async fn a_workload_reads_its_token_each_time() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "first\n").unwrap();
    let identity = identity(vec![
        ("AZURE_TENANT_ID", "t".into()),
        ("AZURE_CLIENT_ID", "c".into()),
        ("AZURE_FEDERATED_TOKEN_FILE", file.path().display().to_string()),
        ("AZURE_AUTHORITY_HOST", "https://login.example/".into()),
    ]);
    let answer = (200, r#"{"access_token": "a", "expires_in": "60"}"#);
    let transport = Scripted::new([answer, answer]);
    authorization(&identity, &transport).await.unwrap();
    std::fs::write(file.path(), "second\n").unwrap();
    authorization(&identity, &transport).await.unwrap();
    let asked = transport.asked();
    assert_eq!(asked[0].0, "POST https://login.example/t/oauth2/v2.0/token");
    assert!(asked[0].1.contains("client_assertion=first") && asked[1].1.contains("client_assertion=second"));
}

#[tokio::test]
async fn an_app_service_has_an_endpoint_of_its_own() {
    let identity =
        identity(vec![("IDENTITY_ENDPOINT", "http://127.0.0.1:8/msi".into()), ("IDENTITY_HEADER", "h".into())]);
    let transport = Scripted::new([(200, r#"{"access_token": "m", "expires_on": "99999999999"}"#)]);
    assert_eq!(authorization(&identity, &transport).await.unwrap(), "Bearer m");
    assert_eq!(
        transport.asked()[0].0,
        "GET http://127.0.0.1:8/msi?api-version=2019-08-01&resource=https%3A%2F%2Fcognitiveservices.azure.com"
    );
}
