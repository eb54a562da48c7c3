//! JSON answers laid over each other: where they agree, and every place where they do not.
//!
//! Objects are compared field by field. Lists of different texts are sets: each entry stands or falls by itself. Lists of
//! objects are compared entry by entry where a field tells the entries apart (`id`, `name`, ...). Everything else (other
//! lists, values of different kinds, single values) stands or falls whole.

use serde_json::Value;

use crate::fusion::candidate::Candidate;
use crate::fusion::canonical;
use crate::fusion::evidence::Weights;
use crate::fusion::verdict::Verdict;
use crate::types::{FieldReport, FieldSupport};

use super::decision::{Decided, Decision, folded};

/// Answers laid over each other.
pub(super) struct Tree {
    root: Node,
    names: Vec<String>,
}

/// One place.
struct Node {
    /// Whether it is there, where some leave it out and the others do not all say one thing.
    presence: Option<Decision>,
    what: What,
}

enum What {
    /// All say this; who they are.
    Agreed(Value, Vec<usize>),
    /// Some say this, some that.
    Open(Decision),
    Object(Vec<(String, Node)>),
    List(Vec<Node>),
}

/// What a candidate (its place) says somewhere.
type Says<'a> = Vec<(usize, Option<&'a Value>)>;

impl Tree {
    /// Of the candidates' answers. `names` are the candidates'.
    pub fn new(candidates: &[Candidate], values: &[Value], names: Vec<String>) -> Self {
        let says = values.iter().enumerate().map(|(i, value)| (i, Some(value))).collect();
        Tree { root: Builder { candidates, decisions: 0 }.node(String::new(), says), names }
    }

    /// The decisions that a judge could change.
    pub fn open(&self, weights: &Weights) -> Vec<&Decision> {
        let mut all = Vec::new();
        self.root.decisions(&mut all);
        all.retain(|decision| decision.is_open(weights));
        all
    }

    /// The answer put together, and how each place was decided. `verdicts` tells those on a decision, by its number.
    pub fn resolve(&self, weights: &Weights, verdicts: &dyn Fn(usize) -> Vec<Verdict>) -> (Value, Vec<FieldReport>) {
        let mut resolved = Resolved { weights, verdicts, names: &self.names, rows: Vec::new() };
        let value = resolved.node(&self.root, "");
        (value.unwrap_or(Value::Null), resolved.rows)
    }
}

impl Node {
    fn decisions<'a>(&'a self, all: &mut Vec<&'a Decision>) {
        all.extend(&self.presence);
        match &self.what {
            What::Agreed(..) => {}
            What::Open(decision) => all.push(decision),
            What::Object(fields) => fields.iter().for_each(|(_, node)| node.decisions(all)),
            What::List(entries) => entries.iter().for_each(|node| node.decisions(all)),
        }
    }
}

struct Builder<'a> {
    candidates: &'a [Candidate],
    decisions: usize,
}

impl Builder<'_> {
    fn node(&mut self, path: String, says: Says<'_>) -> Node {
        let there: Vec<(usize, &Value)> = says.iter().filter_map(|(i, value)| Some((*i, (*value)?))).collect();
        let everywhere = there.len() == says.len();
        let plain = |what| Node { presence: None, what };
        if everywhere && let Some((_, first)) = there.first() {
            let key = canonical::json(first);
            if there.iter().all(|(_, value)| canonical::json(value) == key) {
                return plain(What::Agreed((*first).clone(), there.iter().map(|(i, _)| *i).collect()));
            }
        }
        let what = match there.as_slice() {
            [(_, Value::Object(_)), ..] => self.object(&path, &there),
            [(_, Value::Array(_)), ..] => self.list(&path, &there),
            _ => None,
        };
        let Some(what) = what else { return plain(What::Open(self.decision(path, &says))) };
        let presence = (!everywhere).then(|| {
            self.decisions += 1;
            Decision::of_presence(self.decisions, path, &says, self.candidates)
        });
        Node { presence, what }
    }

    fn decision(&mut self, path: String, says: &[(usize, Option<&Value>)]) -> Decision {
        self.decisions += 1;
        Decision::new(self.decisions, path, says, self.candidates)
    }

    fn object(&mut self, path: &str, there: &[(usize, &Value)]) -> Option<What> {
        let objects: Vec<_> = there.iter().map(|(i, value)| Some((*i, value.as_object()?))).collect::<Option<_>>()?;
        let mut names: Vec<&String> = Vec::new();
        for name in objects.iter().flat_map(|(_, object)| object.keys()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let field = |name: &String| {
            let says = objects.iter().map(|(i, object)| (*i, object.get(name))).collect();
            (name.clone(), self.node(format!("{path}/{}", escaped(name)), says))
        };
        Some(What::Object(names.into_iter().map(field).collect()))
    }

    /// Entry by entry, where entries can be told apart.
    fn list(&mut self, path: &str, there: &[(usize, &Value)]) -> Option<What> {
        let lists: Vec<(usize, &Vec<Value>)> =
            there.iter().map(|(i, value)| Some((*i, value.as_array()?))).collect::<Option<_>>()?;
        let marked = marks(&lists)?;
        let mut order: Vec<&String> = Vec::new();
        for mark in marked.iter().flatten() {
            if !order.contains(&mark) {
                order.push(mark);
            }
        }
        let entry = |mark: &String| {
            let says: Says<'_> = lists
                .iter()
                .zip(&marked)
                .map(|((i, list), marks)| (*i, marks.iter().position(|m| m == mark).and_then(|at| list.get(at))))
                .collect();
            self.node(format!("{path}[{mark}]"), says)
        };
        Some(What::List(order.into_iter().map(entry).collect()))
    }
}

