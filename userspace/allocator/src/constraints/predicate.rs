//! What a constraint says.

use std::sync::{Mutex, PoisonError};

use muster_api::mesos::scheduler::attribute_constraint;
use regex_automata::nfa::thompson::pikevm::{self, PikeVM};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use super::ConstraintLimits;
use super::selector::Selected;

/// A statement about something of an agent.
#[derive(Debug)]
pub(super) enum Predicate {
    Exists,
    NotExists,
    TextEquals(String),
    TextNotEquals(String),
    TextMatches(Expression),
    TextNotMatches(Expression),
}

impl Predicate {
    pub(super) fn read(
        message: &attribute_constraint::Predicate,
        limits: ConstraintLimits,
    ) -> Result<Self, String> {
        use attribute_constraint::predicate::Predicate as Choice;
        Ok(match &message.predicate {
            Some(Choice::Exists(_)) => Self::Exists,
            Some(Choice::NotExists(_)) => Self::NotExists,
            Some(Choice::TextEquals(text)) => Self::TextEquals(text.value.clone()),
            Some(Choice::TextNotEquals(text)) => Self::TextNotEquals(text.value.clone()),
            Some(Choice::TextMatches(text)) => {
                Self::TextMatches(Expression::compile(&text.regex, limits)?)
            }
            Some(Choice::TextNotMatches(text)) => {
                Self::TextNotMatches(Expression::compile(&text.regex, limits)?)
            }
            None => return Err("none is set that is known".to_owned()),
        })
    }

    /// Whether it holds. What is no text has every property but that it does not exist.
    pub(super) fn holds(&self, selected: Selected<'_>) -> bool {
        match (self, selected) {
            (Self::NotExists, selected) => selected == Selected::Nothing,
            (Self::Exists, Selected::Text(_)) | (_, Selected::Other) => true,
            (_, Selected::Nothing) => {
                matches!(self, Self::TextNotEquals(_) | Self::TextNotMatches(_))
            }
            (Self::TextEquals(value), Selected::Text(text)) => text == value,
            (Self::TextNotEquals(value), Selected::Text(text)) => text != value,
            (Self::TextMatches(expression), Selected::Text(text)) => expression.matches(text),
            (Self::TextNotMatches(expression), Selected::Text(text)) => !expression.matches(text),
        }
    }
}

/// A regular expression that a whole text has to match. It takes time in proportion to its
/// size and that of the text, and memory in proportion to its size.
#[derive(Debug)]
pub(super) struct Expression {
    automaton: PikeVM,
    // Room to work in, which is not made anew each time.
    cache: Mutex<pikevm::Cache>,
}

impl Expression {
    fn compile(regex: &str, limits: ConstraintLimits) -> Result<Self, String> {
        // By itself first, so that it cannot close the parenthesis around it.
        automaton(regex, limits)?;
        let nfa = automaton(&format!("(?:{regex})\\z"), limits)?;
        let states = nfa.states().len();
        if states > limits.max_program_size {
            let most = limits.max_program_size;
            return Err(too_complex(regex, &format!("{states} states, more than {most}")));
        }
        let automaton = PikeVM::new_from_nfa(nfa).map_err(|error| error.to_string())?;
        Ok(Self { cache: Mutex::new(automaton.create_cache()), automaton })
    }

    fn matches(&self, text: &str) -> bool {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        self.automaton.is_match(&mut cache, Input::new(text).anchored(Anchored::Yes))
    }
}

fn automaton(regex: &str, limits: ConstraintLimits) -> Result<NFA, String> {
    let config = thompson::Config::new()
        .nfa_size_limit(Some(limits.max_mem))
        .which_captures(WhichCaptures::None);
    // Mesos' classes are of ASCII: \d is 0 to 9.
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    thompson::Compiler::new().configure(config).syntax(syntax).build(regex).map_err(|error| {
        match error.size_limit() {
            Some(most) => too_complex(regex, &format!("more than {most} bytes")),
            None => format!("the regular expression {regex:?} is wrong: {}", root(&error)),
        }
    })
}

fn too_complex(regex: &str, why: &str) -> String {
    format!("the regular expression {regex:?} is too complex: it takes {why}")
}

/// What an error is about at the bottom, on one line: the parser draws where it is on the lines
/// before the last.
fn root(error: &dyn std::error::Error) -> String {
    if let Some(source) = error.source() {
        return root(source);
    }
    let text = error.to_string();
    let last = text.lines().next_back().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
