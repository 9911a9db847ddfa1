//! Rolling updates and roll-backs (engine.md 7.2: 41-47).

use std::sync::Arc;
use std::time::Duration;

use swarm_planner::{Reason, Scope};
use swarm_types::object::service::{UpdateState, UpdateStatus};
use swarm_types::spec::node::NodeSpec;
use swarm_types::spec::service::{ServiceSpec, UpdateConfig, UpdateOrder};
use swarm_types::spec::task::{RestartCondition, TaskRuntime};
use swarm_types::{Change, ServiceId, Task, TaskState, defaults};

use crate::world::World;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A service of that many replicas, all of which run.
pub(crate) fn running(replicas: u64, config: UpdateConfig) -> (World, ServiceId) {
    let mut world = World::new(3);
    let web = world.service_of(replicas, |spec| {
        spec.task.restart.delay = Duration::ZERO;
        spec.rollback = Some(config.clone());
        spec.update = Some(config);
    });
    world.run();
    (world, web)
}

pub(crate) fn image(spec: &mut ServiceSpec, image: &str) {
    let TaskRuntime::Container(container) = &mut spec.task.runtime else { return };
    image.clone_into(&mut container.image);
}

pub(crate) fn runs(task: &Task, image: &str) -> bool {
    task.spec().container().is_some_and(|it| it.image == image)
}

impl World {
    /// Runs until the service's update is over or stopped, and says what became of it.
    pub(crate) fn finish(&mut self, service: ServiceId) -> Option<UpdateState> {
        for _ in 0..200 {
            self.run();
            let state = self.update_state(service);
            if !matches!(state, Some(UpdateState::Updating | UpdateState::RollbackStarted)) {
                return state;
            }
            let wake = self.plan(Scope::Service(service)).wake_at;
            self.now = wake.expect("an update under way waits for something");
        }
        panic!("the update does not end");
    }

    pub(crate) fn update_state(&self, service: ServiceId) -> Option<UpdateState> {
        let view = self.view();
        let service = view.service(&service).expect("the service is there");
        service.update_status.as_ref().map(|status| status.state)
    }

    pub(crate) fn roll(&mut self, web: ServiceId, to: &str) {
        self.update(web, |spec| image(spec, to));
    }

    /// Tasks of an image that are wanted.
    pub(crate) fn of(&self, web: ServiceId, image: &str) -> Vec<Arc<Task>> {
        self.wanted(web).into_iter().filter(|task| runs(task, image)).collect()
    }

    pub(crate) fn status(&self, web: ServiceId) -> UpdateStatus {
        let view = self.view();
        view.service(&web).expect("it is there").update_status.clone().expect("an update began")
    }

    /// Tasks of an image end as soon as they run, until the update is over or stopped.
    pub(crate) fn finish_failing(
        &mut self,
        web: ServiceId,
        image: &str,
        fails: usize,
    ) -> Option<UpdateState> {
        let mut left = fails;
        for _ in 0..200 {
            self.settle();
            let doomed = |it: &Arc<Task>| runs(it, image) && it.status.state == TaskState::Running;
            if left > 0
                && let Some(task) = self.wanted(web).into_iter().find(doomed)
            {
                left -= 1;
                self.report(task.id, TaskState::Failed);
                continue;
            }
            if self.obey() > 0 {
                continue;
            }
            let state = self.update_state(web);
            if !matches!(state, Some(UpdateState::Updating | UpdateState::RollbackStarted)) {
                return state;
            }
            self.now = self.plan(Scope::Service(web)).wake_at.expect("it waits for something");
        }
        panic!("the update does not end");
    }
}

#[test]
fn every_parallelism_leads_to_the_end_and_is_never_exceeded() {
    for parallelism in 0..=6 {
        let (mut world, web) = running(5, UpdateConfig { parallelism, ..UpdateConfig::default() });
        let limit = if parallelism == 0 { 5 } else { usize::try_from(parallelism).unwrap() };
        world.roll(web, "web:2");

        let mut most = 0;
        for _ in 0..40 {
            world.settle();
            let out = 5 - world
                .wanted(web)
                .iter()
                .filter(|it| it.status.state == TaskState::Running)
                .count();
            assert!(out <= limit, "{out} of {limit} are out");
            most = most.max(out);
            if world.obey() == 0 {
                break;
            }
        }
        assert_eq!(most, limit.min(5));
        assert_eq!(world.status(web).message, "update in progress");
        assert_eq!(world.finish(web), Some(UpdateState::Completed));

        assert_eq!((world.of(web, "web:2").len(), world.slots(web)), (5, vec![1, 2, 3, 4, 5]));
        let status = world.status(web);
        assert_eq!(status.message, "update completed");
        assert!(status.completed_at > status.started_at);
    }
}

