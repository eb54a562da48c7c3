//! From a request and the configuration to a plan: who is asked what, who judges, until when, for how much. Refuses what
//! is wrong before anything is sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::is_virtual;
use crate::catalog::nearest::did_you_mean;
use crate::error::{Error, ErrorKind, Result};
use crate::money::NanoUsd;
use crate::types::{
    ChatRequest, Config, Content, ContentPart, Foreign, FuseRequest, FusionMode, FusionOptions, Judge, Member, Message,
    OnInterrupt, Pool, ProviderChoice, ProviderPreferences, Role, Tags,
};

use super::extract::Reader;
use super::form::Form;
use super::{drop_in, family, preset, shield, thrift};

/// Most members of a pool.
pub(crate) const MAX_MEMBERS: usize = 16;
const DEFAULT_POOL: &str = "default";
pub(crate) const DEFAULT_DEADLINE: Duration = Duration::from_secs(120);

/// Everything a run needs to know, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub mode: FusionMode,
    pub members: Vec<Seat>,
    pub judge: Judge,
    /// Nobody named one, so it is the anchor.
    pub judge_is_anchor: bool,
    /// The conversation holds what the judge does not see.
    pub blind: bool,
    /// What of the conversation beside text the judge is shown.
    pub shown: Vec<ContentPart>,
    /// As given by the caller.
    pub quorum: Option<usize>,
    /// Reads closed answers out of texts.
    pub reader: Arc<Reader>,
    /// What every answer is bound to.
    pub form: Form,
    /// Whether a merged answer is compared with the best single one; by default where its text is not streamed.
    pub guard: Option<bool>,
    pub grace: Option<Duration>,
    pub deadline: Duration,
    pub cap: Option<NanoUsd>,
    /// Answers that nobody limits are kept to so many tokens, for want of money.
    pub shortest: Option<u64>,
    /// The conversation and the parameters that all members get.
    pub base: ChatRequest,
    /// The caller's preferences: their hard filters hold for every call of the run, whatever backends a member or the judge
    /// names.
    pub within: Option<Arc<ProviderPreferences>>,
    pub tags: Tags,
    /// From the conversation, the pool and the caller's seed; decides labels and orders.
    pub seed: u64,
    pub warnings: Vec<String>,
    /// What stands between comparison and answer where one reply holds both, once one was asked for.
    pub code: Option<String>,
    /// What the request said in another vendor's words.
    pub foreign: Option<Box<Foreign>>,
}

/// One member and its name in the report.
#[derive(Debug)]
pub(crate) struct Seat {
    pub id: String,
    pub member: Member,
}

/// The plan for a fuse request.
pub(crate) fn from_fuse(request: FuseRequest, config: &Config) -> Result<Plan> {
    let FuseRequest { prompt, mut fusion, mut chat } = request;
    refuse_unknown(&chat)?;
    if chat.fusion.is_some() {
        return Err(wrong("fusion", "its options stand beside `prompt` or `messages`, not in `fusion`"));
    }
    match (prompt, chat.messages.is_empty()) {
        (Some(_), false) => return Err(wrong("prompt", "give either `prompt` or `messages`, not both")),
        (Some(prompt), true) if prompt.trim().is_empty() => return Err(wrong("prompt", "it is empty")),
        (Some(prompt), true) => chat.messages = vec![Message::user(prompt)],
        (None, true) => return Err(wrong("prompt", "missing: give `prompt` or `messages`")),
        (None, false) => {}
    }
    if !chat.model.is_empty() {
        let mode = virtual_mode(&chat.model)?.ok_or_else(|| {
            wrong("model", "a fusion asks the members of `pool`; name the model there, or call chat for one model")
        })?;
        fusion.mode.get_or_insert(mode);
    }
    resolve(fusion, chat, config)
}

