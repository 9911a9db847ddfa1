//! A daemon that dies after any step leaves something the next one makes whole, or takes away.

use swarm_types::spec::service::Protocol;

use super::world::{gateway, host, port};
use crate::apply::{Scope, apply};
use crate::diff::{self, HostWish, Op, TaskWish};
use crate::lease::Leases;
use crate::observe::{self, Kernel};
use crate::{Options, names, netns, table};

/// Makes what all tasks share and one task, or takes the task away; stops after `steps`.
///
/// Returns whether all steps were done.
fn run_until(options: &Options, steps: usize, goes: bool) -> bool {
    let options = options.clone();
    let work = move || {
        let state = options.state_dir.join("net");
        let file = options.run_dir.join("netns").join(names::netns("task"));
        netns::prepare(file.parent().unwrap()).unwrap();
        let mut leases = Leases::open(&state, options.subnet).unwrap();
        let wish = gateway(&[port(Protocol::Tcp, 80, 8080)]);
        let lease = leases.lease("task", &wish, |_, _| true).unwrap();
        let address = ipnetwork::Ipv4Network::new(leases.gateway(), 16).unwrap();
        let mut left = steps;
        let mut kernel = Kernel::open().unwrap();
        let mut go = |kernel: &mut Kernel, id: &str, ops: Vec<Op>| {
            let some = &ops[..left.min(ops.len())];
            left -= some.len();
            apply(kernel, Scope { bridge: "swarm0", id, netns: &file }, some).unwrap();
            some.len() == ops.len()
        };
        let settings = diff::settings("swarm0").into_iter().map(|(name, _)| name);
        let seen = observe::host(&mut kernel, "swarm0", settings).unwrap();
        let held = leases.all();
        let host =
            HostWish { bridge: "swarm0", subnet: options.subnet, gateway: address, leases: held };
        if !go(&mut kernel, "", diff::host(&host, &seen)) {
            return false;
        }
        let keys = || table::elements(&lease).into_iter().map(|(key, _)| key);
        if goes {
            let seen = observe::outside(&mut kernel, "task", "swarm0", keys()).unwrap();
            return go(&mut kernel, "task", diff::gone("task", Some(&lease), &seen));
        }
        let seen = observe::task(&mut kernel, "task", &file, "swarm0", keys()).unwrap();
        let task = TaskWish { id: "task", lease: &lease, gateway: address, dropped: &[] };
        go(&mut kernel, "task", diff::task(&task, &seen))
    };
    std::thread::spawn(work).join().unwrap()
}

#[test]
fn whatever_was_made_the_next_daemon_finishes() {
    for steps in 0..40 {
        let (send, receive) = std::sync::mpsc::sync_channel(1);
        host(move |world| async move {
            let done = run_until(&world.options(), steps, false);

            let net = world.net().await;
            let wish = gateway(&[port(Protocol::Tcp, 80, 8080)]);
            let attached = net.attach("task", &wish).await.unwrap();

            assert_eq!(attached.ports, wish.ports);
            assert!(run_until(&world.options(), 0, false), "something is left after {steps}");
            net.detach("task").await.unwrap();
            assert_eq!(net.attached().await.unwrap(), [""; 0], "after {steps} steps");
            send.send(done).unwrap();
        });
        if receive.recv().unwrap() {
            assert!(steps > 10, "only {steps} steps");
            return;
        }
    }
    panic!("the steps never end");
}

#[test]
fn whatever_was_taken_away_the_next_daemon_takes_the_rest() {
    for steps in 0..5 {
        host(move |world| async move {
            run_until(&world.options(), 100, false);
            run_until(&world.options(), steps, true);

            let net = world.net().await;
            assert_eq!(net.attached().await.unwrap(), ["task"]);
            net.detach("task").await.unwrap();

            assert_eq!(net.attached().await.unwrap(), [""; 0], "after {steps} steps");
            let netns = world.options().run_dir.join("netns");
            assert_eq!(netns::list(&netns).unwrap(), [""; 0]);
        });
    }
}

#[test]
fn what_has_no_lease_any_more_is_found_and_taken_away() {
    host(|world| async move {
        run_until(&world.options(), 100, false);
        std::fs::remove_file(world.options().state_dir.join("net/leases/task")).unwrap();

        let net = world.net().await;

        assert_eq!(net.attached().await.unwrap(), ["task"]);
        net.detach("task").await.unwrap();
        assert_eq!(net.attached().await.unwrap(), [""; 0]);
    });
}
