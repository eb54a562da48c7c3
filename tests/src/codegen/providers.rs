//! A page for each provider of the catalogue, and the list of them.

use std::collections::BTreeMap;

use interfuse::Catalog;
use interfuse::catalog::{Identity, Model, Models, Offer, OfferStatus, Provider, ProviderKind, ProviderStatus};
use interfuse::types::quirks::ToolCallIds;

use super::MARKER;

/// Every page: path and text.
///
/// # Errors
/// A catalogue that cannot be read.
pub fn pages() -> Result<Vec<(String, String)>, String> {
    let catalog = Catalog::builtin();
    let fault = |error: interfuse::Error| error.to_string();
    let (providers, models) = (catalog.providers().map_err(fault)?, catalog.models().map_err(fault)?);
    let mut pages = vec![("docs/providers/index.md".to_owned(), index(providers, models))];
    for provider in providers {
        pages.push((
            format!("docs/providers/{}.md", provider.id),
            page(provider, &offers(models, &provider.id), models),
        ));
    }
    Ok(pages)
}

/// The model that a provider's page calls, as written in a request.
pub fn example(provider: &Provider, models: &Models) -> String {
    let offers = offers(models, &provider.id);
    let active = || offers.iter().filter(|(_, offer)| offer.status == OfferStatus::Active);
    let own = |model: &Model| model.vendor == provider.id || provider.aliases.contains(&model.vendor);
    let first = active()
        .find(|(model, _)| own(model) && !model.open_weights)
        .or_else(|| active().find(|(model, _)| own(model)))
        .or_else(|| active().next());
    let name = match (first, provider.kind) {
        (Some((model, _)), _) => match model.id.split_once('/') {
            Some((vendor, name)) if vendor == provider.id || provider.aliases.iter().any(|alias| alias == vendor) => {
                name
            }
            _ => &model.id,
        },
        (None, ProviderKind::Local) => "a-model-of-yours",
        (None, _) => "its-id-of-a-model",
    };
    format!("{}/{name}", provider.id)
}

/// What a provider serves, retired models left out.
fn offers<'a>(models: &'a Models, provider: &str) -> Vec<(&'a Model, &'a Offer)> {
    let of = |model: &'a Model| {
        model.serves().iter().filter(|(name, _)| name == provider).map(move |(_, offer)| (model, &**offer))
    };
    models.rows().iter().flat_map(of).filter(|(_, offer)| offer.status != OfferStatus::Retired).collect()
}

fn index(providers: &[Provider], models: &Models) -> String {
    let mut out = format!(
        "<!-- {MARKER} -->\n# Providers\n\n{} backends as of {}, each with a page of its own: where it listens, which keys it takes, what to know. A server that is \
         not listed needs two lines of [configuration](../configuration.md): `base_url` and `api_key` under `[providers.NAME]`. `interfuse doctor` says which keys were \
         found.\n",
        providers.len(),
        models.as_of(),
    );
    for (kind, title) in [
        (ProviderKind::Cloud, "They run models"),
        (ProviderKind::Aggregator, "They pass requests on"),
        (ProviderKind::Local, "On a machine of yours"),
    ] {
        out += &format!("\n## {title}\n\n| provider | key | models known | with a price |\n|---|---|---|---|\n");
        for provider in providers.iter().filter(|provider| provider.kind == kind) {
            let offers = offers(models, &provider.id);
            let priced = offers.iter().filter(|(_, offer)| offer.price.is_some()).count();
            let key = provider.key_vars.first().map_or_else(|| "none needed".to_owned(), |name| format!("`{name}`"));
            out += &format!("| [{}]({}.md) | {key} | {} | {priced} |\n", provider.name, provider.id, offers.len());
        }
    }
    out
}