#[test]
fn what_changes_nothing_of_the_tasks_updates_nothing() {
    let (mut world, web) = running(3, UpdateConfig::default());
    let before: Vec<_> = world.wanted(web).iter().map(|it| it.id).collect();

    world.update(web, |_| {});
    world.update(web, |spec| {
        spec.annotations.labels.insert("a".to_owned(), "b".to_owned());
        spec.update = None;
        let TaskRuntime::Container(container) = &mut spec.task.runtime else { return };
        container.pull.registry_auth = swarm_types::Sensitive::new(b"secret".to_vec());
    });
    world.run();

    assert_eq!(world.wanted(web).iter().map(|it| it.id).collect::<Vec<_>>(), before);
    assert_eq!(world.update_state(web), None);
}

#[test]
fn a_change_of_placement_keeps_tasks_whose_node_satisfies_it() {
    let (mut world, web) = running(3, UpdateConfig::default());
    let task = world.wanted_in(web, 1);
    let node = task.node.expect("it runs");
    let mut spec = NodeSpec::default();
    spec.annotations.labels.insert("disk".to_owned(), "ssd".to_owned());
    world.change(Change::UpdateNode(node, spec));

    world.update(web, |spec| {
        spec.task.placement.constraints = vec!["node.labels.disk == ssd".to_owned()];
    });
    world.finish(web);

    assert_eq!(world.wanted_in(web, 1).id, task.id);
    assert_eq!(world.count_on(web, node), 3);
}

#[test]
fn the_next_slot_waits_for_the_delay_and_the_end_for_the_monitor() {
    let delay = 3 * SECOND;
    let (mut world, web) = running(2, UpdateConfig { delay, ..UpdateConfig::default() });
    let began = world.now;
    world.roll(web, "web:2");
    world.run();
    assert_eq!(world.of(web, "web:2").len(), 1);

    world.pass(delay - Duration::from_nanos(1));
    assert_eq!(world.settle(), 0);
    world.pass(Duration::from_nanos(1));
    world.run();
    assert_eq!(world.of(web, "web:2").len(), 2);
    assert_eq!(world.finish(web), Some(UpdateState::Completed));

    assert_eq!(world.now, began.after(delay + defaults::UPDATE_MONITOR));
    assert_eq!(world.plan(Scope::Service(web)).wake_at, None);
}

#[test]
fn a_delay_longer_than_the_monitor_is_watched_to_its_end() {
    let delay = 10 * SECOND;
    let (mut world, web) = running(1, UpdateConfig { delay, ..UpdateConfig::default() });
    let began = world.now;
    world.roll(web, "web:2");

    assert_eq!(world.finish(web), Some(UpdateState::Completed));

    assert_eq!(world.now, began.after(delay + SECOND));
}

#[test]
fn the_order_says_whether_the_old_task_stops_before_the_new_one_starts() {
    for order in [UpdateOrder::StopFirst, UpdateOrder::StartFirst] {
        let (mut world, web) = running(1, UpdateConfig { order, ..UpdateConfig::default() });
        let old = world.wanted_in(web, 1).id;
        world.roll(web, "web:2");
        world.settle();

        let new = world.of(web, "web:2").remove(0);
        let (old_wanted, new_desired) = match order {
            UpdateOrder::StopFirst => (TaskState::Shutdown, TaskState::Ready),
            UpdateOrder::StartFirst => (TaskState::Running, TaskState::Running),
        };
        assert_eq!((world.task(old).desired, new.desired), (old_wanted, new_desired));
        if order == UpdateOrder::StartFirst {
            // Healthy is what RUNNING means: until then the old task serves.
            world.report(new.id, TaskState::Starting);
            assert_eq!(world.settle(), 0);
            world.report(new.id, TaskState::Running);
        } else {
            world.report(old, TaskState::Shutdown);
        }
        world.settle();
        assert_eq!(world.task(old).desired, TaskState::Shutdown);
        assert_eq!(world.task(new.id).desired, TaskState::Running);
        assert_eq!(world.finish(web), Some(UpdateState::Completed));
    }
}

#[test]
fn with_start_first_the_old_task_outlives_new_ones_that_fail() {
    let order = UpdateOrder::StartFirst;
    let (mut world, web) = running(2, UpdateConfig { order, ..UpdateConfig::default() });
    world.roll(web, "web:2");
    world.settle();
    let new = world.of(web, "web:2").remove(0);

    world.report(new.id, TaskState::Failed);
    world.run();

    assert_eq!(world.update_state(web), Some(UpdateState::Paused));
    let old = world.of(web, "web");
    assert!(old.iter().all(|task| task.status.state == TaskState::Running));
    assert!(world.status(web).message.ends_with(&new.id.to_string()));
}

