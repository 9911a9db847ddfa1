use std::collections::HashSet;

use super::*;

fn held(names: &[&'static str]) -> Names {
    names.iter().copied().collect()
}

fn host() -> Host {
    Host { kernel: (6, 1), ..Host::default() }
}

/// The rules for a call, as JSON.
fn rules(wanted: &Seccomp, held: &Names, name: &str) -> Vec<serde_json::Value> {
    let found = filter(wanted, held, &host()).unwrap().unwrap();
    let found = serde_json::to_value(found).unwrap();
    let about = |rule: &&serde_json::Value| {
        rule["names"].as_array().unwrap().iter().any(|found| found == name)
    };
    found["syscalls"].as_array().unwrap().iter().filter(about).cloned().collect()
}

fn refused(text: &str) -> String {
    filter(&Seccomp::Custom(text.into()), &Names::new(), &host()).unwrap_err().to_string()
}

#[test]
fn capabilities_open_their_calls() {
    let (none, admin) = (held(&[]), held(&["SYS_ADMIN"]));
    for name in ["mount", "unshare", "setns", "bpf", "keyctl", "add_key", "io_uring_setup"] {
        assert_eq!(rules(&Seccomp::Default, &none, name).len(), 0, "{name}");
    }
    for name in ["mount", "unshare", "setns", "bpf", "clone3"] {
        let found = rules(&Seccomp::Default, &admin, name);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0]["action"], "SCMP_ACT_ALLOW");
    }
    assert_eq!(rules(&Seccomp::Default, &admin, "keyctl").len(), 0);
    assert_eq!(rules(&Seccomp::Default, &held(&["SYS_CHROOT"]), "chroot").len(), 1);
}

#[test]
fn namespaces_are_made_by_who_may_and_clone3_is_not_there_for_others() {
    let clone = rules(&Seccomp::Default, &held(&[]), "clone");
    assert_eq!(clone[0]["args"][0]["value"], 0x7e02_0000);
    assert_eq!(clone[0]["args"][0]["op"], "SCMP_CMP_MASKED_EQ");
    let clone3 = rules(&Seccomp::Default, &held(&[]), "clone3");
    assert_eq!(
        (&clone3[0]["action"], &clone3[0]["errnoRet"]),
        (&"SCMP_ACT_ERRNO".into(), &38.into())
    );
    let free = rules(&Seccomp::Default, &held(&["SYS_ADMIN"]), "clone");
    assert!(free[0]["args"].is_null());
}

#[test]
fn sockets_that_reach_past_the_container_are_refused() {
    let allowed = |family: u64| {
        rules(&Seccomp::Default, &held(&[]), "socket").iter().any(|rule| {
            let value = rule["args"][0]["value"].as_u64().unwrap();
            match rule["args"][0]["op"].as_str().unwrap() {
                "SCMP_CMP_LT" => family < value,
                "SCMP_CMP_GT" => family > value,
                _ => family == value,
            }
        })
    };
    for family in [1, 2, 10, 16, 17, 39, 44] {
        assert!(allowed(family), "{family}");
    }
    assert!(!allowed(38) && !allowed(40));
}

#[test]
fn no_call_is_in_two_rules_that_always_hold() {
    let profile = table::profile().unwrap();
    let plain = profile.rules.iter().filter(|rule| {
        let free = |when: &When| when.capabilities.is_empty() && when.processors.is_empty();
        rule.args.is_empty() && free(&rule.only) && free(&rule.never)
    });
    let names: Vec<&String> = plain.flat_map(|rule| &rule.names).collect();
    let distinct: HashSet<&&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    assert!(names.len() > 350);
}

#[test]
fn a_custom_profile_is_read_in_docker_s_form() {
    let text = r#"{
        "defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": null,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null}
        ],
        "syscalls": [
            {"names": ["chmod", "fchmod"], "action": "SCMP_ACT_ERRNO", "args": null},
            {"name": "mkdir", "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
             "args": [{"index": 1, "value": 7, "op": "SCMP_CMP_EQ"}], "includes": {},
             "excludes": {"caps": ["CAP_SYS_ADMIN"], "minKernel": "99.0"}},
            {"names": ["rmdir"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "6.1"}},
            {"names": ["link"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "6.2"}},
            {"names": ["symlink"], "action": "SCMP_ACT_ERRNO", "includes": {"arches": ["vax"]}}
        ]
    }"#;
    let custom = Seccomp::Custom(text.into());
    let found = |held: &Names, name: &str| rules(&custom, held, name).len();
    assert_eq!(found(&held(&[]), "fchmod"), 1);
    assert_eq!(found(&held(&[]), "mkdir"), 1);
    assert_eq!(found(&held(&["SYS_ADMIN"]), "mkdir"), 0);
    assert_eq!(found(&held(&[]), "rmdir"), 1);
    assert_eq!(found(&held(&[]), "link"), 0);
    assert_eq!(found(&held(&[]), "symlink"), 0);
}

#[test]
fn a_profile_that_is_none_says_why() {
    let rule = |rule: &str| {
        refused(&format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{rule}]}}"#))
    };
    assert!(refused("").contains("not a seccomp profile"));
    assert!(refused("{}").contains("defaultAction"));
    assert!(refused(r#"{"defaultAction": "ALLOW"}"#).contains("ALLOW"));
    assert!(rule(r#"{"action": "SCMP_ACT_ALLOW"}"#).contains("no system call"));
    assert!(rule(r#"{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}"#).contains("names"));
    let op = r#"{"name": "a", "action": "SCMP_ACT_ALLOW", "args": [{"index": 9, "value": 1, "op": "SCMP_CMP_EQ"}]}"#;
    assert!(rule(op).contains("argument 9"));
    let kernel = r#"{"name": "a", "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new"}}"#;
    assert!(rule(kernel).contains("minKernel"));
    assert!(
        refused(r#"{"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/x"}"#).contains("agent")
    );
}
