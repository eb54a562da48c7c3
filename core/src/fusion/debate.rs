//! `debate`: members that disagree see up to two other answers once and may change theirs, if they name a concrete error.
//! The judge then chooses among the first answers and the changed ones, so a right first answer cannot be lost.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::error::Error;
use crate::types::{AssistantMessage, ChatRequest, DebateTurn, FusionMode, FusionStep, Message, Purpose, Role};

use super::best_of;
use super::candidate::Candidate;
use super::judge::{self, Asked};
use super::parse::{self, Object, Step};
use super::run::{Answer, Run};
use super::strategy::Strategy;
use super::{prompts, replies, shield};

/// The mode `debate`.
pub(crate) struct Debate;

/// Answers of others that a member sees: more costs tokens and moves opinions by number instead of by reason.
pub(super) const PEERS: usize = 2;

impl Strategy for Debate {
    fn mode(&self) -> FusionMode {
        FusionMode::Debate
    }

    /// Both rounds together take what other modes give to one.
    fn first_answers_share(&self) -> f64 {
        0.45
    }

    fn combine<'a>(&'a self, run: &'a mut Run, candidates: Vec<Candidate>) -> BoxFuture<'a, Answer> {
        async move {
            let candidates = debate(run, candidates).await;
            best_of::choose(run, &candidates).await
        }
        .boxed()
    }
}

/// A member's second look, as it wrote it.
struct SecondLook {
    changed: bool,
    reason: String,
    answer: String,
}

async fn debate(run: &mut Run, mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let saw: Vec<Vec<usize>> = (0..candidates.len()).map(|i| peers(&candidates, i)).collect();
    let requests: Vec<ChatRequest> = (0..candidates.len()).map(|i| request(run, &candidates, i, &saw[i])).collect();
    if let Some(why) = run.unaffordable("debate", &requests.iter().collect::<Vec<_>>()) {
        run.degrade("budget", format!("no debate was held: {why}"), None);
        return candidates;
    }
    run.events.emit(FusionStep::DebateRound { round: 1 });
    let looks = match &run.replies {
        Some(replies) => {
            let ids = candidates.iter().map(|c| run.plan.members[c.member].id.as_str());
            ids.map(|id| Some(replies.look(id, read))).collect()
        }
        None => second_looks(run, &candidates, requests).await,
    };

    let firsts = candidates.clone();
    for (i, asked) in looks.into_iter().enumerate() {
        let Some(asked) = asked else { continue };
        let saw = saw[i].iter().map(|p| run.plan.members[firsts[*p].member].id.clone()).collect();
        if let Some(revised) = settle(run, &firsts[i], asked, saw) {
            // Its member no longer stands by the first answer, which stays in the running all the same.
            let seat = firsts[i].member;
            candidates[i].voters.retain(|v| *v != seat);
            match candidates.iter_mut().find(|c| c.key == revised.key) {
                Some(same) => same.voters.push(seat),
                None => candidates.push(revised),
            }
        }
    }
    candidates
}

/// Asks all of them at once, what they have read so far.
async fn second_looks(
    run: &Run,
    candidates: &[Candidate],
    requests: Vec<ChatRequest>,
) -> Vec<Option<Asked<SecondLook>>> {
    let limit = run.at_share(0.7);
    let mut calls = FuturesUnordered::new();
    for (i, request) in requests.into_iter().enumerate() {
        let (ask, cx) = (run.ask.clone(), run.context(Purpose::Debate));
        let own = run.plan.members[candidates[i].member].member.timeout_ms;
        let limit = own.map_or(limit, |t| limit.min(tokio::time::Instant::now() + std::time::Duration::from_millis(t)));
        // The round was affordable as it is; nobody is asked something dearer.
        let spare = run.plan.cap.map(|_| 0);
        calls.push(async move { (i, judge::ask_until_read(ask, request, cx, limit, 0, spare, read).await) });
    }
    let mut looks: Vec<Option<Asked<SecondLook>>> = candidates.iter().map(|_| None).collect();
    while let Some((i, asked)) = calls.next().await {
        looks[i] = Some(asked);
    }
    looks
}

/// What the members would be asked in the second round, for an estimate.
pub(super) fn requests(run: &mut Run, candidates: &[Candidate]) -> Vec<ChatRequest> {
    let each = 0..candidates.len();
    each.map(|i| request(run, candidates, i, &peers(candidates, i))).collect()
}

/// The next members around the table, those with another answer first.
fn peers(candidates: &[Candidate], i: usize) -> Vec<usize> {
    let n = candidates.len();
    let around = (1..n).map(|step| (i + step) % n);
    let (differ, same): (Vec<usize>, Vec<usize>) = around.partition(|p| candidates[*p].key != candidates[i].key);
    differ.into_iter().chain(same).take(PEERS).collect()
}

