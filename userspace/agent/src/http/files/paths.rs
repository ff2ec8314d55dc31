//! What the directories that can be looked into are called.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use muster_api::TaskStateExt as _;

use crate::Agent;

/// The sandboxes that the agent knows of, the newest last.
pub(super) struct Paths(Vec<Sandbox>);

struct Sandbox {
    framework: String,
    executor: String,
    container: String,
    path: PathBuf,
}

impl Paths {
    /// Those of the agent's executors and tasks, also of those that have ended.
    pub(super) fn of(agent: &Agent) -> Self {
        let settings = agent.settings();
        let executors = agent.completed_executors().chain(agent.executors());
        let executors = executors.map(|executor| Sandbox {
            framework: executor.framework_id().to_owned(),
            executor: executor.info().executor_id.value.clone(),
            container: executor.container_id().to_owned(),
            path: executor.sandbox(settings),
        });
        let (live, ended): (Vec<_>, Vec<_>) =
            agent.tasks().partition(|task| !task.status().state().is_terminal());
        // Those of an executor are in its sandbox.
        let own = agent.completed().chain(ended).chain(live).filter(|task| !task.hosted());
        let own = own.map(|task| Sandbox {
            framework: task.framework_id().value.clone(),
            executor: task.info().task_id.value.clone(),
            container: task.container_id().to_owned(),
            path: task.sandbox(settings),
        });
        Self(executors.chain(own).collect())
    }

    /// Every name, with the directory.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for sandbox in &self.0 {
            let path = sandbox.path.display().to_string();
            for run in [&sandbox.container, "latest"] {
                let (framework, executor) = (&sandbox.framework, &sandbox.executor);
                let name = format!("/frameworks/{framework}/executors/{executor}/runs/{run}");
                all.insert(name, path.clone());
            }
            all.insert(path.clone(), path);
        }
        all
    }

    /// The sandbox that `path` is in, and where in it.
    pub(super) fn resolve(&self, path: &str) -> Option<(PathBuf, PathBuf)> {
        let path = Path::new(path);
        let own = self.0.iter().find_map(|sandbox| {
            let below = path.strip_prefix(&sandbox.path).ok()?;
            Some((sandbox.path.clone(), below.to_owned()))
        });
        if own.is_some() {
            return own;
        }
        let mut parts = path.components();
        let mut name = || match parts.next()? {
            Component::Normal(name) => name.to_str(),
            Component::RootDir => Some("/"),
            _ => None,
        };
        let mut names = [""; 7];
        for place in &mut names {
            *place = name()?;
        }
        let ["/", "frameworks", framework, "executors", executor, "runs", run] = names else {
            return None;
        };
        let below = parts.as_path().to_owned();
        let mut candidates = self.0.iter().rev().filter(|sandbox| {
            sandbox.framework == framework
                && sandbox.executor == executor
                && (run == "latest" || sandbox.container == run)
        });
        candidates.next().map(|sandbox| (sandbox.path.clone(), below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Paths {
        let sandbox = |container: &str| Sandbox {
            framework: "f".into(),
            executor: "e".into(),
            container: container.into(),
            path: format!("/work/{container}").into(),
        };
        Paths(vec![sandbox("old"), sandbox("new")])
    }

    #[test]
    fn by_directory_and_by_name() {
        let resolve = |path: &str| {
            let found = paths().resolve(path);
            found.map(|(sandbox, below)| format!("{}|{}", sandbox.display(), below.display()))
        };
        let runs = "/frameworks/f/executors/e/runs";
        for (path, expected) in [
            ("/work/old", "/work/old|"),
            ("/work/old/a/b/", "/work/old|a/b"),
            (&format!("{runs}/latest/stdout"), "/work/new|stdout"),
            (&format!("{runs}/old"), "/work/old|"),
            // What it leads to is not decided here.
            ("/work/old/../new", "/work/old|../new"),
        ] {
            assert_eq!(resolve(path).as_deref(), Some(expected), "{path}");
        }
        for path in ["", "/", "/work", "/work/older", "/work/ol", "/etc/passwd", "work/old", runs] {
            assert_eq!(resolve(path), None, "{path}");
        }
        assert_eq!(resolve("/frameworks/f/executors/x/runs/latest"), None);
        assert_eq!(paths().all().len(), 5);
        assert_eq!(paths().all()[&format!("{runs}/latest")], "/work/new");
    }
}
