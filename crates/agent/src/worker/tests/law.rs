//! The law behind the examples.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A turn of the law below: what happens, and to which of four tasks.
#[derive(Clone, Debug)]
enum Turn {
    Everything(BTreeSet<usize>),
    Want(usize, TaskState),
    Drop(usize),
    Exit(usize),
    Restart,
    Away(bool),
}

fn turns() -> impl Strategy<Value = Turn> {
    let states = vec![TaskState::Ready, TaskState::Running, TaskState::Shutdown, TaskState::Remove];
    prop_oneof![
        prop::collection::btree_set(0usize..4, 0..4).prop_map(Turn::Everything),
        (0usize..4, select(states)).prop_map(|(task, state)| Turn::Want(task, state)),
        (0usize..4).prop_map(Turn::Drop),
        (0usize..4).prop_map(Turn::Exit),
        Just(Turn::Restart),
        any::<bool>().prop_map(Turn::Away),
    ]
}

/// Does `turn`; `desired` is what the managers want of the tasks of this node.
async fn take(turn: Turn, bench: &mut Bench, desired: &mut BTreeMap<usize, TaskState>) {
    match turn {
        Turn::Everything(kept) => {
            *desired = kept.iter().map(|task| (*task, TaskState::Running)).collect();
            assign_all(bench, desired).await;
        }
        Turn::Want(slot, state) => {
            let state = desired.get(&slot).map_or(state, |before| state.max(*before));
            desired.insert(slot, state);
            bench.update(&wanted(&plain(slot as u64), state)).await;
        }
        Turn::Drop(slot) => {
            desired.remove(&slot);
            bench.obey(Extent::Changes, &[], &[plain(slot as u64).id]).await;
        }
        Turn::Exit(slot) => bench.fake.change(|world| {
            if let Some(container) = world.containers.get_mut(&plain(slot as u64).id)
                && *container == Container::Running
            {
                *container = Container::Ended(1);
            }
        }),
        Turn::Restart => {
            bench.restart().await;
        }
        Turn::Away(away) => bench.fake.change(|world| world.away = away),
    }
    tokio::task::yield_now().await;
}

async fn assign_all(bench: &mut Bench, desired: &BTreeMap<usize, TaskState>) {
    let tasks: Vec<Task> =
        desired.iter().map(|(slot, state)| wanted(&plain(*slot as u64), *state)).collect();
    bench.assign(&tasks.iter().collect::<Vec<_>>()).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens on the way, in the end the containers here are those of the tasks named
    /// last, and none runs that should not.
    #[test]
    fn the_last_complete_assignment_wins(
        turns in prop::collection::vec(turns(), 0..12),
        last in prop::collection::btree_set(0usize..4, 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut bench, mut desired) = (Bench::new(World::default()), BTreeMap::new());
            for turn in turns {
                take(turn, &mut bench, &mut desired).await;
            }
            take(Turn::Away(false), &mut bench, &mut desired).await;

            let ended: Vec<Task> = last
                .iter()
                .map(|slot| wanted(&plain(*slot as u64), TaskState::Shutdown))
                .collect();
            bench.assign(&ended.iter().collect::<Vec<_>>()).await;
            bench.sweep().await;

            let ids: BTreeSet<TaskId> = ended.iter().map(|task| task.id).collect();
            bench.fake.until(|world| world.containers.iter().all(|(id, container)| {
                ids.contains(id) && *container != Container::Running
            })).await;
        });
    }
}
