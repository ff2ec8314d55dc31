//! Containers are launched, of tasks, executors, and tasks in executors.

use muster_agent::ContainerEvent;
use muster_containerizer::{ContainerSpec, Kind, nested_id};
use muster_store::Store;
use rand::RngExt;

use super::{Event, World};
use crate::simulation::master::EXECUTOR;

impl World {
    pub(super) fn launch(&mut self, spec: &ContainerSpec) {
        let parent = spec.parent.as_deref();
        let name = parent.map_or(spec.id.clone(), |parent| nested_id(parent, &spec.id));
        let executor = spec.environment.iter().find(|(name, _)| name == "MESOS_EXECUTOR_ID");
        let id = executor.map_or(EXECUTOR, |(_, id)| id).to_owned();
        let program = id.starts_with(EXECUTOR) && parent.is_none();
        let rows = self.store.scan(if program { "executors" } else { "tasks" }).unwrap();
        assert!(rows.iter().any(|(key, _)| *key == name), "launched unwritten");
        self.tasks.insert(name.clone(), id.clone());
        self.machine.launch(&name);
        let after = self.rng.random_range(0.0..1.0);
        let orphan = parent.is_some_and(|parent| !self.machine.runs(parent));
        if orphan || self.rng.random_bool(0.1) {
            let message = "mount: no such device".to_owned();
            return self.event(after, &name, ContainerEvent::LaunchFailed { message });
        }
        self.machine.execute(&name);
        self.event(after, &name, ContainerEvent::Launched { pid: 7, addresses: None });
        if spec.kind == Kind::Pod {
            self.pods += 1;
        } else if program {
            self.start_program(&name, &id);
        } else {
            let after = self.rng.random_range(0.0..120.0);
            self.schedule(after, Event::Exit { container: name });
        }
    }
}
