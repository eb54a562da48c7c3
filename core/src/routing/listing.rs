//! What can be reached: models and backends as told to users.

use super::Router;
use crate::catalog::Resolved;
use crate::error::Result;
use crate::types::{Class, ModelInfo, ModelOffer, ProviderInfo};

impl Router {
    /// Models of the catalogue that some backend serves, with prices and whether its key is there.
    pub fn models(&self) -> Result<Vec<ModelInfo>> {
        let models = self.catalog.models()?;
        let mut infos = Vec::with_capacity(models.rows().len());
        for model in models.rows() {
            let offers: Vec<ModelOffer> = self.catalog.candidates(model).into_iter().map(|r| self.offer(r)).collect();
            if !offers.is_empty() {
                infos.push(ModelInfo { id: model.id.clone(), context: model.context, offers });
            }
        }
        Ok(infos)
    }

    /// Every backend, with where its key was found (never the key).
    pub fn providers(&self) -> Result<Vec<ProviderInfo>> {
        Ok(self.endpoints.infos())
    }

    /// Providers that give embeddings, of some models at least.
    pub fn embedders(&self) -> impl Iterator<Item = &str> {
        let rows = self.catalog.providers().unwrap_or_default();
        rows.iter().filter(|row| !row.embeddings.is_empty()).map(|row| row.id.as_str())
    }

    fn offer(&self, found: Resolved) -> ModelOffer {
        let ready = self.endpoint(&found.provider_id).is_ok_and(|e| e.ready());
        let loaded = self.loaded_price(&found.provider_id, &found.model_id);
        let price = loaded.as_ref().or(found.price());
        let usd = |class| price.and_then(|p| p.rates.get(class)).map(|rate| rate.to_string());
        ModelOffer {
            input_usd: usd(Class::Input),
            output_usd: usd(Class::Output),
            provider: found.provider_id,
            model: found.model_id,
            ready,
        }
    }
}