/// The plan for a chat request to a model `interfuse/...`.
pub(crate) fn from_chat(mut chat: ChatRequest, config: &Config) -> Result<Plan> {
    let mode = virtual_mode(&chat.model)?
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("`{}` is not a fusion model", chat.model)))?;
    let mut fusion = chat.fusion.take().unwrap_or_default();
    if fusion.mode.is_some_and(|given| given != mode) {
        return Err(wrong("fusion.mode", &format!("it contradicts the model `{}`", chat.model)));
    }
    // `interfuse/auto` is where a preset decides.
    if mode != FusionMode::Auto || fusion.preset.is_none() {
        fusion.mode = Some(mode);
    }
    if chat.messages.is_empty() {
        return Err(wrong("messages", "it is empty"));
    }
    resolve(fusion, chat, config)
}

/// The mode of `interfuse/<mode>`; `None` for any other model.
fn virtual_mode(model: &str) -> Result<Option<FusionMode>> {
    if !is_virtual(model) {
        return Ok(None);
    }
    let name = model.trim()[10..].to_ascii_lowercase().replace('-', "_");
    let modes = super::STRATEGIES.iter().map(|s| s.mode());
    match modes.clone().find(|m| m.as_str() == name) {
        Some(mode) => Ok(Some(mode)),
        None => {
            let known: Vec<String> = modes.map(|m| format!("interfuse/{}", m.as_str().replace('_', "-"))).collect();
            let near = did_you_mean(model, known.iter().map(String::as_str));
            let message = format!("there is no fusion model `{model}`{near}; there are {}", known.join(", "));
            Err(Error::new(ErrorKind::NotFound, message).with_param("model"))
        }
    }
}

fn resolve(given: FusionOptions, mut base: ChatRequest, config: &Config) -> Result<Plan> {
    let (mut options, mut members, from) = pool(given, config)?;
    check_members(&members, &from)?;
    let foreign = options.foreign.take();
    if let Some(foreign) = &foreign {
        members.iter_mut().for_each(|member| drop_in::fill(member, &foreign.member));
    }
    if base.n.is_some_and(|n| n != 1) {
        return Err(wrong(
            "n",
            "a fusion gives one answer; for several answers of one model list it several times in `pool`",
        ));
    }
    if base.fallbacks.is_some() {
        return Err(wrong("fallbacks", "fallback models are for a chat with one model; a fusion has its `pool`"));
    }
    if base.on_interrupt.is_some_and(|how| how != OnInterrupt::Error) {
        return Err(wrong(
            "on_interrupt",
            "an interrupted final answer of a fusion is an error that carries what had come",
        ));
    }
    if base.models.as_ref().is_some_and(|m| !m.is_empty()) {
        return Err(wrong("models", "fallback models are for a chat with one model; a fusion has its `pool`"));
    }
    let judge_is_anchor = options.judge.is_none();
    let judge = options.judge.clone().unwrap_or_else(|| Judge {
        model: members[0].model.clone(),
        provider: members[0].provider.clone().or_else(|| base.provider.clone()),
        ..Judge::default()
    });
    if judge.model.trim().is_empty() {
        return Err(wrong("judge", "it names no model"));
    }
    refuse_virtual("the judge", &judge.model, judge.provider.as_ref())?;
    check_chances(&members, &judge, &from)?;
    preset::apply(&mut options, &mut members);
    let mode = options.mode.unwrap_or_default();
    if mode == FusionMode::Cascade && members.len() < 3 {
        return Err(wrong(
            "pool",
            "a cascade has at least two members before the last, which decides where they differ",
        ));
    }
    let quorum = options.quorum.map(|q| q as usize);
    if quorum.is_some_and(|q| q == 0 || q > members.len()) {
        return Err(wrong("quorum", &format!("it must be from 1 to the pool's size, {}", members.len())));
    }
    let given_deadline = match (options.deadline_ms, base.timeout_ms.take()) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let deadline = given_deadline.map_or(DEFAULT_DEADLINE, Duration::from_millis);
    if deadline.is_zero() {
        return Err(wrong("deadline_ms", "it must be at least 1"));
    }
    // Longer than a day helps nobody and could overflow a clock.
    let deadline = deadline.min(Duration::from_secs(86_400));
    // Where the call and its options (those of a pool, perhaps) say something, both hold.
    let caps = [options.max_cost_usd.as_deref(), base.max_cost_usd.as_deref()];
    let caps = caps.into_iter().flatten().map(str::parse::<NanoUsd>).collect::<std::result::Result<Vec<_>, _>>();
    let caps = caps.map_err(|e| Error::invalid_request(e.to_string()).with_param("max_cost_usd"))?;
    let cap = caps.into_iter().min();

    let mut warnings = warnings(&members, &judge);
    let (form, unheld) = Form::of(&base);
    warnings.extend(unheld);
    let reader = Arc::new(Reader::new(&base.messages, options.extract.as_ref())?);
    let seed = seed(&base, &members, mode);
    let tags = base.tags.take().unwrap_or_default();
    base.model.clear();
    (base.fusion, base.n, base.stream, base.stream_options, base.max_cost_usd) = (None, None, None, None, None);
    Ok(Plan {
        mode,
        members: seats(members),
        judge,
        judge_is_anchor,
        blind: false,
        shown: Vec::new(),
        quorum,
        reader,
        form,
        guard: options.guard,
        grace: options.grace_ms.map(|ms| Duration::from_millis(ms.min(86_400_000))),
        deadline,
        cap,
        shortest: None,
        within: match &base.provider {
            Some(ProviderChoice::Preferences(preferences)) => Some(Arc::new((**preferences).clone())),
            _ => None,
        },
        base,
        tags,
        seed,
        warnings,
        code: None,
        foreign,
    })
}