#[test]
fn an_old_task_that_does_not_stop_is_given_up_on() {
    let (mut world, web) = running(1, UpdateConfig::default());
    let old = world.wanted_in(web, 1).id;
    world.roll(web, "web:2");
    world.settle();
    let new = world.wanted_in(web, 1).id;
    world.report(new, TaskState::Ready);

    world.pass(59 * SECOND);
    assert_eq!(world.settle(), 0);
    world.pass(SECOND);
    world.settle();

    assert_eq!(world.task(new).desired, TaskState::Running);
    assert!(world.task(old).may_run());
}

#[test]
fn a_new_update_cancels_one_that_is_under_way() {
    for order in [UpdateOrder::StopFirst, UpdateOrder::StartFirst] {
        let (mut world, web) = running(3, UpdateConfig { order, ..UpdateConfig::default() });
        world.roll(web, "web:2");
        world.settle();
        let stuck = world.of(web, "web:2").remove(0).id;

        world.roll(web, "web:3");
        world.settle();

        assert!(world.task(stuck).desired >= TaskState::Shutdown);
        assert!(world.of(web, "web:2").is_empty());
        assert_eq!(world.of(web, "web:3").len(), 1);
        assert_eq!(world.finish(web), Some(UpdateState::Completed));
        assert_eq!(world.of(web, "web:3").len(), 3);
    }
}

#[test]
fn another_leader_goes_on_where_the_last_one_stopped() {
    let (mut world, web) =
        running(5, UpdateConfig { parallelism: 2, delay: SECOND, ..UpdateConfig::default() });
    world.roll(web, "web:2");

    for _ in 0..200 {
        world.dirty = Default::default();
        world.dirty.mark(Scope::All);
        let plan = world.step();
        let new = world.of(web, "web:2");
        let flying = new.iter().filter(|it| it.status.state < TaskState::Running).count();
        assert!(flying <= 2);
        if plan.groups.is_empty() && world.obey() == 0 {
            let Some(at) = plan.wake_at else { break };
            world.now = at;
        }
    }

    assert_eq!(world.update_state(web), Some(UpdateState::Completed));
    assert_eq!(world.of(web, "web:2").len(), 5);
}

#[test]
fn a_slot_that_ended_for_good_gets_a_task_of_the_new_spec() {
    let mut world = World::new(1);
    let web = world.service_of(2, |spec| spec.task.restart.condition = RestartCondition::None);
    world.run();
    let task = world.wanted_in(web, 1).id;
    world.report(task, TaskState::Complete);
    world.run();
    assert_eq!(world.slots(web), [2]);

    world.roll(web, "web:2");
    world.finish(web);

    assert_eq!(world.of(web, "web:2").len(), 2);
}

#[test]
fn slots_that_come_with_an_update_have_the_new_spec_at_once() {
    let (mut world, web) = running(2, UpdateConfig::default());
    world.update(web, |spec| {
        image(spec, "web:2");
        spec.mode = swarm_types::spec::service::ServiceMode::Replicated { replicas: 5 };
    });
    world.settle();

    let new: Vec<u64> = world.of(web, "web:2").iter().map(|it| it.slot).collect();
    assert!(new.ends_with(&[3, 4, 5]), "{new:?}");
    assert_eq!(world.finish(web), Some(UpdateState::Completed));
}

#[test]
fn an_update_waits_until_what_goes_is_given_up_whole() {
    let mut world = World::new(1);
    let web = world.service_of(3, |spec| spec.update = Some(UpdateConfig::default()));
    world.run();
    world.roll(web, "web:2");
    world.settle();
    assert_eq!(world.of(web, "web:2").len(), 1, "one slot is under way, and will go");
    world.scale(web, 2);

    let plan = world.plan(Scope::Service(web));

    // Refused, it is decided anew which slot goes: then this one and its update may stay.
    let [only] = &plan.groups[..] else { panic!("{:?}", plan.why) };
    assert_eq!(plan.why.first().map(|why| why.reason), Some(Reason::ScaledDown));
    assert_eq!(only.changes.len(), 2, "both tasks of the slot: {:?}", only.changes);
    assert_eq!(world.finish(web), Some(UpdateState::Completed));
    assert_eq!(world.of(web, "web:2").len(), 2);
}