fn page(provider: &Provider, offers: &[(&Model, &Offer)], models: &Models) -> String {
    let Provider { id, name, .. } = provider;
    let kind = match provider.kind {
        ProviderKind::Cloud => "It runs models",
        ProviderKind::Aggregator => "It passes requests on to others that run models",
        ProviderKind::Local => "It is a server on a machine of yours",
    };
    let speaks = spoken(&provider.wire);
    let mut out = format!("<!-- {MARKER} -->\n# {name}\n\n`{id}` in requests. {kind} and speaks {speaks}.");
    if let Some(docs) = &provider.docs {
        out += &format!(" [Its documentation]({docs}).");
    }
    out += "\n\n| | |\n|---|---|\n";
    let mut row = |what: &str, text: String| {
        if !text.is_empty() {
            out += &format!("| {what} | {text} |\n");
        }
    };
    row("also called", listed(&provider.aliases, ", "));
    row("status", status(provider));
    row("key", key(provider));
    row("address", address(provider));
    for (placeholder, variables) in &provider.vars {
        let set = match provider.values.get(placeholder) {
            Some(value) => format!("; `{value}` by default"),
            None => String::new(),
        };
        row(&format!("`{{{placeholder}}}`"), format!("{}, or `vars.{placeholder}`{set}", listed(variables, ", then ")));
    }
    row("for some models", others_spoken(provider));
    row("embeddings", if provider.embeddings.is_empty() { "no".to_owned() } else { "yes".to_owned() });
    row("models", known(provider, offers));
    row("prices", prices(offers));
    let notes = notes(provider);
    if !notes.is_empty() {
        out += "\n## What to know\n\n";
        for note in notes {
            out += &format!("- {note}\n");
        }
    }
    let model = example(provider, models);
    out += &format!(
        "\n## Call it\n\n| | |\n|---|---|\n\
         | Python | `client.chat(model=\"{model}\", messages=messages)` |\n\
         | Node | `await client.chat.completions.create({{ model: '{model}', messages }})` |\n\
         | C | `interfuse_chat(client, \"{{\\\"model\\\": \\\"{model}\\\", \\\"messages\\\": [...]}}\", &answer, &err)` |\n\
         | C++ | `client.chat(R\"({{\"model\": \"{model}\", \"messages\": [...]}})\")` |\n\
         | Rust | `client.chat(ChatRequest::new(\"{model}\", messages)).await?` |\n\
         | command line | `interfuse chat \"Say hi\" --model {model}` |\n"
    );
    out
}

fn listed<T: AsRef<str>>(names: &[T], between: &str) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(between)
}

fn status(provider: &Provider) -> String {
    let word = match provider.status {
        ProviderStatus::Active => return provider.status_note.clone().unwrap_or_default(),
        ProviderStatus::Uncertain => "uncertain",
        ProviderStatus::Test => "for tests",
    };
    match &provider.status_note {
        Some(note) => format!("{word}: {note}"),
        None => word.to_owned(),
    }
}

fn key(provider: &Provider) -> String {
    let variables = listed(&provider.key_vars, ", then ");
    let identity = match &provider.auth.identity {
        Some(Identity::Aws { .. }) => "or requests signed with keys of an AWS account",
        Some(Identity::Google { .. }) => "or application default credentials of Google Cloud",
        Some(Identity::Entra { .. }) => "or Microsoft Entra ID",
        None => "",
    };
    match (variables.is_empty(), provider.key_optional) {
        (true, true) => "none needed".to_owned(),
        (true, false) if identity.is_empty() => "`api_key` in the configuration".to_owned(),
        (true, false) => identity.trim_start_matches("or ").to_owned(),
        (false, true) => format!("{variables}; usually none needed"),
        (false, false) if identity.is_empty() => variables,
        (false, false) => format!("{variables}, {identity}"),
    }
}

fn address(provider: &Provider) -> String {
    match provider.base_url_vars.is_empty() {
        true => format!("`{}`", provider.base_url),
        false => format!("`{}`, or what {} says", provider.base_url, listed(&provider.base_url_vars, ", then ")),
    }
}

/// Protocols beside the main one.
fn others_spoken(provider: &Provider) -> String {
    let mut others: Vec<String> = Vec::new();
    for api in provider.api.iter().filter(|api| api.wire != provider.wire) {
        let name = spoken(&api.wire);
        if !others.contains(&name) {
            others.push(name);
        }
    }
    others.join(", ")
}