/// Fields that tell the entries of a list apart.
const KEYS: &[&str] = &["id", "key", "name", "title", "label", "code", "sku", "url", "date"];

/// What tells the entries of each list apart, in their order: `None` where two of one list could not be.
fn marks(lists: &[(usize, &Vec<Value>)]) -> Option<Vec<Vec<String>>> {
    let by = |mark: &dyn Fn(&Value) -> Option<String>| {
        let marked: Vec<Vec<String>> =
            lists.iter().map(|(_, list)| list.iter().map(mark).collect()).collect::<Option<_>>()?;
        let distinct = |marks: &Vec<String>| marks.iter().enumerate().all(|(i, m)| !marks[..i].contains(m));
        marked.iter().all(distinct).then_some(marked)
    };
    if let Some(texts) = by(&|entry| entry.as_str().map(folded)) {
        return Some(texts);
    }
    KEYS.iter().find_map(|key| {
        by(&|entry| match entry.get(key)? {
            Value::String(text) => Some(format!("{key}={}", folded(text))),
            Value::Number(n) => Some(format!("{key}={n}")),
            _ => None,
        })
    })
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

struct Resolved<'a> {
    weights: &'a Weights,
    verdicts: &'a dyn Fn(usize) -> Vec<Verdict>,
    names: &'a [String],
    rows: Vec<FieldReport>,
}

impl Resolved<'_> {
    fn node(&mut self, node: &Node, at: &str) -> Option<Value> {
        if let Some(presence) = &node.presence {
            let there = self.decided(presence);
            if there.value.is_none() {
                self.row(there, at);
                return None;
            }
        }
        match &node.what {
            What::Agreed(value, who) => {
                let members = who.iter().map(|i| self.names[*i].clone()).collect();
                let values = vec![FieldSupport { value: Some(value.clone()), members }];
                self.rows.push(FieldReport { pointer: at.to_owned(), method: "agreement".to_owned(), said: values });
                Some(value.clone())
            }
            What::Open(decision) => {
                let decided = self.decided(decision);
                let value = decided.value.clone();
                self.row(decided, at);
                value
            }
            What::Object(fields) => {
                let field = |(name, node): &(String, Node)| {
                    Some((name.clone(), self.node(node, &format!("{at}/{}", escaped(name)))?))
                };
                Some(Value::Object(fields.iter().filter_map(field).collect()))
            }
            What::List(entries) => {
                let mut list = Vec::new();
                for node in entries {
                    let before = self.rows.len();
                    match self.node(node, &format!("{at}/{}", list.len())) {
                        Some(value) => list.push(value),
                        // What is left out has no place in the list.
                        None => self.rows[before..].iter_mut().for_each(|row| row.pointer = format!("{at}/-")),
                    }
                }
                Some(Value::Array(list))
            }
        }
    }

    fn decided(&self, decision: &Decision) -> Decided {
        decision.decide(self.weights, &(self.verdicts)(decision.id), self.names)
    }

    fn row(&mut self, decided: Decided, at: &str) {
        self.rows.push(FieldReport { pointer: at.to_owned(), ..decided.report });
    }
}
