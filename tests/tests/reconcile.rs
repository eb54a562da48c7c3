//! Reconciliation on made-up months: vendors' reports in every form, with faults in them, many times over. Every difference
//! must get the class of the fault that made it, and once it is posted the sums must agree.

#![allow(clippy::unwrap_used)]

mod reports;

use std::collections::{BTreeMap, BTreeSet};

use interfuse::Catalog;
use interfuse::ledger::reconcile::{Report, reconcile};
use interfuse::ledger::{LedgerStore, MemoryLedger};
use interfuse::types::{Correction, ReconcileOptions, Reconciliation, Residual, UsageQuery};
use reports::{Form, World};

fn ledger(world: &World) -> MemoryLedger {
    let ledger = MemoryLedger::new(usize::MAX >> 1);
    world.records.iter().for_each(|record| ledger.record(record.clone()).unwrap());
    ledger
}

fn run(ledger: &dyn LedgerStore, files: &[(String, String)], options: &ReconcileOptions) -> Reconciliation {
    let reports: Vec<Report<'_>> = files.iter().map(|(name, text)| Report { name, bytes: text.as_bytes() }).collect();
    reconcile(ledger, &Catalog::default(), &reports, options).unwrap()
}

fn posting() -> ReconcileOptions {
    ReconcileOptions { post: true, ..Default::default() }
}

fn corrections(ledger: &dyn LedgerStore) -> Vec<Correction> {
    let mut all = Vec::new();
    let each = &mut |correction: &Correction| {
        all.push(correction.clone());
        Ok(())
    };
    ledger.corrections(&UsageQuery::default(), each).unwrap();
    all
}

/// Classes found, by hour or day and canonical model, without what rounding may add.
fn found(world: &World, catalog: &Catalog, all: &[Correction]) -> BTreeMap<(i64, Option<String>), BTreeSet<Residual>> {
    let mut found: BTreeMap<_, BTreeSet<Residual>> = BTreeMap::new();
    for one in all.iter().filter(|one| one.residual != Residual::Rounded) {
        let from = if world.form == Form::HuggingFace { reports::START } else { world.bucket(one.at_ms as i64) };
        let model = one.model.as_ref().map(|model| {
            let bare = model.strip_prefix(&format!("{}/", world.provider)).unwrap_or(model);
            let known =
                catalog.resolve(bare, Some(world.provider)).ok().and_then(|r| r.candidates[0].canonical.clone());
            known.unwrap_or_else(|| model.clone())
        });
        found.entry((from, model)).or_default().insert(one.residual);
    }
    found
}

fn check(form: Form, seed: u64) {
    let world = World::new(form, seed);
    let (files, billed) = world.reports();
    let ledger = ledger(&world);
    let what = || format!("{form:?}, seed {seed}");
    let first = run(&ledger, &files, &posting());
    let all = corrections(&ledger);
    assert_eq!(first.posted, all.len() as u64, "{}", what());
    let found = found(&world, &Catalog::default(), &all);
    let places: BTreeSet<_> = found.keys().chain(world.expected.keys()).collect();
    let wrong: Vec<_> = places.into_iter().filter(|place| found.get(*place) != world.expected.get(*place)).collect();
    let told = || {
        wrong.iter().map(|place| format!("{place:?}: {:?}, not {:?}", found.get(*place), world.expected.get(*place)))
    };
    assert!(wrong.is_empty(), "{}\n{}\n{}", what(), told().collect::<Vec<_>>().join("\n"), first.to_text());

    // Rounding is only found where the report rounds, and is never more than it can be.
    for rounded in all.iter().filter(|one| one.residual == Residual::Rounded) {
        let most = if world.decimals == 2 { 5_000_000 * 12 } else { 10 };
        assert!(rounded.delta_nanos.abs() <= most, "{}: {rounded:?}", what());
    }

    // The vendor's sum is what its files bill, and the ledger with its corrections comes to the same.
    let places = first.days.len() as i64 * 24;
    if !matches!(form, Form::OpenAiUsage) {
        assert!((i128::from(first.total.vendor_nanos) - billed / 1000).abs() <= i128::from(places), "{}", what());
    }
    assert_eq!(first.total.delta_nanos, first.total.vendor_nanos - first.total.ours_nanos, "{}", what());
    assert_eq!(first.total.delta_nanos, all.iter().map(|one| one.delta_nanos).sum::<i64>(), "{}", what());
    let sums = ledger.usage(&UsageQuery::default()).unwrap().total;
    if form != Form::OpenRouterGeneration {
        assert_eq!(sums.cost_nanos as i64 + sums.corrections_nanos, first.total.vendor_nanos, "{}", what());
    }
    for day in &first.days {
        assert_eq!(day.sum.classes.values().sum::<i64>(), day.sum.delta_nanos, "{}: {day:?}", what());
    }

    // The same report again finds everything settled and posts nothing.
    let again = run(&ledger, &files, &posting());
    assert_eq!(again.posted, 0, "{}\n{}", what(), again.to_text());
    assert!(again.ok && again.total.delta_nanos == 0 && again.offenders.is_empty(), "{}\n{}", what(), again.to_text());
    assert_eq!(again.total.corrections_nanos, first.total.delta_nanos, "{}", what());
    assert_eq!(corrections(&ledger).len(), all.len(), "{}", what());

    // The price that changed is the one proposed.
    if let Some((model, class, rate)) = world.repriced
        && world.decimals == 12
        && !matches!(form, Form::OpenRouterGeneration | Form::OpenRouterList)
    {
        let [proposal] = first.proposals.as_slice() else { panic!("{}: {:?}", what(), first.proposals) };
        assert!(proposal.model.ends_with(world.models[model].0), "{}: {proposal:?}", what());
        assert_eq!(proposal.rates.get(class).map(|rate| rate.pico()), Some(rate), "{}: {proposal:?}", what());
        assert_eq!(proposal.rates.iter().count(), 1, "{}: {proposal:?}", what());
    }
}

/// Many seeds of one form; more with `RECONCILE_SEEDS`.
fn check_many(form: Form) {
    let seeds = std::env::var("RECONCILE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    (0..seeds).for_each(|seed| check(form, seed));
}

macro_rules! forms {
    ($($name:ident: $form:ident),*) => {$(
        #[test]
        fn $name() {
            check_many(Form::$form);
        }
    )*

    #[test]
    fn every_form_is_checked() {
        assert_eq!([$(Form::$form),*], Form::ALL);
    }};
}

forms! {
    openai_costs_and_usage: OpenAiCostsAndUsage,
    openai_usage: OpenAiUsage,
    anthropic: Anthropic,
    anthropic_cost: AnthropicCost,
    openrouter_activity: OpenRouterActivity,
    openrouter_generation: OpenRouterGeneration,
    openrouter_list: OpenRouterList,
    hugging_face: HuggingFace,
    aws_cur: Cur,
    aws_focus: AwsFocus,
    azure_focus: AzureFocus,
    focus: Focus
}
