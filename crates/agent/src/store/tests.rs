use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use proptest::prelude::*;
use swarm_types::TaskState;
use swarm_types::spec::task::TaskRuntime;

use super::*;
use crate::task::samples::task;

fn pursue(task: &Task) -> Change {
    Change::Order(task.id, Ordered::Pursue(Box::new(task.clone())))
}

fn remove(task: &Task) -> Change {
    Change::Order(task.id, Ordered::Remove { grace: Duration::from_millis(1500) })
}

fn status(state: TaskState) -> TaskStatus {
    TaskStatus { state, err: "why".to_owned(), ..TaskStatus::default() }
}

/// What a store in `dir` holds after `changes`, once it was closed.
async fn after(dir: &Path, changes: Vec<Change>) -> Kept {
    let Opened { store, closed, .. } = Store::open(dir).await.unwrap();
    store.keep(changes).await.unwrap();
    drop(store);
    assert!(closed.await.is_err(), "only ever dropped");
    Table::open(dir).unwrap().1
}

#[tokio::test]
async fn orders_statuses_and_managers_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(40_000);
    let (web, gone) = (
        task(1, |task| {
            if let TaskRuntime::Container(container) = &mut task.runtime {
                container.env = vec![long];
            }
        }),
        task(2, |_| {}),
    );
    let managers = vec!["a:2377".to_owned(), "b:2377".to_owned()];
    let obeyed = Obeyed { epoch: 3, index: 70 };

    let kept = after(
        dir.path(),
        vec![
            pursue(&web),
            pursue(&gone),
            Change::Status(web.id, status(TaskState::Running)),
            Change::Status(gone.id, status(TaskState::Failed)),
            Change::Obeyed(obeyed),
            Change::Managers(managers.clone()),
            remove(&gone),
        ],
    )
    .await;

    assert_eq!(kept.orders[&web.id], Ordered::Pursue(Box::new(web.clone())));
    assert_eq!(kept.orders[&gone.id], Ordered::Remove { grace: Duration::from_millis(1500) });
    assert_eq!(kept.statuses[&web.id], status(TaskState::Running));
    assert_eq!((kept.obeyed, kept.managers), (obeyed, managers));
}

#[tokio::test]
async fn a_task_ordered_anew_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (web, gone) = (task(1, |_| {}), task(2, |_| {}));
    after(dir.path(), vec![remove(&web), remove(&gone)]).await;
    after(dir.path(), vec![pursue(&web)]).await;

    let kept = after(dir.path(), vec![Change::Forget(web.id), Change::Forget(gone.id)]).await;

    assert_eq!(kept.orders.keys().collect::<Vec<_>>(), [&web.id]);
}

#[tokio::test]
async fn nothing_readable_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let web = task(1, |task| {
        if let TaskRuntime::Container(container) = &mut task.runtime {
            container.env = vec!["PASSWORD=correct-horse".to_owned()];
        }
    });

    after(dir.path(), vec![pursue(&web)]).await;

    let bytes = std::fs::read(dir.path().join("tasks/db")).unwrap();
    assert!(!bytes.windows(13).any(|window| window == b"correct-horse"));
}

#[tokio::test]
async fn another_key_or_none_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    after(dir.path(), vec![pursue(&task(1, |_| {}))]).await;
    let key = dir.path().join("worker.key");
    std::fs::remove_file(&key).unwrap();

    let missing = Store::open(dir.path()).await.err().unwrap();
    swarm_crypto::KeyFile::load_or_create(&key).unwrap();
    let other = Store::open(dir.path()).await.err().unwrap();

    assert!(matches!(missing, StoreError::Key(KeyFileError::Missing { .. })), "{missing}");
    assert!(matches!(other, StoreError::Damaged { .. }), "{other}");
    assert!(other.to_string().contains(&*dir.path().to_string_lossy()));
}

#[tokio::test]
async fn what_waits_for_durability_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let Opened { store, .. } = Store::open(dir.path()).await.unwrap();
    let web = task(1, |_| {});

    store.keep(vec![pursue(&web)]).await.unwrap();

    // The files as they are now, without whatever closing would still write.
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("tasks")).unwrap();
    for file in ["worker.key", "mark", "tasks/db", "tasks/conf"] {
        std::fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let kept = Table::open(copy.path()).unwrap().1;
    assert_eq!(kept.orders.keys().collect::<Vec<_>>(), [&web.id]);
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn a_tree_that_lost_its_end_is_refused_and_a_torn_mark_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = |file: &str| dir.path().join(file);
    let orders = [task(1, |_| {}), task(2, |_| {})];
    after(dir.path(), vec![pursue(&orders[0])]).await;
    let earlier = tempfile::tempdir().unwrap();
    copy_files(&at("tasks"), earlier.path());
    after(dir.path(), vec![pursue(&orders[1])]).await;
    let mark = std::fs::read(at("mark")).unwrap();
    let refusal = async || Store::open(dir.path()).await.err().map(|why| why.to_string());

    std::fs::remove_dir_all(at("tasks")).unwrap();
    std::fs::create_dir(at("tasks")).unwrap();
    copy_files(earlier.path(), &at("tasks"));
    let lost = refusal().await.unwrap();
    std::fs::remove_dir_all(at("tasks")).unwrap();
    let gone = refusal().await.unwrap();
    std::fs::remove_dir_all(at("tasks")).unwrap();
    std::fs::remove_file(at("mark")).unwrap();
    after(dir.path(), vec![pursue(&orders[0])]).await;
    let torn = std::fs::read(at("mark")).unwrap();
    for slot in [0, 512] {
        let mut harmed = torn.clone();
        harmed[slot..slot + 40].fill(7);
        std::fs::write(at("mark"), harmed).unwrap();
        assert_eq!(after(dir.path(), Vec::new()).await.orders.len(), 1);
        std::fs::write(at("mark"), &torn).unwrap();
    }
    std::fs::write(at("mark"), mark).unwrap();
    let anothers = refusal().await.unwrap();

    assert!(lost.contains("last records are missing"), "{lost}");
    assert!(gone.contains("mark") && anothers.contains("mark"), "{gone} {anothers}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A byte that changed on the disk is refused by name, or everything is there that was
    /// acknowledged, although sled takes damage at its end for a write that was cut.
    #[test]
    fn damage_is_refused_or_harmless(at in 0usize..4096, bit in 0u8..8) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let web = task(1, |_| {});
            after(dir.path(), vec![pursue(&web), Change::Obeyed(Obeyed { epoch: 1, index: 9 })]).await;
            let file = OpenOptions::new().read(true).write(true).open(dir.path().join("tasks/db")).unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, at as u64).unwrap();
            file.write_all_at(&[byte[0] ^ (1 << bit)], at as u64).unwrap();
            drop(file);

            match Store::open(dir.path()).await {
                Err(refusal) => {
                    let text = refusal.to_string();
                    assert!(text.contains(&*dir.path().to_string_lossy()), "{text}");
                }
                Ok(opened) => {
                    let Kept { orders, obeyed, .. } = &opened.kept;
                    assert_eq!(orders.get(&web.id), Some(&Ordered::Pursue(Box::new(web.clone()))));
                    assert_eq!(*obeyed, Obeyed { epoch: 1, index: 9 });
                    drop(opened.store);
                    let _ = opened.closed.await;
                }
            }
        });
    }
}