/// The options with the pool's defaults filled in, the members, and where they came from.
fn pool(given: FusionOptions, config: &Config) -> Result<(FusionOptions, Vec<Member>, String)> {
    let name = match given.pool.clone() {
        Some(Pool::Members(members)) => return Ok((given, members, "pool".to_owned())),
        Some(Pool::Name(name)) => name,
        None if config.pools.contains_key(DEFAULT_POOL) => DEFAULT_POOL.to_owned(),
        None => {
            return Err(wrong(
                "pool",
                "missing: list the members, name a pool of the configuration, or configure `pools.default`",
            ));
        }
    };
    let Some(configured) = config.pools.get(&name) else {
        let near = did_you_mean(&name, config.pools.keys().map(String::as_str));
        let hint = if config.pools.is_empty() { "; the configuration has no pools" } else { "" };
        let message = format!("the configuration has no pool `{name}`{near}{hint}");
        return Err(Error::new(ErrorKind::NotFound, message).with_param("pool"));
    };
    let path = format!("pools.{name}.pool");
    let Some(Pool::Members(members)) = configured.pool.clone() else {
        return Err(Error::invalid_config(path, "a pool needs its list of members here"));
    };
    let defaults = configured.clone();
    let options = FusionOptions {
        mode: given.mode.or(defaults.mode),
        // A mode of the request's own is not undone by the pool's preset.
        preset: given.preset.or(defaults.preset.filter(|_| given.mode.is_none())),
        pool: None,
        judge: given.judge.or(defaults.judge),
        quorum: given.quorum.or(defaults.quorum),
        grace_ms: given.grace_ms.or(defaults.grace_ms),
        deadline_ms: given.deadline_ms.or(defaults.deadline_ms),
        extract: given.extract.or(defaults.extract),
        guard: given.guard.or(defaults.guard),
        max_cost_usd: given.max_cost_usd.or(defaults.max_cost_usd),
        foreign: given.foreign,
    };
    Ok((options, members, path))
}