/// The member's own request and answer, then the others' answers under codes.
fn request(run: &mut Run, candidates: &[Candidate], i: usize, saw: &[usize]) -> ChatRequest {
    let texts: Vec<&str> = candidates.iter().map(Candidate::text).collect();
    let labels = shield::labels(&mut run.rng, saw.len(), &texts);
    let lines: Vec<_> = saw.iter().zip(&labels).map(|(p, label)| shield::answer(label, &candidates[*p])).collect();
    let data = shield::envelope(&run.nonce(), &lines);
    let mut request = run.plan.member_request(candidates[i].member);
    // Only its text: vendors refuse some of the fields they put into their own answers.
    request.messages.push(Message::text(Role::Assistant, candidates[i].text()));
    request.messages.push(Message::user(format!("{data}\n\n{}", prompts::debate_task())));
    (request.tools, request.tool_choice, request.parallel_tool_calls) = (None, None, None);
    // Texts that end an answer could end the JSON around it.
    request.stop = None;
    request.response_format = Some(prompts::debate_schema());
    request
}

fn read(text: &str) -> Result<(SecondLook, Step), String> {
    let wanted = |o: &Object| o.contains_key("changed");
    let Some((o, step)) = parse::object(text, &wanted) else {
        return Err("it is no JSON object with `changed`".to_owned());
    };
    let text_of = |key: &str| match o.get(key) {
        Some(serde_json::Value::String(text)) => text.trim().to_owned(),
        // An answer that has to be JSON is sometimes written as JSON right away.
        Some(value @ (serde_json::Value::Object(_) | serde_json::Value::Array(_))) => value.to_string(),
        _ => String::new(),
    };
    let changed = match o.get("changed") {
        Some(serde_json::Value::Bool(b)) => *b,
        Some(serde_json::Value::String(s)) => s.eq_ignore_ascii_case("true") || s.eq_ignore_ascii_case("yes"),
        _ => return Err("`changed` is neither true nor false".to_owned()),
    };
    Ok((SecondLook { changed, reason: text_of("reason"), answer: text_of("answer") }, step))
}

/// Writes a second look into the report; gives the new answer if there is one that counts: named error, usable text, and
/// not the same as before.
fn settle(run: &mut Run, first: &Candidate, asked: Asked<SecondLook>, saw: Vec<String>) -> Option<Candidate> {
    let id = run.plan.members[first.member].id.clone();
    let mut turn =
        DebateTurn { member: id.clone(), round: 1, saw, content: first.message.content.clone(), ..Default::default() };
    let mut known = Some(0);
    for heard in &asked.heard {
        let cost = run.book("debate", &heard.reply);
        turn.start_ms = turn.start_ms.or(Some(run.at(heard.reply.started)));
        known = known.zip(cost).map(|(a, b)| a + b);
        turn.latency_ms += heard.reply.latency_ms;
        turn.reply = replies::kept(&heard.reply);
        turn.usage = heard.reply.usage().cloned().or(turn.usage);
        turn.error = heard.reply.error().map(Error::kind);
    }
    turn.cost_nanos = known;
    let mut revised = None;
    match &asked.value {
        None => {
            let (cause, kind) = asked.fault.clone().unwrap_or_default();
            run.degrade("debate", format!("{id} keeps its first answer: {cause}"), kind);
        }
        Some(look) => {
            turn.reason = Some(look.reason.clone()).filter(|r| !r.is_empty());
            if look.changed {
                match revise(run, first, look) {
                    Ok(candidate) if candidate.key == first.key => {
                        turn.answer = candidate.answer().map(str::to_owned);
                    }
                    Ok(candidate) => {
                        turn.changed = true;
                        turn.answer = candidate.answer().map(str::to_owned);
                        turn.content = candidate.message.content.clone();
                        revised = Some(candidate);
                    }
                    Err(why) => run.degrade("debate", format!("{id} keeps its first answer: {why}"), None),
                }
            }
        }
    }
    run.report.debate.push(turn);
    revised
}

fn revise(run: &Run, first: &Candidate, look: &SecondLook) -> Result<Candidate, String> {
    if look.reason.is_empty() {
        return Err("it changed without naming an error".to_owned());
    }
    if look.answer.is_empty() {
        return Err("it changed without a new answer".to_owned());
    }
    let text = run.plan.form.held(&look.answer, true)?.unwrap_or_else(|| look.answer.clone());
    let message = AssistantMessage { role: first.message.role.clone(), content: Some(text), ..Default::default() };
    let candidate = Candidate::new(first.member, message, Some("stop".to_owned()));
    let candidate = match &run.replies {
        Some(replies) => candidate.reads(replies.new_answer(&run.plan.members[first.member].id)),
        None => candidate.read(&run.plan.reader),
    };
    Ok(Candidate { revised: true, ..candidate })
}
