//! Fusions in other vendors' words, answered in kind: OpenRouter's plugin `fusion`, its tool `openrouter:fusion`, its models
//! `openrouter/fusion` and `openrouter/fusion-flash`, and LiteLLM's `litellm/fusion-1` with its `fusion={...}`.
//!
//! A body that asks for OpenRouter itself (`provider: "openrouter"`, or a model `openrouter/VENDOR/MODEL`) is a plain chat
//! and goes there untouched. Any other is answered here: `analysis_models` are the pool (without them, that of the preset
//! or of the configuration), `model` is the judge, who also writes (without it, the model of the request), and the mode is
//! `merge` unless a preset says otherwise. There the model decides whether to deliberate; here it is always done. What
//! OpenRouter's tool tells stands as its output item in the message's `reasoning_details`.
//!
//! Presets by their last word: `high` is `quality`, `budget` is `cheap`, `fast` is `fast`; `openrouter/fusion-flash` is
//! `fast`.

use serde_json::{Value, json};

use crate::catalog::is_virtual;
use crate::error::{Error, Result};
use crate::types::{
    ChatRequest, Extra, Foreign, Fused, FusionMode, FusionOptions, FusionReport, Judge, Member, MemberStatus, Pool,
    Preset, ProviderChoice,
};

/// The tool, and the type of its record.
const TOOL: &str = "openrouter:fusion";
const FUSION: &str = "openrouter/fusion";
const FLASH: &str = "openrouter/fusion-flash";
const LITELLM: &str = "litellm/fusion-1";
/// Where records of earlier turns, and this one's, stand in a message.
const DETAILS: &str = "reasoning_details";

/// Whether a model is another vendor's name for a fusion, and not that vendor's own is asked for.
pub(super) fn is_alias(model: &str, provider: Option<&ProviderChoice>) -> bool {
    let model = model.trim();
    model == LITELLM || (model == FUSION || model == FLASH) && !names_openrouter(provider)
}

fn names_openrouter(provider: Option<&ProviderChoice>) -> bool {
    match provider {
        Some(ProviderChoice::Name(name)) => name.eq_ignore_ascii_case("openrouter"),
        Some(ProviderChoice::Preferences(p)) => {
            matches!(p.only.as_slice(), [only] if only.eq_ignore_ascii_case("openrouter"))
        }
        None => false,
    }
}

/// What a member does not say by itself.
pub(super) fn fill(member: &mut Member, defaults: &Member) {
    member.temperature = member.temperature.or(defaults.temperature);
    member.max_tokens = member.max_tokens.or(defaults.max_tokens);
    member.reasoning_effort = member.reasoning_effort.take().or_else(|| defaults.reasoning_effort.clone());
}

/// Turns a fusion in another vendor's words into one of ours; tells whether it was one. Any other request stays as it is,
/// but for a plugin that is switched off, a tool that must not be used, and records of earlier turns.
///
/// # Errors
/// `invalid_request` naming what is wrong in the vendor's words.
pub fn adopt(chat: &mut ChatRequest) -> Result<bool> {
    let alias = is_alias(&chat.model, chat.provider.as_ref());
    let there = names_openrouter(chat.provider.as_ref()) || !alias && chat.model.trim().starts_with("openrouter/");
    if there {
        return Ok(false);
    }
    forget_records(chat);
    let mut asked = Asked { on: alias, ..Default::default() };
    asked.plugins(chat)?;
    asked.tool(chat)?;
    if !asked.on {
        return Ok(false);
    }
    let model = chat.model.trim().to_owned();
    if alias && asked.off {
        return Err(wrong("plugins", &format!("fusion is not enabled, and `{model}` is nothing else; name a model")));
    }
    if asked.off {
        return Ok(false);
    }
    if model == FLASH {
        asked.options.preset.get_or_insert(Preset::Fast);
    }
    if let Some(own) = chat.fusion.take() {
        asked.beside(own)?;
    }
    let Asked { mut options, mut foreign, .. } = asked;
    foreign.record = model != LITELLM;
    let max_tokens = foreign.member.max_tokens;
    let ours = is_virtual(&model);
    if options.judge.is_none() && !alias && !ours {
        let provider = chat.provider.clone();
        options.judge = Some(Judge { model, provider, ..Judge::default() });
    }
    if let Some(judge) = &mut options.judge {
        judge.max_tokens = judge.max_tokens.or(max_tokens);
    }
    if !ours {
        let decides = matches!(options.preset, Some(Preset::Cheap | Preset::Quality)) && options.mode.is_none();
        if !decides {
            options.mode.get_or_insert(FusionMode::Merge);
        }
        let mode = options.mode.unwrap_or_default().as_str().replace('_', "-");
        chat.model = format!("interfuse/{mode}");
    }
    options.foreign = Some(Box::new(foreign));
    chat.fusion = Some(options);
    Ok(true)
}

