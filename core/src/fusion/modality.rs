//! Images, sound and video in a conversation: who cannot take them is not asked, and a judge that does not see them counts
//! half. What the catalogue does not know of a model does not count against a member, but a judge is only sent what it is
//! known to take.

use crate::error::{Error, ErrorKind, MemberFailure, Result};
use crate::types::{
    Content, ContentPart, FusionMode, Judge, MemberReport, MemberStatus, Message, ProviderChoice, Role, TextPart,
    TextTag,
};

use super::run::Run;

/// What a part of a message is, in the catalogue's words; `None` for text, "other" for what only some vendors know.
fn kind(part: &ContentPart) -> Option<&'static str> {
    match part {
        ContentPart::Text(_) => None,
        ContentPart::Image(_) => Some("image"),
        ContentPart::Other(fields) => match fields.get("type").and_then(|t| t.as_str()) {
            Some("image_url" | "input_image" | "image") => Some("image"),
            Some("input_audio" | "audio_url" | "audio") => Some("audio"),
            Some("video_url" | "input_video" | "video") => Some("video"),
            Some("file" | "input_file" | "document") => Some("pdf"),
            _ => Some("other"),
        },
    }
}

/// The parts of a conversation that are no text, in order.
fn media(messages: &[Message]) -> Vec<&ContentPart> {
    let parts = messages.iter().filter_map(|m| match &m.content {
        Some(Content::Parts(parts)) => Some(parts),
        _ => None,
    });
    parts.flatten().filter(|part| kind(part).is_some()).collect()
}

/// What members must take. Documents are not among it: many hosts turn them into text by themselves.
const DECIDING: &[&str] = &["image", "audio", "video"];

fn plural(kind: &str) -> &str {
    match kind {
        "image" => "images",
        "video" => "videos",
        "audio" => "audio",
        _ => "attachments",
    }
}

impl Run {
    /// Leaves out the members that cannot take what the conversation holds, and settles what the judge sees of it.
    ///
    /// # Errors
    /// `unsupported` when no member is left, with each one's reason.
    pub fn fit(&mut self) -> Result<()> {
        let media = media(&self.plan.base.messages);
        if media.is_empty() {
            return Ok(());
        }
        let held: Vec<&str> = media.iter().filter_map(|part| kind(part)).collect();
        let parts: Vec<ContentPart> = media.into_iter().cloned().collect();
        let lacks = |model: &str, provider: Option<&ProviderChoice>| {
            // Who is not asked need not take it.
            if self.stored.is_some() {
                return None;
            }
            let known = self.ask.takes(model, provider.or(self.plan.base.provider.as_ref()))?;
            DECIDING.iter().copied().find(|kind| held.contains(kind) && !known.iter().any(|k| k == kind))
        };
        let lacking: Vec<Option<&str>> =
            self.plan.members.iter().map(|s| lacks(&s.member.model, s.member.provider.as_ref())).collect();
        let reasons: Vec<Option<String>> = lacking
            .iter()
            .map(|kind| kind.map(|kind| format!("the model takes no {}, and the conversation has some", plural(kind))))
            .collect();
        if reasons.iter().all(Option::is_some) {
            return Err(self.nobody(&reasons, lacking[0].unwrap_or_default()));
        }
        let first = self.plan.members[0].id.clone();
        for (place, (seat, reason)) in std::mem::take(&mut self.plan.members).into_iter().zip(reasons).enumerate() {
            let Some(reason) = reason else {
                self.plan.members.push(seat);
                continue;
            };
            self.left_out.push((
                place,
                MemberReport {
                    id: seat.id,
                    model: seat.member.model,
                    status: MemberStatus::Skipped,
                    reason: Some(format!("not asked: {reason}")),
                    error: Some(ErrorKind::Unsupported),
                    ..Default::default()
                },
            ));
        }
        self.after_leaving_out(&first);
        self.show_judge(&held, parts);
        Ok(())
    }

    fn nobody(&self, reasons: &[Option<String>], kind: &str) -> Error {
        let failures: Vec<MemberFailure> = self
            .plan
            .members
            .iter()
            .zip(reasons)
            .map(|(seat, reason)| MemberFailure {
                member: seat.id.clone(),
                model: seat.member.model.clone(),
                kind: ErrorKind::Unsupported,
                message: reason.clone().unwrap_or_default(),
            })
            .collect();
        let listed: Vec<String> = failures.iter().map(|f| format!("{}: {}", f.member, f.message)).collect();
        let message = format!(
            "no member of the pool takes the {} of the conversation; {}; add a member that does",
            plural(kind),
            listed.join("; ")
        );
        let mut error = Error::new(ErrorKind::Unsupported, message).with_param("pool");
        error.body_mut().members = failures;
        error
    }

    /// What follows from a smaller pool.
    fn after_leaving_out(&mut self, first: &str) {
        if self.left_out.is_empty() {
            return;
        }
        let plan = &mut self.plan;
        plan.quorum = plan.quorum.map(|quorum| quorum.min(plan.members.len()));
        if plan.members[0].id != first {
            self.report.decision.anchor.clone_from(&plan.members[0].id);
            if plan.judge_is_anchor {
                let seat = &plan.members[0].member;
                plan.judge = Judge {
                    model: seat.model.clone(),
                    provider: seat.provider.clone().or_else(|| plan.base.provider.clone()),
                    ..Judge::default()
                };
            }
        }
        if plan.mode == FusionMode::Cascade && plan.members.len() < 3 {
            plan.mode = FusionMode::Auto;
            self.warn(
                "cascade: fewer than three members are left, so the first two are compared as in `auto`".to_owned(),
            );
        }
    }

    /// The judge sees everything or only the text.
    fn show_judge(&mut self, held: &[&str], parts: Vec<ContentPart>) {
        let judge = &self.plan.judge;
        let known = self.ask.takes(&judge.model, judge.provider.as_ref());
        let sees = known.as_ref().is_some_and(|known| held.iter().all(|kind| known.iter().any(|k| k == kind)));
        self.plan.blind = !sees;
        if sees {
            self.plan.shown = parts;
        } else if self.plan.members.len() > 1 {
            let why = if known.is_some() { "does not see" } else { "is not known to see" };
            let what = plural(held.first().copied().unwrap_or_default());
            let judge = judge.model.clone();
            self.warn(format!("judge_blind: `{judge}` {why} {what}, only text, so its verdicts count half"));
        }
    }

    /// Tells who was left out, and puts their rows where they were in the pool.
    pub(super) fn tell_left_out(&mut self) {
        for (place, row) in std::mem::take(&mut self.left_out) {
            let at = place.min(self.report.members.len());
            self.report.members.insert(at, row);
        }
    }
}

/// What a judge is asked: the text, then what it can see of the conversation beside text.
pub(super) fn asking(text: String, shown: &[ContentPart]) -> Message {
    if shown.is_empty() {
        return Message::user(text);
    }
    let text = ContentPart::Text(TextPart { r#type: TextTag::Text, text, extra: Default::default() });
    let parts = std::iter::once(text).chain(shown.iter().cloned()).collect();
    Message { role: Role::User, content: Some(Content::Parts(parts)), ..Default::default() }
}
