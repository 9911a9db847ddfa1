//! System calls, allowed and refused inside a container.

use swarm_runtime::{ContainerConfig, Error, Seccomp};

use crate::world::{World, shell};

async fn ran(world: &World, config: ContainerConfig) -> String {
    world.runtime.create(&config).await.unwrap();
    world.runtime.start(&config.id).await.unwrap();
    world.output_with(&config.id, "done").await
}

fn admin(id: &str, seccomp: Seccomp, script: &str) -> ContainerConfig {
    ContainerConfig { seccomp, ..shell(id, script) }
}

#[tokio::test]
async fn usual_programs_work_and_dangerous_calls_do_not() {
    let world = World::with_busybox().await;
    let script = "ls / > /dev/null && ps > /dev/null && df > /dev/null && echo usual; \
        mkdir /m; mount -t tmpfs t /m 2>/dev/null || echo no-mount; \
        unshare -r true 2>/dev/null || echo no-userns; unshare -U true 2>/dev/null || echo no-user; \
        chroot / true && echo chroot; (echo x | cat) | grep -q x && echo pipes; echo done";

    let confined = ran(&world, admin("confined", Seccomp::Default, script)).await;
    let open = ran(&world, admin("open", Seccomp::Unconfined, script)).await;

    assert_eq!(confined, "usual\nno-mount\nno-userns\nno-user\nchroot\npipes\ndone\n");
    // The filter alone keeps from making user namespaces.
    assert_eq!(open, "usual\nno-mount\nchroot\npipes\ndone\n");
}

#[tokio::test]
async fn a_capability_opens_its_calls() {
    let world = World::with_busybox().await;
    let script =
        "mkdir /m; mount -t tmpfs t /m && echo mounted; unshare -m true && echo own; echo done";
    let config = ContainerConfig {
        capability_add: vec!["CAP_SYS_ADMIN".into()],
        ..admin("admin", Seccomp::Default, script)
    };

    assert_eq!(ran(&world, config).await, "mounted\nown\ndone\n");
}

#[tokio::test]
async fn a_custom_profile_is_obeyed_and_nonsense_refused() {
    let world = World::with_busybox().await;
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
        [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}"#;
    let custom = Seccomp::Custom(profile.into());

    let output =
        ran(&world, admin("custom", custom, "mkdir /x 2>&1; touch /y && echo made; echo done"))
            .await;
    let nonsense = admin("nonsense", Seccomp::Custom(b"[]".into()), "true");
    let refused = world.runtime.create(&nonsense).await.unwrap_err();

    assert!(output.contains("No space left") && output.contains("made\n"), "{output}");
    assert!(matches!(refused, Error::BadConfig { field: "seccomp", .. }), "{refused:?}");
}