/// What a body asks for.
#[derive(Default)]
struct Asked {
    on: bool,
    off: bool,
    options: FusionOptions,
    foreign: Foreign,
}

impl Asked {
    /// Takes the plugin out; others stay. Clients of OpenAI's SDK write it into `extra_body`.
    fn plugins(&mut self, chat: &mut ChatRequest) -> Result<()> {
        for (at, fields) in [("plugins", Some(&mut chat.extra)), ("extra_body.plugins", chat.extra_body.as_mut())] {
            let Some(fields) = fields else { continue };
            let Some(Value::Array(all)) = fields.get_mut("plugins") else { continue };
            let before = all.len();
            let mut found = Vec::new();
            for (i, plugin) in all.iter().enumerate() {
                if plugin.get("id").and_then(Value::as_str) == Some("fusion")
                    && let Value::Object(plugin) = plugin
                {
                    found.push((format!("{at}[{i}]"), plugin.clone()));
                }
            }
            all.retain(|p| p.get("id").and_then(Value::as_str) != Some("fusion"));
            if all.is_empty() && before > 0 {
                fields.remove("plugins");
            }
            for (at, mut plugin) in found {
                plugin.remove("id");
                self.take(&at, plugin)?;
            }
        }
        Ok(())
    }

    /// Takes the tool out; a choice that leaves no tool goes with it.
    fn tool(&mut self, chat: &mut ChatRequest) -> Result<()> {
        let Some(tools) = &mut chat.tools else { return Ok(()) };
        let found: Vec<(usize, Extra)> = tools
            .iter()
            .enumerate()
            .filter(|(_, t)| t.r#type == TOOL)
            .map(|(i, t)| (i, t.extra.get("parameters").and_then(Value::as_object).cloned().unwrap_or_default()))
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        tools.retain(|t| t.r#type != TOOL);
        let forbidden = chat.tool_choice.as_ref().and_then(Value::as_str) == Some("none");
        let named = chat.tool_choice.as_ref().and_then(|c| c.get("type")).and_then(Value::as_str) == Some(TOOL);
        if tools.is_empty() {
            (chat.tools, chat.parallel_tool_calls) = (None, None);
        }
        if chat.tools.is_none() || named {
            chat.tool_choice = None;
        }
        if forbidden {
            return Ok(());
        }
        for (i, parameters) in found {
            self.take(&format!("tools[{i}].parameters"), parameters)?;
        }
        Ok(())
    }

    /// Fields of the plugin or parameters of the tool. What vendors may add is told, not refused.
    fn take(&mut self, at: &str, fields: Extra) -> Result<()> {
        self.on = true;
        for (name, value) in fields {
            let at = format!("{at}.{name}");
            match name.as_str() {
                _ if value.is_null() => {}
                "enabled" => self.off |= !typed(&at, value.as_bool(), "true or false")?,
                "analysis_models" => {
                    let models = value
                        .as_array()
                        .filter(|all| !all.is_empty())
                        .and_then(|all| all.iter().map(|m| m.as_str().map(Member::from)).collect::<Option<Vec<_>>>());
                    self.options.pool = Some(Pool::Members(typed(&at, models, "a list of at least one model's name")?));
                }
                "model" => self.options.judge = Some(typed(&at, value.as_str(), "a model's name")?.into()),
                "preset" => {
                    let preset = value.as_str().and_then(preset);
                    let known = "`quality`, `balanced`, `fast`, `cheap`, `self`, or OpenRouter's that end in `-high`, \
                                 `-budget` or `-fast`";
                    self.options.preset = Some(typed(&at, preset, known)?);
                }
                "max_completion_tokens" => {
                    self.foreign.member.max_tokens = Some(typed(&at, value.as_u64(), "a number of tokens")?);
                }
                "temperature" => self.foreign.member.temperature = Some(typed(&at, value.as_f64(), "a number")?),
                "reasoning" => {
                    let reasoning = typed(&at, value.as_object(), "an object")?;
                    let at = at.trim_end_matches(".reasoning");
                    self.foreign.reasoning(at, reasoning);
                }
                // No tools is what members have here.
                "tools" if value.as_array().is_some_and(Vec::is_empty) => {}
                _ => self.foreign.left_out.push(at),
            }
        }
        Ok(())
    }

    /// Our own or LiteLLM's `fusion` in the same body: what it says outranks the rest.
    fn beside(&mut self, own: FusionOptions) -> Result<()> {
        let theirs = std::mem::take(&mut self.options);
        self.options = FusionOptions {
            pool: own.pool.clone().or(theirs.pool),
            judge: own.judge.clone().or(theirs.judge),
            preset: own.preset.or(theirs.preset),
            ..own
        };
        if let Some(own) = self.options.foreign.take() {
            let Foreign { mut member, mut left_out, .. } = *own;
            fill(&mut member, &self.foreign.member);
            self.foreign.member = member;
            self.foreign.left_out.append(&mut left_out);
        }
        Ok(())
    }
}

fn typed<T>(at: &str, value: Option<T>, expected: &str) -> Result<T> {
    value.ok_or_else(|| wrong(at, &format!("it must be {expected}")))
}

fn wrong(at: &str, why: &str) -> Error {
    Error::invalid_request(format!("`{at}`: {why}")).with_param(at)
}

fn preset(name: &str) -> Option<Preset> {
    match name.rsplit('-').next()? {
        "high" | "quality" => Some(Preset::Quality),
        "balanced" => Some(Preset::Balanced),
        "budget" | "cheap" => Some(Preset::Cheap),
        "fast" => Some(Preset::Fast),
        "self" => Some(Preset::Myself),
        _ => None,
    }
}

/// Records of earlier turns say nothing to other vendors, some of whom refuse them.
fn forget_records(chat: &mut ChatRequest) {
    for message in &mut chat.messages {
        let Some(Value::Array(details)) = message.extra.get_mut(DETAILS) else { continue };
        let before = details.len();
        details.retain(|d| d.get("type").and_then(Value::as_str) != Some(TOOL));
        if details.is_empty() && before > 0 {
            message.extra.remove(DETAILS);
        }
    }
}

/// OpenRouter's record of the deliberation, as a field of the message.
pub(super) fn record(report: &FusionReport) -> Extra {
    let model = |id: &str| report.members.iter().find(|m| m.id == id).map_or(id, |m| m.model.as_str()).to_owned();
    let models = |ids: &[String]| ids.iter().map(|id| model(id)).collect::<Vec<_>>();
    let answered = report.members.iter().filter(|m| m.status == MemberStatus::Ok);
    let failed = report.members.iter().filter(|m| !matches!(m.status, MemberStatus::Ok | MemberStatus::Skipped));
    let mut item = json!({
        "type": TOOL,
        "id": report.run_id,
        "status": "completed",
        "responses": answered.map(|m| json!({"model": m.model, "content": m.content})).collect::<Vec<_>>(),
    });
    let failed: Vec<Value> = failed.map(|m| json!({"model": m.model, "error": m.reason})).collect();
    if !failed.is_empty() {
        item["failed_models"] = Value::Array(failed);
    }
    if let Some(found) = &report.analysis {
        let stances = |c: &crate::types::Contradiction| {
            c.stances.iter().map(|s| json!({"model": model(&s.member), "stance": s.stance})).collect::<Vec<_>>()
        };
        let contradictions = found.contradictions.iter().map(|c| json!({"topic": c.topic, "stances": stances(c)}));
        let partial = found.partial_coverage.iter().map(|p| json!({"models": models(&p.members), "point": p.point}));
        let unique = found.unique_insights.iter().map(|u| json!({"model": model(&u.member), "insight": u.insight}));
        item["analysis"] = json!({
            "consensus": found.consensus,
            "contradictions": contradictions.collect::<Vec<_>>(),
            "partial_coverage": partial.collect::<Vec<_>>(),
            "unique_insights": unique.collect::<Vec<_>>(),
            "blind_spots": found.blind_spots,
        });
    }
    Extra::from_iter([(DETAILS.to_owned(), json!([item]))])
}

/// Who wrote the answer, as both vendors name the model.
pub(super) fn writer(fused: &Fused, judge: &str) -> String {
    let decision = &fused.report.decision;
    let member = decision.members.first().filter(|_| decision.source == crate::types::FinalSource::Member);
    let found = member.and_then(|id| fused.report.members.iter().find(|m| m.id == *id));
    found.map_or(judge, |m| m.model.as_str()).to_owned()
}
