//! The client: one method per public method of the core.

use interfuse::backend::KeySources;
use interfuse::types::{BatchReport, Calibration, Config, Estimable, Evaluation, Fused, UsageReport, from_json};
use interfuse::{Client, Error, fusion, host};
use napi::Env;
use napi::bindgen_prelude::PromiseRaw;
use napi_derive::napi;

use crate::batch::NativeBatch;
use crate::call::{Cancel, closing, defect, json, raise, run};
use crate::keys::{self, Ask};
use crate::stream::{NO_LIMIT, NativeStream, READ_AHEAD};

/// A client as `js/client.cjs` sees it.
#[napi]
pub struct NativeClient {
    client: Client,
    closing: Cancel,
}

#[napi]
impl NativeClient {
    /// `document` is TOML or JSON text; `providers` are backends as JSON, laid over those of the document; `asked` names
    /// the providers for whose keys `ask` is called.
    #[napi(constructor)]
    pub fn new(
        env: &Env,
        document: Option<String>,
        providers: Option<String>,
        asked: Vec<String>,
        #[napi(ts_arg_type = "(provider: string) => Promise<string>")] ask: Ask,
    ) -> napi::Result<Self> {
        let keys = keys::sources(asked, ask);
        let client = make(document.as_deref(), providers.as_deref(), keys).map_err(|error| raise(&error))?;
        Ok(NativeClient { client, closing: closing(env)? })
    }

