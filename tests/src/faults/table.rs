//! Plays every case of a folder in every language, several at a time, and prints the table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::definition::{Folder, Form};
use super::judge::Verdict;
use super::play::{Played, play};
use crate::parity::runner::Runner;

/// Runs at a time. They mostly wait, but each is a process, and on a busy machine the bounds in time would fail.
const AT_A_TIME: usize = 24;

/// Which run it is: fault, case, form, language, each by its place.
type Place = (usize, usize, Form, usize);

/// All runs of a folder.
#[derive(Debug)]
pub struct Table {
    folder: Arc<Folder>,
    languages: Vec<&'static str>,
    runs: BTreeMap<Place, Played>,
}

impl Table {
    /// Plays a folder in these languages.
    pub async fn play(folder: Folder, runners: Vec<(&'static str, Runner)>) -> Self {
        let folder = Arc::new(folder);
        let (languages, runners): (Vec<_>, Vec<_>) =
            runners.into_iter().map(|(name, runner)| (name, Arc::new(runner))).unzip();
        let mut places: Vec<Place> = Vec::new();
        for (fault, definition) in folder.faults.iter().enumerate() {
            for (case, form) in
                definition.cases.iter().enumerate().flat_map(|(at, case)| case.on.iter().map(move |form| (at, form)))
            {
                places.extend((0..languages.len()).map(|language| (fault, case, *form, language)));
            }
        }
        // The longest first: the others then fill the gaps.
        places.sort_by_key(|(fault, case, ..)| std::cmp::Reverse(folder.faults[*fault].cases[*case].calls.span_ms()));
        let _ = writeln!(io::stderr(), "{} runs, which mostly wait", places.len());
        let room = Arc::new(Semaphore::new(AT_A_TIME));
        let mut playing = JoinSet::new();
        for place in places {
            let (folder, runner, room) = (Arc::clone(&folder), Arc::clone(&runners[place.3]), Arc::clone(&room));
            playing.spawn(async move {
                let _room = room.acquire_owned().await;
                let fault = &folder.faults[place.0];
                (place, play(&folder.baseline, fault, &fault.cases[place.1], place.2, &runner).await)
            });
        }
        let runs = playing.join_all().await.into_iter().collect();
        Table { folder, languages, runs }
    }

    /// Cells that pass, and the others.
    pub fn tally(&self) -> (usize, usize) {
        let passed = self.runs.values().filter(|played| played.verdict == Verdict::Pass).count();
        (passed, self.runs.len() - passed)
    }

    /// The table, then why each cell that does not pass does not.
    pub fn show(&self) -> String {
        const FORMS: [(Form, &str); 2] = [(Form::Whole, "whole"), (Form::Stream, "stream")];
        let mut out = format!("{:<15}{:<44}", "", "");
        for name in &self.languages {
            let _ = write!(out, "{name:<16}");
        }
        let _ = write!(out, "\n{:<15}{:<44}", "fault", "");
        for _ in &self.languages {
            let _ = write!(out, "{:<8}{:<8}", "whole", "stream");
        }
        let mut why = String::new();
        for (fault, definition) in self.folder.faults.iter().enumerate() {
            // Cases of one name stand in one row: they differ in form.
            let mut names: Vec<&str> = Vec::new();
            for case in &definition.cases {
                if !names.contains(&case.name.as_str()) {
                    names.push(&case.name);
                }
            }
            for (nth, case_name) in names.into_iter().enumerate() {
                let row = format!("{} {case_name}", definition.id);
                let title = if nth == 0 { definition.title.as_str() } else { "" };
                let cases = || (0..definition.cases.len()).filter(|at| definition.cases[*at].name == case_name);
                let _ = write!(out, "\n{row:<15}{title:<44}");
                for (language, name) in self.languages.iter().enumerate() {
                    for (form, form_name) in FORMS {
                        let played = cases().find_map(|case| self.runs.get(&(fault, case, form, language)));
                        let Some(played) = played else {
                            let _ = write!(out, "{:<8}", "-");
                            continue;
                        };
                        let _ = write!(out, "{:<8}", played.verdict);
                        if played.verdict != Verdict::Pass {
                            let took = played.took.as_secs_f64();
                            let _ = write!(
                                why,
                                "\n{} · {form_name} · {name}: {} after {took:.1} s",
                                row.trim(),
                                played.verdict
                            );
                            for reason in &played.reasons {
                                let _ = write!(why, "\n    {}", shortened(reason));
                            }
                        }
                    }
                }
            }
        }
        let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
        format!("{}\n{why}", lines.join("\n"))
    }
}

/// What fits a report: a mismatch repeats the whole of what was there.
fn shortened(reason: &str) -> String {
    const MOST: usize = 600;
    let short: String = reason.chars().take(MOST).collect();
    let dots = if short.len() < reason.len() { " ..." } else { "" };
    short.replace('\n', "\n    ") + dots
}
