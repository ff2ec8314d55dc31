//! Executors: what they hold, how they end, and what is said to them.

use muster_api::mesos::offer::{Operation, operation};
use muster_api::mesos::scheduler::{Call, call, event};
use muster_api::mesos::task_status::Reason;
use muster_api::mesos::{
    CommandInfo, ExecutorInfo, OfferId, TaskGroupInfo, TaskInfo, TaskState, executor_info,
};
use muster_api::muster::master_message::Message as ToAgent;
use muster_api::muster::{ExecutorExited, ExecutorMessage};
use muster_master::core::{Input, Output};

use crate::world::*;

fn executor(id: &str) -> ExecutorInfo {
    ExecutorInfo {
        executor_id: id.into(),
        command: Some(CommandInfo { value: Some("run".into()), ..CommandInfo::default() }),
        resources: resources("cpus:1;mem:1024"),
        ..ExecutorInfo::default()
    }
}

fn hosted(id: &str, agent: &str, executor: ExecutorInfo) -> TaskInfo {
    TaskInfo { command: None, executor: Some(executor), ..task(id, agent, "cpus:1;mem:512") }
}

/// An agent, a framework and what is offered to it.
fn offered() -> (World, String, String, OfferId) {
    let mut world = World::new();
    let agent = world.agent(1, "one");
    let (framework, outputs) = world.framework(10, "marathon");
    let offer = offers(&outputs, 10)[0].id.clone();
    (world, agent, framework, offer)
}

fn launches(outputs: &[Output]) -> Vec<(String, bool)> {
    let launches = to_agent(outputs, 1).into_iter().filter_map(|message| match message {
        ToAgent::Launch(launch) => Some(launch),
        _ => None,
    });
    launches.map(|l| (l.task.as_ref().unwrap().task_id.value.clone(), l.launch_executor)).collect()
}

fn exited(framework: &str, executor: &str, status: i32) -> Input {
    let (framework_id, executor_id) = (Some(framework.into()), Some(executor.into()));
    Input::ExecutorExited {
        link: 1,
        exited: Box::new(ExecutorExited { framework_id, executor_id, status }),
    }
}

/// CPUs that the framework is offered next.
fn cpus(world: &mut World) -> f64 {
    let outputs = world.advance(10);
    cpus_of(&outputs)
}

fn cpus_of(outputs: &[Output]) -> f64 {
    let offers = offers(outputs, 10);
    let cpus = offers[0].resources.iter().find(|resource| resource.name == "cpus").unwrap();
    cpus.scalar.unwrap().value
}

#[test]
fn an_executor_is_started_with_its_first_task_and_holds_resources_of_its_own() {
    let (mut world, agent, framework, offer) = offered();
    let tasks = ["t1", "t2"].map(|id| hosted(id, &agent, executor("e"))).to_vec();
    let outputs = world.call(10, launch(&offer, tasks));
    assert_eq!(launches(&outputs), [("t1".to_owned(), true), ("t2".to_owned(), false)]);
    let ToAgent::Launch(told) = &to_agent(&outputs, 1)[0] else { panic!("{outputs:?}") };
    assert_eq!(told.framework.as_ref().unwrap().name, "marathon");
    assert_eq!(world.master.executors().len(), 1);
    assert!((cpus(&mut world) - 1.0).abs() < 1e-9);
    // The next master knows it too, and that an agent which does not has lost it.
    world.restart();
    assert_eq!(world.master.executors().len(), 1);
    for id in ["t1", "t2"] {
        world.update(1, &framework, status(id, TaskState::TaskFailed, 1));
    }
}

#[test]
fn an_executors_end_gives_its_resources_back_and_is_told() {
    let (mut world, agent, framework, offer) = offered();
    world.call(10, launch(&offer, vec![hosted("t", &agent, executor("e"))]));
    world.update(1, &framework, status("t", TaskState::TaskFailed, 1));
    let outputs = world.step(exited(&framework, "e", 9));
    let failure = events(&outputs, 10).find_map(|event| event.failure.clone()).unwrap();
    assert_eq!(failure.agent_id.unwrap().value, agent);
    assert_eq!(failure.executor_id.unwrap().value, "e");
    assert_eq!(failure.status, Some(9));
    assert!(world.master.executors().is_empty());
    assert!((cpus(&mut world) - 4.0).abs() < 1e-9);
    world.restart();
    assert!(world.master.executors().is_empty());
}

