//! Puts the chunks of a stream together to the answer they are pieces of.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;

use crate::error::Partial;
use crate::types::{
    ChatCompletion, ChatCompletionChunk, Choice, ChunkChoice, Delta, FunctionCall, ToolCall, ToolCallDelta,
};

/// Collects chunks.
#[derive(Debug, Default)]
pub struct Assembler {
    answer: ChatCompletion,
    /// (choice, index of the call in the stream) -> place in the message's list.
    calls: HashMap<(u32, u32), usize>,
}

impl Assembler {
    /// Adds one chunk.
    pub fn add(&mut self, chunk: &ChatCompletionChunk) {
        let answer = &mut self.answer;
        if answer.id.is_empty() {
            answer.id.clone_from(&chunk.id);
        }
        if answer.model.is_empty() {
            answer.model.clone_from(&chunk.model);
        }
        if answer.created == 0 {
            answer.created = chunk.created;
        }
        for choice in &chunk.choices {
            let place = match answer.choices.iter().position(|c| c.index == choice.index) {
                Some(place) => place,
                None => {
                    answer.choices.push(Choice { index: choice.index, ..Default::default() });
                    answer.choices.len() - 1
                }
            };
            let into = &mut answer.choices[place];
            add_delta(into, &choice.delta, &mut self.calls);
            if choice.finish_reason.is_some() {
                into.finish_reason.clone_from(&choice.finish_reason);
            }
            if let Some(new) = &choice.logprobs {
                let all = into.logprobs.get_or_insert_default();
                if let Some(tokens) = &new.content {
                    all.content.get_or_insert_default().extend(tokens.iter().cloned());
                }
                if let Some(tokens) = &new.refusal {
                    all.refusal.get_or_insert_default().extend(tokens.iter().cloned());
                }
            }
            into.extra.extend(choice.extra.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        if chunk.usage.is_some() {
            answer.usage.clone_from(&chunk.usage);
        }
        if chunk.service_tier.is_some() {
            answer.service_tier.clone_from(&chunk.service_tier);
        }
        if chunk.system_fingerprint.is_some() {
            answer.system_fingerprint.clone_from(&chunk.system_fingerprint);
        }
        answer.extra.extend(chunk.extra.iter().map(|(k, v)| (k.clone(), v.clone())));
    }

    /// What has come so far of the first choice.
    pub fn partial(&self) -> Partial {
        let first = self.answer.choices.first();
        Partial {
            text: first.and_then(|c| c.message.content.clone()).unwrap_or_default(),
            reasoning: first.and_then(|c| c.message.reasoning_content.clone()).unwrap_or_default(),
            usage: self.answer.usage.as_ref().and_then(|u| serde_json::to_value(u).ok()),
        }
    }

    /// The whole answer.
    pub fn finish(mut self) -> ChatCompletion {
        self.answer.object = "chat.completion".to_owned();
        self.answer.choices.sort_by_key(|c| c.index);
        self.answer
    }
}

/// The chunks of an answer that is there already: of each choice what it says, then its end; the usage last.
pub fn chunks(answer: ChatCompletion) -> Vec<ChatCompletionChunk> {
    let head = ChatCompletionChunk {
        id: answer.id,
        object: "chat.completion.chunk".to_owned(),
        created: answer.created,
        model: answer.model,
        service_tier: answer.service_tier,
        system_fingerprint: answer.system_fingerprint,
        extra: answer.extra,
        ..Default::default()
    };
    let mut all = Vec::with_capacity(2 * answer.choices.len() + 1);
    for choice in answer.choices {
        let message = choice.message;
        let whole = |(place, call)| ToolCallDelta::whole(place, call);
        let delta = Delta {
            role: Some(message.role),
            content: message.content,
            refusal: message.refusal,
            reasoning_content: message.reasoning_content,
            tool_calls: message.tool_calls.map(|calls| calls.into_iter().enumerate().map(whole).collect()),
            extra: message.extra,
        };
        let says = ChunkChoice { index: choice.index, delta, logprobs: choice.logprobs, ..Default::default() };
        let ends = ChunkChoice {
            index: choice.index,
            finish_reason: choice.finish_reason,
            extra: choice.extra,
            ..Default::default()
        };
        all.extend([says, ends].map(|choice| ChatCompletionChunk { choices: vec![choice], ..head.clone() }));
    }
    if answer.usage.is_some() {
        all.push(ChatCompletionChunk { usage: answer.usage, ..head });
    }
    all
}

fn add_delta(into: &mut Choice, delta: &Delta, places: &mut HashMap<(u32, u32), usize>) {
    let message = &mut into.message;
    if message.role.is_empty() {
        message.role = delta.role.clone().unwrap_or_else(|| "assistant".to_owned());
    }
    append(&mut message.content, delta.content.as_deref());
    append(&mut message.refusal, delta.refusal.as_deref());
    append(&mut message.reasoning_content, delta.reasoning_content.as_deref());
    for call in delta.tool_calls.iter().flatten() {
        add_call(message.tool_calls.get_or_insert_default(), call, places.entry((into.index, call.index)));
    }
    for (name, new) in &delta.extra {
        match (message.extra.get_mut(name), new) {
            (Some(Value::String(old)), Value::String(new)) => old.push_str(new),
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new.iter().cloned()),
            (_, Value::Null) => {}
            _ => {
                message.extra.insert(name.clone(), new.clone());
            }
        }
    }
}

fn append(into: &mut Option<String>, new: Option<&str>) {
    if let Some(new) = new {
        into.get_or_insert_default().push_str(new);
    }
}

fn add_call(calls: &mut Vec<ToolCall>, delta: &ToolCallDelta, place: Entry<'_, (u32, u32), usize>) {
    let known = match &place {
        // Some servers number every call 0 and tell them apart by id alone.
        Entry::Occupied(p) => {
            let old = &calls[*p.get()].id;
            delta.id.as_ref().is_none_or(|new| old.is_empty() || old == new)
        }
        Entry::Vacant(_) => false,
    };
    let place = match place {
        Entry::Occupied(p) if known => *p.get(),
        entry => {
            calls.push(ToolCall { r#type: "function".to_owned(), ..Default::default() });
            *entry.insert_entry(calls.len() - 1).get()
        }
    };
    let call = &mut calls[place];
    if let Some(id) = &delta.id {
        call.id.clone_from(id);
    }
    if let Some(t) = &delta.r#type {
        call.r#type.clone_from(t);
    }
    if let Some(new) = &delta.function {
        let function = call.function.get_or_insert_with(FunctionCall::default);
        if let Some(name) = &new.name {
            function.name.push_str(name);
        }
        if let Some(arguments) = &new.arguments {
            function.arguments.push_str(arguments);
        }
    }
    call.extra.extend(delta.extra.iter().map(|(k, v)| (k.clone(), v.clone())));
}
