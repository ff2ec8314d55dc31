//! The allocator, the clock, and which offers are out.

mod agents;
mod cycle;
mod fill;
mod frameworks;
mod offers;
mod operation;
mod settings;
mod shares;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_allocator::{AgentOptions, Allocator, Options};
use muster_resources::Resources;
use serde_json::{Value as Json, json};

use crate::command::{self, Command};
use crate::error::{Refusal, refused};
use crate::place::Place;
use crate::{Error, History};

/// An allocator that is told what to do line by line. A clone goes its own way.
#[derive(Clone, Debug)]
pub struct Simulator {
    options: Options,
    allocator: Allocator,
    /// Whether it is too late for other options.
    started: bool,
    now: Duration,
    lines: u64,
    agents: BTreeMap<String, AgentOptions>,
    /// What is offered and not answered; the rest of what frameworks have is used by tasks.
    offers: BTreeMap<Place, Resources>,
    /// Frameworks that are asked to leave agents, and have not answered.
    asked: BTreeSet<(String, String)>,
    /// What one task takes, by framework.
    demands: BTreeMap<String, Resources>,
    history: Option<History>,
}

impl Default for Simulator {
    fn default() -> Self {
        Self::new()
    }
}

impl Simulator {
    /// Nothing but an allocator with Mesos' settings, and the seed 0.
    pub fn new() -> Self {
        let options = Options::default();
        Self {
            allocator: Allocator::new(options.clone()),
            options,
            started: false,
            now: Duration::ZERO,
            lines: 0,
            agents: BTreeMap::new(),
            offers: BTreeMap::new(),
            asked: BTreeSet::new(),
            demands: BTreeMap::new(),
            history: None,
        }
    }

    /// The same, noting shares as they change, which takes time and memory.
    #[must_use]
    pub fn recording(self) -> Self {
        Self { history: Some(History::default()), ..self }
    }

    /// The shares so far, if they are noted.
    pub fn history(&self) -> Option<&History> {
        self.history.as_ref()
    }

    /// Carries out a line, and answers it with a line (without its end). Empty lines, and
    /// those that begin with `#`, have no answer.
    ///
    /// # Errors
    /// A line that is no command, or one that cannot be carried out; nothing has changed then.
    pub fn line(&mut self, line: &str) -> Result<Option<String>, Error> {
        self.lines += 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        match command::read(line).and_then(|command| self.run(command)) {
            Ok(answer) => Ok(Some(answer.to_string())),
            Err((place, problem)) => Err(Error { line: self.lines, place, problem }),
        }
    }

    fn run(&mut self, command: Command) -> Result<Json, Refusal> {
        let nothing = json!({});
        match command {
            Command::Config(config) => return self.configure(config).map(|()| nothing),
            Command::Shares(_) => return Ok(self.shares()),
            Command::Advance(advance) => return self.advance(&advance).map(|()| nothing),
            _ => {}
        }
        let moves_shares = command.moves_shares();
        let answer = match command {
            Command::AddAgent(agent) => self.add_agent(*agent).map(|()| nothing),
            Command::UpdateAgent(agent) => self.update_agent(*agent).map(|()| nothing),
            Command::RemoveAgent(agent) => self.remove_agent(&agent.id).map(|()| nothing),
            Command::AddFramework(framework) => self.add_framework(*framework).map(|()| nothing),
            Command::RemoveFramework(framework) => {
                self.remove_framework(&framework.id).map(|()| nothing)
            }
            Command::DeactivateFramework(framework) => {
                let done = self.allocator.deactivate_framework(&framework.id);
                done.map(|()| nothing).map_err(refused("deactivate_framework", "id"))
            }
            Command::ActivateFramework(framework) => {
                let done = self.allocator.activate_framework(&framework.id);
                done.map(|()| nothing).map_err(refused("activate_framework", "id"))
            }
            Command::Suppress(roles) => self.suppress(roles).map(|()| nothing),
            Command::Revive(roles) => self.revive(roles).map(|()| nothing),
            Command::SetWeight(weight) => self.set_weight(&weight).map(|()| nothing),
            Command::SetQuota(quota) => self.set_quota(quota).map(|()| nothing),
            Command::Allocate(allocate) => self.allocate(allocate),
            Command::Accept(accept) => self.accept(accept).map(|()| nothing),
            Command::Decline(decline) => self.decline(decline).map(|()| nothing),
            Command::Release(release) => self.release(release).map(|()| nothing),
            Command::Operation(operation) => self.operate(*operation).map(|()| nothing),
            Command::Maintenance(plan) => self.maintain(&plan).map(|()| nothing),
            Command::AcceptInverse(answer) => self.answer(answer, true).map(|()| nothing),
            Command::DeclineInverse(answer) => self.answer(answer, false).map(|()| nothing),
            Command::Demand(demand) => self.demand(demand).map(|()| nothing),
            Command::Fill(_) => self.fill(),
            Command::Shares(_) | Command::Config(_) | Command::Advance(_) => Ok(nothing),
        }?;
        self.started = true;
        if moves_shares && let Some(history) = &mut self.history {
            history.note(self.now, &self.allocator.shares());
        }
        Ok(answer)
    }

    /// What the tasks of a framework use.
    fn used(&self, place: &Place) -> Resources {
        let all = self.allocator.allocation(&place.framework, &place.role, &place.agent);
        match self.offers.get(place) {
            Some(offered) => all - offered,
            None => all,
        }
    }
}