#[test]
fn an_agent_that_comes_back_says_which_executors_there_are() {
    let (mut world, agent, framework, offer) = offered();
    world.call(10, launch(&offer, vec![hosted("t", &agent, executor("e"))]));
    let known = world.master.executors().values().next().unwrap().info.clone();
    world.step(Input::LinkClosed { link: 1 });
    let mut back = registration("one");
    back.info.as_mut().unwrap().id = Some(agent.as_str().into());
    back.executors = vec![muster_api::muster::AgentExecutor {
        framework_id: Some(framework.as_str().into()),
        info: Some(known),
        agent_id: Some(agent.as_str().into()),
    }];
    let outputs = world.register(2, back.clone());
    assert_eq!(world.master.executors().len(), 1);
    // The task did not come back with it; the executor still holds its own.
    assert!((cpus_of(&outputs) - 3.0).abs() < 1e-9);
    world.step(Input::LinkClosed { link: 2 });
    back.executors.clear();
    let outputs = world.register(3, back);
    assert!(world.master.executors().is_empty());
    let failed = |event: &muster_api::mesos::scheduler::Event| event.failure.is_some();
    assert!(events(&outputs, 10).any(failed), "{outputs:?}");
}

#[test]
fn executors_that_make_no_sense_are_refused_by_name() {
    let other = ExecutorInfo { data: Some(vec![1]), ..executor("e") };
    let foreign = ExecutorInfo { framework_id: Some("x".into()), ..executor("f") };
    let greedy = ExecutorInfo { resources: resources("cpus:3"), ..executor("f") };
    let cases = [
        (ExecutorInfo { executor_id: "a/b".into(), ..executor("f") }, "executor.executor_id"),
        (ExecutorInfo { command: None, ..executor("f") }, "executor.command is not set"),
        (other, "not the same as the one of its id"),
        (foreign, "executor.framework_id is another framework's"),
        (greedy, "Task and its executor use"),
    ];
    for (info, problem) in cases {
        let (mut world, agent, _, offer) = offered();
        let tasks = vec![hosted("t", &agent, executor("e")), hosted("bad", &agent, info)];
        let outputs = world.call(10, launch(&offer, tasks));
        let told = statuses(&outputs, 10);
        let [status] = &told[..] else { panic!("{problem}: {told:?}") };
        assert_eq!((status.state(), status.reason()), (TaskState::TaskError, Reason::TaskInvalid));
        assert!(status.message().contains(problem), "{}", status.message());
        assert_eq!(world.master.executors().len(), 1);
    }
}