fn check_members(members: &[Member], from: &str) -> Result<()> {
    let refuse = |path: String, why: String| match from {
        "pool" => Err(wrong(&path, &why)),
        _ => Err(Error::invalid_config(path, why)),
    };
    if members.is_empty() {
        return refuse(from.to_owned(), "the pool is empty; name at least one model".to_owned());
    }
    if members.len() > MAX_MEMBERS {
        return refuse(from.to_owned(), format!("a pool has at most {MAX_MEMBERS} members, not {}", members.len()));
    }
    for (i, member) in members.iter().enumerate() {
        if member.model.trim().is_empty() {
            return refuse(format!("{from}[{i}].model"), "it names no model".to_owned());
        }
        refuse_virtual("a pool member", &member.model, member.provider.as_ref())?;
    }
    Ok(())
}

/// Chances are chances: of a member above 0 and below 1, of a judge not worse than a coin.
fn check_chances(members: &[Member], judge: &Judge, from: &str) -> Result<()> {
    for (i, member) in members.iter().enumerate() {
        if member.prior.is_some_and(|p| !(p > 0.0 && p < 1.0)) {
            let path = format!("{from}[{i}].prior");
            let why = "it is a chance, above 0 and below 1";
            return Err(if from == "pool" { wrong(&path, why) } else { Error::invalid_config(path, why) });
        }
    }
    if judge.trust.is_some_and(|t| !(0.5..1.0).contains(&t)) {
        return Err(wrong("judge.trust", "it is a chance, from 0.5 (a coin) to below 1"));
    }
    Ok(())
}

fn refuse_virtual(who: &str, model: &str, provider: Option<&ProviderChoice>) -> Result<()> {
    let named = matches!(provider, Some(ProviderChoice::Name(name)) if name.eq_ignore_ascii_case("interfuse"));
    if !is_virtual(model) && !named && !drop_in::is_alias(model, provider) {
        return Ok(());
    }
    let message = format!("{who} is `{model}`, which is itself a fusion; name a model that answers by itself");
    Err(Error::new(ErrorKind::Recursion, message).with_model(model))
}

/// Unique names: the given one or the model, numbered from the second on.
fn seats(members: Vec<Member>) -> Vec<Seat> {
    let mut taken = BTreeSet::new();
    let mut unique = |wanted: &str| {
        let mut id = wanted.to_owned();
        let mut number = 1;
        while !taken.insert(id.clone()) {
            number += 1;
            id = format!("{wanted}#{number}");
        }
        id
    };
    members
        .into_iter()
        .map(|member| {
            let name = member.name.as_deref().map(str::trim).filter(|n| !n.is_empty());
            Seat { id: unique(name.unwrap_or(&member.model)), member }
        })
        .collect()
}

fn warnings(members: &[Member], judge: &Judge) -> Vec<String> {
    let mut warnings = Vec::new();
    let same = |m: &Member| m.model == members[0].model && m.provider == members[0].provider;
    if members.len() > 1 && members.iter().all(same) {
        warnings.push(format!("one_model: all members are `{}`, so their mistakes are alike", members[0].model));
    } else if members.len() > 1
        && let Some(family) = family::common(members.iter().map(|m| m.model.as_str()))
    {
        warnings.push(format!("one_family: all members are of the family {family}, so their mistakes are alike"));
    }
    for member in members.iter().filter(|m| m.prior.is_some_and(|p| p < 0.5)) {
        warnings.push(format!("weak_member: `{}` is more often wrong than right, by its `prior`", member.model));
    }
    if members.len() > 1 && members.iter().any(|m| m.model == judge.model) {
        warnings.push(format!("self_judge: `{}` judges its own answer; judges favour their own", judge.model));
    }
    warnings
}

fn seed(base: &ChatRequest, members: &[Member], mode: FusionMode) -> u64 {
    let messages = serde_json::to_string(&base.messages).unwrap_or_default();
    let members = serde_json::to_string(members).unwrap_or_default();
    let seed = base.seed.map(|s| s.to_string()).unwrap_or_default();
    shield::hash(&[&messages, &members, mode.as_str(), &seed])
}