    /// One answer.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn chat<'env>(
        &self,
        env: &'env Env,
        request: String,
        cancel: Option<&Cancel>,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.cloned(), self.closing.clone());
        env.spawn_future(async move {
            let work = async { json(&client.chat(from_json("request", &request)?).await?) };
            run(work, cancel.as_ref(), &closing).await
        })
    }

    /// One answer as it is written; resolves when its first chunk is there.
    #[napi(ts_return_type = "Promise<NativeStream>")]
    pub fn chat_stream<'env>(
        &self,
        env: &'env Env,
        request: String,
        cancel: &Cancel,
    ) -> napi::Result<PromiseRaw<'env, NativeStream>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.clone(), self.closing.clone());
        env.spawn_future(async move {
            let work = async { client.chat_stream(from_json("request", &request)?).await };
            let chunks = run(work, Some(&cancel), &closing).await?;
            Ok(NativeStream::new(chunks, READ_AHEAD, cancel, closing))
        })
    }

    /// Embeddings.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn embeddings<'env>(
        &self,
        env: &'env Env,
        request: String,
        cancel: Option<&Cancel>,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.cloned(), self.closing.clone());
        env.spawn_future(async move {
            let work = async { json(&client.embeddings(from_json("request", &request)?).await?) };
            run(work, cancel.as_ref(), &closing).await
        })
    }

    /// One fusion.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn fuse<'env>(
        &self,
        env: &'env Env,
        request: String,
        cancel: Option<&Cancel>,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.cloned(), self.closing.clone());
        env.spawn_future(async move {
            let work = async { json(&client.fuse(from_json("request", &request)?).await?) };
            run(work, cancel.as_ref(), &closing).await
        })
    }

    /// One fusion, told as it goes on.
    #[napi(ts_return_type = "Promise<NativeStream>")]
    pub fn fuse_stream<'env>(
        &self,
        env: &'env Env,
        request: String,
        cancel: &Cancel,
    ) -> napi::Result<PromiseRaw<'env, NativeStream>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.clone(), self.closing.clone());
        env.spawn_future(async move {
            let work = async { client.fuse_stream(from_json("request", &request)?).await };
            let events = run(work, Some(&cancel), &closing).await?;
            Ok(NativeStream::new(events, NO_LIMIT, cancel, closing))
        })
    }

    /// One evaluation.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn evaluate<'env>(
        &self,
        env: &'env Env,
        request: String,
        cancel: Option<&Cancel>,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.cloned(), self.closing.clone());
        env.spawn_future(async move {
            let work = async { json(&client.evaluate(from_json("request", &request)?).await?) };
            run(work, cancel.as_ref(), &closing).await
        })
    }

    /// One evaluation, told as it goes on.
    #[napi(ts_return_type = "Promise<NativeStream>")]
    pub fn evaluate_stream<'env>(
        &self,
        env: &'env Env,
        request: String,
        cancel: &Cancel,
    ) -> napi::Result<PromiseRaw<'env, NativeStream>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.clone(), self.closing.clone());
        env.spawn_future(async move {
            let work = async { client.evaluate_stream(from_json("request", &request)?) };
            let events = run(work, Some(&cancel), &closing).await?;
            Ok(NativeStream::new(events, NO_LIMIT, cancel, closing))
        })
    }

    /// A batch: where its requests are put in, and the stream of its events.
    #[napi(ts_return_type = "Promise<NativeBatch>")]
    pub fn batch<'env>(
        &self,
        env: &'env Env,
        options: String,
        cancel: &Cancel,
    ) -> napi::Result<PromiseRaw<'env, NativeBatch>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.clone(), self.closing.clone());
        env.spawn_future(async move {
            let work = async { client.batch_fed(from_json("batch", &options)?) };
            let (feed, events) = run(work, Some(&cancel), &closing).await?;
            // As many events as there is room for rows are ahead of a slow reader in any case.
            Ok(NativeBatch::new(feed, NativeStream::new(events, READ_AHEAD, cancel, closing)))
        })
    }

    /// Combines the answers of a report once more.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn rejudge<'env>(
        &self,
        env: &'env Env,
        report: String,
        request: String,
        cancel: Option<&Cancel>,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.cloned(), self.closing.clone());
        env.spawn_future(async move {
            let work = async {
                let report = from_json("report", &report)?;
                json(&client.rejudge(&report, from_json("request", &request)?).await?)
            };
            run(work, cancel.as_ref(), &closing).await
        })
    }

    /// Tells what became of a run.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn feedback<'env>(
        &self,
        env: &'env Env,
        run_id: String,
        outcome: String,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        self.beside(env, move |client| {
            client.feedback(&run_id, &from_json("outcome", &outcome)?)?;
            Ok("null".to_owned())
        })
    }

    /// How the backend of a chat would be chosen.
    #[napi]
    pub fn explain(&self, request: String) -> napi::Result<String> {
        let told = from_json("request", &request).and_then(|request| self.client.explain(&request));
        told.and_then(|told| json(&told)).map_err(|error| raise(&error))
    }

    /// What a chat may cost.
    #[napi]
    pub fn estimate(&self, request: String) -> napi::Result<String> {
        let request = from_json("request", &request).and_then(|request| Estimable::from_value(&request));
        let told = request.and_then(|request| self.client.estimate(request));
        told.and_then(|told| json(&told)).map_err(|error| raise(&error))
    }

    /// Where the budgets stand.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn budgets<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, String>> {
        self.beside(env, |client| json(&client.budgets()?))
    }

    /// Sums over the ledger.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn usage<'env>(&self, env: &'env Env, query: String) -> napi::Result<PromiseRaw<'env, String>> {
        self.beside(env, move |client| json(&client.usage(from_json("query", &query)?)?))
    }

    /// Resolves when everything booked so far is durable.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn flush<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, ()>> {
        // Also of a client that is being closed.
        let client = self.client.clone();
        env.spawn_future(async move { blocking(move || client.flush()).await.map_err(|error| raise(&error)) })
    }

    /// Records of the ledger, one by one.
    #[napi(ts_return_type = "Promise<NativeStream>")]
    pub fn records<'env>(
        &self,
        env: &'env Env,
        query: String,
        cancel: &Cancel,
    ) -> napi::Result<PromiseRaw<'env, NativeStream>> {
        let (client, cancel, closing) = (self.client.clone(), cancel.clone(), self.closing.clone());
        env.spawn_future(async move {
            let work = async { client.records(from_json("query", &query)?) };
            let records = run(work, Some(&cancel), &closing).await?;
            Ok(NativeStream::new(records, READ_AHEAD, cancel, closing))
        })
    }

    /// An export as text.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn export<'env>(&self, env: &'env Env, request: String) -> napi::Result<PromiseRaw<'env, String>> {
        self.beside(env, move |client| {
            let mut document = Vec::new();
            client.export(&from_json("request", &request)?, &mut document)?;
            Ok(String::from_utf8_lossy(&document).into_owned())
        })
    }

    /// An export into a file.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn export_file<'env>(
        &self,
        env: &'env Env,
        request: String,
        path: String,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        self.beside(env, move |client| json(&client.export_file(&from_json("request", &request)?, path)?))
    }

    /// Takes the prices of a published list.
    #[napi]
    pub fn load_prices(&self, list: String) -> napi::Result<String> {
        self.client.load_prices(list.as_bytes()).and_then(|loaded| json(&loaded)).map_err(|error| raise(&error))
    }

    /// Compares vendors' reports with the ledger.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn reconcile<'env>(&self, env: &'env Env, request: String) -> napi::Result<PromiseRaw<'env, String>> {
        self.beside(env, move |client| json(&client.reconcile_request(&from_json("request", &request)?)?))
    }

    /// Models of the catalogue.
    #[napi]
    pub fn models(&self) -> napi::Result<String> {
        self.client.models().and_then(|models| json(&models)).map_err(|error| raise(&error))
    }

    /// Backends.
    #[napi]
    pub fn providers(&self) -> napi::Result<String> {
        self.client.providers().and_then(|providers| json(&providers)).map_err(|error| raise(&error))
    }
}

