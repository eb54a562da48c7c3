//! Access tokens of Microsoft Entra ID, for Azure: a client's secret, a workload's federated token, or the managed
//! identity of the machine; in the order of Microsoft's own libraries.

use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;

use super::Environment;
use super::credential::{Credential, Host, bearer};
use super::exchange::{Exchange, access_token};
use super::token::{Token, TokenCache};
use crate::error::{Error, ErrorKind, Result};
use crate::http::HttpRequest;
use crate::secret::Secret;
use crate::types::CredentialConfig;

/// Who an Azure program is.
pub(super) struct EntraIdentity {
    /// `https://.../.default`.
    scope: String,
    tenant: Option<String>,
    client: Option<String>,
    secret: Option<Secret>,
    environment: Environment,
    cache: TokenCache,
}

impl std::fmt::Debug for EntraIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("EntraIdentity");
        out.field("scope", &self.scope).field("tenant", &self.tenant).field("client", &self.client);
        out.finish_non_exhaustive()
    }
}

impl EntraIdentity {
    /// `given` outranks what the environment says.
    ///
    /// # Errors
    /// `invalid_config` when the variable of the secret is not set.
    pub fn new(scope: &str, given: &CredentialConfig, at: &str, environment: &Environment) -> Result<Self> {
        let secret = match &given.client_secret_env {
            None => environment("AZURE_CLIENT_SECRET"),
            Some(var) => {
                let value = std::env::var(var).map_err(|_| {
                    Error::invalid_config(format!("{at}.client_secret_env"), format!("the variable {var} is not set"))
                })?;
                Some(value)
            }
        };
        let set = |name: &str| environment(name).filter(|v| !v.is_empty());
        Ok(EntraIdentity {
            scope: scope.to_owned(),
            tenant: given.tenant_id.clone().or_else(|| set("AZURE_TENANT_ID")),
            client: given.client_id.clone().or_else(|| set("AZURE_CLIENT_ID")),
            secret: secret.filter(|s| !s.trim().is_empty()).map(Secret::new),
            environment: environment.clone(),
            cache: TokenCache::default(),
        })
    }

    /// Where it was found, when something says that it is there.
    pub fn found(&self) -> Option<String> {
        let set = |name: &str| (self.environment)(name).is_some_and(|v| !v.is_empty());
        match (&self.tenant, &self.client, &self.secret) {
            (Some(_), Some(client), Some(_)) => Some(format!("Entra ID, client {client}")),
            (Some(_), Some(client), None) if set("AZURE_FEDERATED_TOKEN_FILE") => {
                Some(format!("Entra ID, workload identity of client {client}"))
            }
            _ if set("IDENTITY_ENDPOINT") => Some("managed identity (variable IDENTITY_ENDPOINT)".to_owned()),
            _ => None,
        }
    }

    async fn fetch(&self, host: Host<'_>) -> Result<Token> {
        let set = |name: &str| (self.environment)(name).filter(|v| !v.is_empty());
        if let (Some(tenant), Some(client)) = (&self.tenant, &self.client) {
            if let Some(secret) = &self.secret {
                let proof = [("client_secret", secret.expose())];
                return self.client_credentials(tenant, client, &proof, host).await;
            }
            if let Some(file) = set("AZURE_FEDERATED_TOKEN_FILE") {
                // Rotated by the cluster, so read every time.
                let assertion = std::fs::read_to_string(&file).map_err(|e| {
                    Error::new(ErrorKind::Authentication, format!("the federated token {file} cannot be read: {e}"))
                })?;
                let proof = [
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", assertion.trim()),
                ];
                return self.client_credentials(tenant, client, &proof, host).await;
            }
        }
        self.managed(host).await
    }

    async fn client_credentials(
        &self,
        tenant: &str,
        client: &str,
        proof: &[(&str, &str)],
        host: Host<'_>,
    ) -> Result<Token> {
        let authority = (self.environment)("AZURE_AUTHORITY_HOST").filter(|v| !v.is_empty());
        let authority = authority.as_deref().unwrap_or("https://login.microsoftonline.com").trim_end_matches('/');
        let mut form = vec![("client_id", client), ("grant_type", "client_credentials"), ("scope", &self.scope)];
        form.extend_from_slice(proof);
        let ask = Exchange::form(format!("{authority}/{tenant}/oauth2/v2.0/token"), &form);
        access_token(&ask.json("Entra ID", host).await?, "Entra ID", host.clock.unix())
    }

    /// The identity of the machine or of the app service.
    async fn managed(&self, host: Host<'_>) -> Result<Token> {
        let resource = self.scope.trim_end_matches("/.default");
        let client = self.client.iter().map(|client| ("client_id", client.as_str()));
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(std::iter::once(("resource", resource)).chain(client))
            .finish();
        let set = |name: &str| (self.environment)(name).filter(|v| !v.is_empty());
        let answer = match (set("IDENTITY_ENDPOINT"), set("IDENTITY_HEADER")) {
            (Some(endpoint), Some(header)) => {
                let url = format!("{endpoint}?api-version=2019-08-01&{query}");
                let proof = [("x-identity-header", header.as_str())];
                Exchange::metadata(url, &proof).json("the managed identity", host).await
            }
            _ => {
                let url =
                    format!("http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&{query}");
                Exchange::metadata(url, &[("metadata", "true")]).json("the managed identity", host).await
            }
        };
        let answer = answer.map_err(|e| {
            let why = format!(
                "no key and no identity for Azure: set AZURE_OPENAI_API_KEY, or AZURE_TENANT_ID, AZURE_CLIENT_ID and \
                 AZURE_CLIENT_SECRET; {}",
                e.message()
            );
            Error::new(ErrorKind::Authentication, why)
        })?;
        access_token(&answer, "the managed identity", host.clock.unix())
    }
}

impl Credential for EntraIdentity {
    fn authorize<'a>(&'a self, request: &'a mut HttpRequest, host: Host<'a>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let token = self.cache.get(host.clock.unix(), self.fetch(host)).await?;
            request.headers.insert(AUTHORIZATION, bearer(&token)?);
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
        self.cache.held().into_iter().chain(self.secret.clone()).collect()
    }
}

#[cfg(test)]
#[path = "entra_tests.rs"]
mod tests;
