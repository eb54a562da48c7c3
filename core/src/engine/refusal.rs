//! What is told of attempts that do not fit into a budget: where it stands, what the attempt may cost, what to do.

use crate::catalog::Unpriced;
use crate::error::{Error, ErrorKind};
use crate::ledger::budget::{Claim, Over, Span, Window};
use crate::money::usd;
use crate::routing::Target;
use crate::types::OverBudget;

/// Whose a budget is that is not configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Call,
    Batch,
}

impl Whose {
    /// How it is called in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Whose::Call => "max_cost_usd",
            Whose::Batch => "batch.budget",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Whose::Call, Whose::Batch].into_iter().find(|whose| whose.name() == name)
    }

    /// The request's field.
    fn field(self) -> &'static str {
        match self {
            Whose::Call => "max_cost_usd",
            Whose::Batch => "budget",
        }
    }

    fn words(self) -> String {
        match self {
            Whose::Call => format!("the call's `{}`", self.field()),
            Whose::Batch => format!("the batch's `{}`", self.field()),
        }
    }
}

/// Sentences of an error, at most.
const TOLD: usize = 4;

/// The error of a call none of whose routes fits. `limited`: the request limits its answer.
pub(super) fn exceeded(refused: Vec<OverBudget>, limited: bool) -> Error {
    let mut sentences: Vec<&str> = Vec::new();
    for over in &refused {
        if !sentences.contains(&over.message.as_str()) {
            sentences.push(&over.message);
        }
    }
    let more = match sentences.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    sentences.truncate(TOLD);
    let first = refused.first().cloned().unwrap_or_default();
    let (param, limit) = match Whose::named(&first.budget) {
        Some(whose) => (whose.field().to_owned(), whose.field().to_owned()),
        None => (format!("budgets.{}", first.budget), format!("budgets.{}.limit_usd", first.budget)),
    };
    let advice = match (first.estimate_nanos, limited) {
        (None, _) => "give the model's price, or name one whose price is known".to_owned(),
        (Some(_), true) => format!("raise `{limit}`, lower `max_tokens`, or name a cheaper model"),
        (Some(_), false) => format!("set `max_tokens`, raise `{limit}`, or name a cheaper model"),
    };
    let message = format!("nothing was sent: {}{more}; {advice}", sentences.join("; "));
    let mut error = Error::new(ErrorKind::BudgetExceeded, message)
        .with_param(param)
        .with_provider(&first.provider)
        .with_model(&first.model);
    if let Ok(refused) = serde_json::to_value(&refused) {
        error.body_mut().details.insert("budgets".to_owned(), refused);
    }
    error
}

/// What is told of an attempt that does not fit into a budget.
pub(super) fn over_budget(claim: &Claim, over: &Over, target: &Target) -> OverBudget {
    let Claim { budget, value, span, nanos } = claim;
    let group = match (&budget.each, value) {
        (None, _) => String::new(),
        (Some(name), Some(value)) => format!(" for {name} `{value}`"),
        (Some(name), None) => format!(" for what has no {name}"),
    };
    let what =
        format!("the budget `{}`{group} of {} USD{}", budget.name, usd(budget.limit), when(&budget.window, *span));
    OverBudget {
        budget: budget.name.to_string(),
        group: budget.group(value.as_deref()),
        since_ms: (!matches!(budget.window, Window::Total)).then_some(span.since),
        until_ms: span.until,
        ..taken(&what, budget.limit, target, (over.spent, over.held), *nanos)
    }
}

/// What is told of an attempt that does not fit into the budget of its call or its batch, of which so much is spent and held.
pub(super) fn over_purse(whose: Whose, limit: u64, target: &Target, of: (u64, u64), nanos: u64) -> OverBudget {
    let what = format!("{} of {} USD", whose.words(), usd(limit));
    OverBudget { budget: whose.name().to_owned(), ..taken(&what, limit, target, of, Some(nanos)) }
}

fn taken(what: &str, limit: u64, target: &Target, (spent, held): (u64, u64), nanos: Option<u64>) -> OverBudget {
    let place = place(target);
    let most = match nanos {
        Some(nanos) => format!("an attempt at `{place}` may cost up to {} USD", usd(nanos)),
        None => format!("what an attempt at `{place}` costs is not known"),
    };
    let held_too =
        if held == 0 { String::new() } else { format!(" and {} USD held for attempts under way", usd(held)) };
    OverBudget {
        provider: target.endpoint.id().to_owned(),
        model: target.model.clone(),
        limit_nanos: limit,
        spent_nanos: Some(spent),
        held_nanos: Some(held),
        estimate_nanos: nanos,
        message: format!("{what} has {} USD spent{held_too}, and {most}", usd(spent)),
        ..OverBudget::default()
    }
}

/// What is told of an attempt whose price is not known.
pub(super) fn unpriced(budget: &str, limit: u64, target: &Target, why: &Unpriced) -> OverBudget {
    let place = place(target);
    let (what, allow) = match Whose::named(budget) {
        Some(whose) => (whose.words(), String::new()),
        None => (format!("the budget `{budget}`"), format!(", or allow it with `budgets.{budget}.unpriced`")),
    };
    let message = format!(
        "{what} refuses `{place}`, as what it costs is not known ({why}): configure `prices.\"{place}\"`{allow}"
    );
    OverBudget {
        budget: budget.to_owned(),
        provider: target.endpoint.id().to_owned(),
        model: target.model.clone(),
        limit_nanos: limit,
        message,
        ..OverBudget::default()
    }
}

fn place(target: &Target) -> String {
    format!("{}/{}", target.endpoint.id(), target.model)
}

/// The window, in words.
fn when(window: &Window, span: Span) -> String {
    let moment = |ms: u64| {
        let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        at.map(|at| at.to_string()).unwrap_or_default()
    };
    match window {
        Window::Total => String::new(),
        Window::Rolling(ms) => format!(" in {} s", ms / 1000),
        Window::Calendar(..) => {
            format!(" from {} to {}", moment(span.since), span.until.map(moment).unwrap_or_default())
        }
    }
}