fn make(document: Option<&str>, providers: Option<&str>, keys: KeySources) -> Result<Client, Error> {
    host::log_as_environment_says()?;
    let mut config = document.map(Config::parse).transpose()?.unwrap_or_default();
    if let Some(providers) = providers {
        config.overlay(from_json("configuration", providers)?);
    }
    Client::with_keys(config, keys)
}

/// Work that waits for a disk, on a thread where that may take long.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(defect()))
}

impl NativeClient {
    /// Work over the ledger, beside the event loop and the runtime that calls run on; ends when the client is closed.
    fn beside<'env>(
        &self,
        env: &'env Env,
        work: impl FnOnce(&Client) -> Result<String, Error> + Send + 'static,
    ) -> napi::Result<PromiseRaw<'env, String>> {
        let (client, closing) = (self.client.clone(), self.closing.clone());
        env.spawn_future(async move { run(blocking(move || work(&client)), None, &closing).await })
    }
}

/// A fused answer, given as JSON, as an HTML page for people.
#[napi]
pub fn fused_html(fused: String) -> napi::Result<String> {
    from_json::<Fused>("fused answer", &fused).map(|fused| fused.to_html()).map_err(|error| raise(&error))
}

/// An evaluation, given as JSON, as tables for people.
#[napi]
pub fn evaluation_text(evaluation: String, width: u32, color: bool) -> napi::Result<String> {
    let evaluation = from_json::<Evaluation>("evaluation", &evaluation).map_err(|error| raise(&error))?;
    Ok(evaluation.to_text(width as usize, color))
}

/// What a batch came to, given as JSON, as a line for people.
#[napi]
pub fn batch_text(report: String) -> napi::Result<String> {
    from_json::<BatchReport>("report", &report).map(|report| report.to_text()).map_err(|error| raise(&error))
}

/// An evaluation, given as JSON, as one HTML page.
#[napi]
pub fn evaluation_html(evaluation: String) -> napi::Result<String> {
    let evaluation = from_json::<Evaluation>("evaluation", &evaluation).map_err(|error| raise(&error))?;
    Ok(evaluation.to_html())
}

/// The decision of a report, given as JSON, made again.
#[napi]
pub fn replay(report: String) -> napi::Result<String> {
    let again = from_json("report", &report).and_then(|report| fusion::replay(&report));
    again.and_then(|again| json(&again)).map_err(|error| raise(&error))
}

/// What a calibration finds on labelled items, given as JSON: a list, or a file's path.
#[napi(ts_return_type = "Promise<string>")]
pub fn calibrate(env: &Env, items: String) -> napi::Result<PromiseRaw<'_, String>> {
    let found = move || json(&fusion::calibrate(&fusion::items(from_json("items", &items)?)?));
    env.spawn_future(async move { blocking(found).await.map_err(|error| raise(&error)) })
}

/// A calibration, given as JSON, as text for people.
#[napi]
pub fn calibration_text(calibration: String) -> napi::Result<String> {
    let calibration = from_json::<Calibration>("calibration", &calibration).map_err(|error| raise(&error))?;
    Ok(calibration.to_text())
}

/// Sums, given as JSON, as CSV.
#[napi]
pub fn usage_csv(report: String) -> napi::Result<String> {
    let csv = || {
        let mut csv = Vec::new();
        from_json::<UsageReport>("report", &report)?.to_csv(&mut csv)?;
        Ok(String::from_utf8_lossy(&csv).into_owned())
    };
    csv().map_err(|error| raise(&error))
}