impl Plan {
    /// What member `i` is asked.
    pub fn member_request(&self, i: usize) -> ChatRequest {
        let member = &self.members[i].member;
        let mut request = self.base.clone();
        request.model.clone_from(&member.model);
        if member.provider.is_some() {
            request.provider.clone_from(&member.provider);
        }
        if let Some(system) = &member.system {
            put_first(&mut request.messages, system);
        }
        request.temperature = member.temperature.or(request.temperature);
        if let Some(max) = member.max_tokens {
            let field = match request.max_completion_tokens {
                Some(_) => &mut request.max_completion_tokens,
                None => &mut request.max_tokens,
            };
            *field = Some(max);
        }
        if member.reasoning_effort.is_some() {
            request.reasoning_effort.clone_from(&member.reasoning_effort);
        }
        let asked = |member: &Member| Member { name: None, prior: None, ..member.clone() };
        let same = |seat: &&Seat| asked(&seat.member) == asked(member);
        let sample = self.members[..i].iter().filter(same).count();
        if sample > 0 {
            // Further answers to the very same question must be able to differ.
            request.seed = request.seed.map(|seed| seed.wrapping_add(sample as i64));
            request.cache = request.cache.map(|_| false);
        }
        match self.shortest {
            Some(limit) => thrift::shortened(&request, limit),
            None => request,
        }
    }

    /// Ids of the members, in order.
    pub fn ids(&self) -> Vec<String> {
        self.members.iter().map(|s| s.id.clone()).collect()
    }
}

/// Instructions before the conversation; in one message with those that are already there, because many chat templates
/// take only one.
fn put_first(messages: &mut Vec<Message>, system: &str) {
    if let Some(Message { role: Role::System, content: Some(Content::Text(text)), .. }) = messages.first_mut() {
        *text = format!("{system}\n\n{text}");
        return;
    }
    messages.insert(0, Message::system(system));
}

fn wrong(param: &str, why: &str) -> Error {
    Error::invalid_request(format!("`{param}`: {why}")).with_param(param)
}

/// Fields of a fuse request: those of the fusion and those of a chat. Anything else is a slip of the pen, because nothing
/// but `extra_body` goes to vendors untouched here.
const FIELDS: &[&str] = &[
    "prompt",
    "mode",
    "preset",
    "pool",
    "judge",
    "quorum",
    "grace_ms",
    "deadline_ms",
    "max_cost_usd",
    "extract",
    "guard",
    "messages",
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "provider",
    "session_id",
    "explain",
    "hedge",
    "tags",
    "timeout_ms",
    "timeouts",
    "fetch_images",
    "max_retries",
    "extra_headers",
    "extra_body",
];

fn refuse_unknown(chat: &ChatRequest) -> Result<()> {
    let Some(field) = chat.extra.keys().next() else { return Ok(()) };
    let near = did_you_mean(field, FIELDS.iter().copied());
    let hint = if near.is_empty() { "; fields for the vendors go into `extra_body`" } else { "" };
    Err(wrong(field, &format!("a fusion has no such field{near}{hint}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_field_is_one() {
        let request: serde_json::Map<_, _> =
            FIELDS.iter().map(|f| ((*f).to_owned(), serde_json::Value::Null)).collect();
        let mut request = serde_json::Value::Object(request);
        request["messages"] = serde_json::json!([]);
        let request: FuseRequest = serde_json::from_value(request).unwrap();
        assert_eq!(request.chat.extra.keys().collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn names_are_unique_whatever_is_given() {
        let named = |model: &str, name: Option<&str>| Member {
            model: model.to_owned(),
            name: name.map(str::to_owned),
            ..Default::default()
        };
        let all = seats(vec![named("m", Some("m#2")), named("m", None), named("m", None), named("x", Some(" "))]);
        assert_eq!(all.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["m#2", "m", "m#3", "x"]);
    }
}