#[test]
fn frameworks_and_executors_talk_and_frameworks_end_executors() {
    let (mut world, agent, framework, offer) = offered();
    world.call(10, launch(&offer, vec![hosted("t", &agent, executor("e"))]));
    let message = call::Message {
        agent_id: agent.as_str().into(),
        executor_id: "e".into(),
        data: b"hi".to_vec(),
    };
    let mut said = Call { message: Some(message), ..Call::default() };
    said.set_type(call::Type::Message);
    let outputs = world.call(10, said);
    assert!(matches!(&to_agent(&outputs, 1)[..], [ToAgent::ExecutorMessage(m)] if m.data == b"hi"));

    let (framework_id, executor_id) = (Some(framework.as_str().into()), Some("e".into()));
    let message = Box::new(ExecutorMessage { framework_id, executor_id, data: b"ho".to_vec() });
    let outputs = world.step(Input::ExecutorMessage { link: 1, message });
    let told = events(&outputs, 10).next().unwrap();
    assert_eq!(told.r#type(), event::Type::Message);
    assert_eq!(told.message.as_ref().unwrap().data, b"ho");

    let shutdown = call::Shutdown { executor_id: "e".into(), agent_id: agent.as_str().into() };
    let mut said = Call { shutdown: Some(shutdown), ..Call::default() };
    said.set_type(call::Type::Shutdown);
    let outputs = world.call(10, said);
    assert!(matches!(&to_agent(&outputs, 1)[..], [ToAgent::ShutdownExecutor(_)]));

    let mut said = Call::default();
    said.set_type(call::Type::Teardown);
    let outputs = world.call(10, said);
    assert!(matches!(&to_agent(&outputs, 1)[..], [ToAgent::ShutdownExecutor(_)]), "{outputs:?}");
}

fn launch_group(offer: &OfferId, executor: ExecutorInfo, tasks: Vec<TaskInfo>) -> Call {
    let task_group = TaskGroupInfo { tasks };
    let launch_group = Some(operation::LaunchGroup { executor, task_group });
    let mut operation = Operation { launch_group, ..Operation::default() };
    operation.set_type(operation::Type::LaunchGroup);
    accept(vec![offer.clone()], vec![operation], 5.0)
}

fn default_executor() -> ExecutorInfo {
    let mut info = ExecutorInfo { command: None, ..executor("pods") };
    info.set_type(executor_info::Type::Default);
    info
}

#[test]
fn a_task_group_is_launched_as_one_with_its_executor() {
    let (mut world, agent, framework, offer) = offered();
    let tasks = ["a", "b"].map(|id| task(id, &agent, "cpus:1;mem:512")).to_vec();
    let outputs = world.call(10, launch_group(&offer, default_executor(), tasks));
    let [ToAgent::LaunchGroup(group)] = &to_agent(&outputs, 1)[..] else { panic!("{outputs:?}") };
    assert!(group.launch_executor);
    assert_eq!(group.tasks.len(), 2);
    assert_eq!((world.master.tasks().len(), world.master.executors().len()), (2, 1));
    assert!((cpus(&mut world) - 1.0).abs() < 1e-9);
    for id in ["a", "b"] {
        world.update(1, &framework, status(id, TaskState::TaskFinished, 1));
    }
    world.step(exited(&framework, "pods", 0));
    // The rest is offered already.
    assert!((cpus(&mut world) - 3.0).abs() < 1e-9);
}

#[test]
fn of_a_group_that_makes_no_sense_nothing_is_launched() {
    let agent = "@";
    let good = || task("a", agent, "cpus:1;mem:512");
    let command = ExecutorInfo { command: executor("x").command, ..default_executor() };
    let own = TaskInfo { executor: Some(executor("x")), ..task("b", agent, "cpus:1") };
    let idle = TaskInfo { command: None, ..task("b", agent, "cpus:1") };
    let cases = [
        (default_executor(), vec![], None),
        (default_executor(), vec![good(), good()], Some("Task has duplicate id \"a\"")),
        (
            default_executor(),
            vec![good(), own],
            Some("Task \"b\" of the group is invalid: it has an executor"),
        ),
        (default_executor(), vec![good(), idle], Some("it has no command")),
        (executor("e"), vec![good()], Some("it has a command")),
        (
            default_executor(),
            vec![good(), task("b", agent, "cpus:3.5")],
            Some("Task group uses more"),
        ),
        (
            default_executor(),
            vec![good(), task("b", agent, "cpus:2.5")],
            Some("Task and its executor use"),
        ),
        (command, vec![good()], Some("executor.command is set")),
    ];
    for (executor, mut tasks, problem) in cases {
        let (mut world, agent, _, offer) = offered();
        for task in &mut tasks {
            task.agent_id = agent.as_str().into();
        }
        let count = tasks.len();
        let outputs = world.call(10, launch_group(&offer, executor, tasks));
        let told = statuses(&outputs, 10);
        assert_eq!(told.len(), count, "{told:?}");
        for status in told {
            let (state, reason) = (TaskState::TaskError, Reason::TaskGroupInvalid);
            assert_eq!((status.state(), status.reason()), (state, reason));
            assert!(status.message().contains(problem.unwrap()), "{}", status.message());
        }
        assert!(world.master.tasks().is_empty() && world.master.executors().is_empty());
    }
}