/// A wire's name for people.
fn spoken(wire: &str) -> String {
    let name = match wire {
        "openai-chat" => "OpenAI Chat Completions",
        "openai-responses" => "OpenAI Responses",
        "anthropic" => "Anthropic Messages",
        "gemini" => "Gemini generateContent",
        "bedrock-converse" => "Bedrock Converse",
        "cohere" => "Cohere v2 chat",
        "ollama" => "Ollama's own API",
        other => other,
    };
    name.to_owned()
}

fn known(provider: &Provider, offers: &[(&Model, &Offer)]) -> String {
    let others = if provider.any_model { "any name is passed on" } else { "" };
    match (offers.len(), others.is_empty()) {
        (0, _) => others.to_owned(),
        (n, true) => format!("{n} known"),
        (n, false) => format!("{n} known; {others}"),
    }
}

/// How many prices there are, of which dates, from whom.
fn prices(offers: &[(&Model, &Offer)]) -> String {
    let priced: Vec<&Offer> = offers.iter().map(|(_, offer)| *offer).filter(|offer| offer.price.is_some()).collect();
    let dates = priced.iter().map(|offer| offer.as_of.as_str());
    let (Some(first), Some(last)) = (dates.clone().min(), dates.max()) else { return String::new() };
    let mut tags: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in priced.iter().flat_map(|offer| offer.source.split(" + ")) {
        *tags.entry(tag.split('@').next().unwrap_or_default()).or_default() += 1;
    }
    let mut tags: Vec<(&str, usize)> = tags.into_iter().collect();
    tags.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let sources: Vec<String> = tags.iter().map(|(name, count)| format!("{name} ({count})")).collect();
    let of = if first == last { first.to_owned() } else { format!("{first} to {last}") };
    format!("{}, of {of}; attested by {}", priced.len(), sources.join(", "))
}

/// Deviations that a caller notices.
fn notes(provider: &Provider) -> Vec<String> {
    let quirks = &provider.quirks;
    let mut notes = Vec::new();
    if let Some(most) = quirks.max_n {
        notes.push(format!("At most {most} answer for a request (`n`)."));
    }
    let not_taken: Vec<&String> = quirks.drop.iter().chain(&quirks.ignores).collect();
    if !not_taken.is_empty() {
        let fields = listed(&not_taken, ", ");
        notes.push(format!("Does not honour {fields}: refused where that changes the answer, else left out and named in `interfuse.dropped`."));
    }
    if !quirks.tool_choices.is_empty() {
        notes.push(format!("Of `tool_choice` only {}.", listed(&quirks.tool_choices, ", ")));
    }
    match quirks.tool_call_ids {
        Some(ToolCallIds::Alnum9) => {
            notes.push("Ids of tool calls have its own form; others are rewritten, both ways.".into())
        }
        Some(ToolCallIds::Absent) => {
            notes.push("Knows no ids of tool calls; calls and results are matched by name and order.".into())
        }
        None => {}
    }
    if quirks.developer_role == Some(false) {
        notes.push("Messages of role `developer` are sent as `system`.".into());
    }
    if let Some(tag) = &quirks.reasoning_tag {
        notes.push(format!(
            "Writes its reasoning into the answer, between `<{tag}>` tags; you get it as `reasoning_content`, apart."
        ));
    }
    if !quirks.echo.is_empty() {
        notes.push(format!(
            "Wants {} of an assistant's message back: send messages back as they came.",
            listed(&quirks.echo, ", ")
        ));
    }
    if quirks.reasoning_outside {
        notes.push("Bills reasoning beside `completion_tokens`; costs count it.".into());
    }
    if quirks.stream_inside == Some(false) {
        notes.push("An answer that you do not stream is not streamed inside either.".into());
    }
    if quirks.continues {
        notes.push("An answer that broke off can go on: `on_interrupt = \"continue\"`.".into());
    }
    if quirks.cost.is_some() {
        notes.push("States in its answer what it cost, and that is booked.".into());
    }
    if quirks.served_by.is_some() {
        notes.push("Says who really served: `interfuse.served_by`.".into());
    }
    if quirks.rate_limit.is_some() {
        notes.push("Tells its limits in headers, which calls heed: `interfuse.rate_limit`.".into());
    }
    if provider.own_suffixes {
        notes.push("Understands suffixes of models (`model:suffix`) itself; they are passed on.".into());
    }
    notes
}
