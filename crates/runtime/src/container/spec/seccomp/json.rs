//! Reads a profile in Docker's JSON form.

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Arch, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompFilterFlag,
    LinuxSeccompOperator,
};
use serde::{Deserialize, Deserializer};

use super::{Profile, Rule, When, processor};

/// Largest profile read; Docker's own has 13 KB.
const MOST: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "nullable")]
    architectures: Vec<Arch>,
    #[serde(default, deserialize_with = "nullable")]
    arch_map: Vec<Family>,
    #[serde(default, deserialize_with = "nullable")]
    flags: Vec<LinuxSeccompFilterFlag>,
    #[serde(default, deserialize_with = "nullable")]
    listener_path: String,
    #[serde(default, deserialize_with = "nullable")]
    syscalls: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    architecture: Arch,
    #[serde(default, deserialize_with = "nullable")]
    sub_architectures: Vec<Arch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    names: Vec<String>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "nullable")]
    args: Vec<Argument>,
    #[serde(default, deserialize_with = "nullable")]
    includes: Condition,
    #[serde(default, deserialize_with = "nullable")]
    excludes: Condition,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: usize,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: LinuxSeccompOperator,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(deserialize_with = "nullable")]
    caps: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    arches: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    min_kernel: String,
}

/// Says why in words for who wrote the profile.
pub(super) fn read(text: &[u8]) -> Result<Profile, String> {
    if text.len() > MOST {
        return Err("the profile has more than 1 MiB".into());
    }
    let document: Document =
        serde_json::from_slice(text).map_err(|why| format!("not a seccomp profile: {why}"))?;
    if !document.listener_path.is_empty() {
        return Err("listenerPath: no agent is asked about system calls here".into());
    }
    if !document.architectures.is_empty() && !document.arch_map.is_empty() {
        return Err("architectures and archMap exclude each other".into());
    }
    let rules = document.syscalls.into_iter().map(rule).collect::<Result<_, _>>()?;
    let families = document.arch_map.into_iter().filter(|it| native(it.architecture));
    let mapped =
        families.flat_map(|it| std::iter::once(it.architecture).chain(it.sub_architectures));
    Ok(Profile {
        default: document.default_action,
        default_errno: document.default_errno_ret,
        architectures: document.architectures.into_iter().chain(mapped).collect(),
        flags: document.flags,
        rules,
    })
}

fn rule(entry: Entry) -> Result<Rule, String> {
    let names = match (entry.name.is_empty(), entry.names.is_empty()) {
        (true, false) => entry.names,
        (false, true) => vec![entry.name],
        (true, true) => return Err("a rule names no system call".into()),
        (false, false) => return Err(format!("{}: name and names exclude each other", entry.name)),
    };
    let arg = |arg: &Argument| {
        if arg.index > 5 {
            return Err(format!("{}: a system call has no argument {}", names[0], arg.index));
        }
        argument(arg.index, arg.op, arg.value, arg.value_two).map_err(|why| why.to_string())
    };
    Ok(Rule {
        args: entry.args.iter().map(arg).collect::<Result<_, _>>()?,
        names,
        action: entry.action,
        errno: entry.errno_ret,
        only: when(entry.includes)?,
        never: when(entry.excludes)?,
    })
}

pub(super) fn argument(
    index: usize,
    op: LinuxSeccompOperator,
    value: u64,
    second: u64,
) -> Result<LinuxSeccompArg, OciSpecError> {
    let argument = LinuxSeccompArgBuilder::default().index(index).op(op);
    argument.value(value).value_two(second).build()
}

fn when(condition: Condition) -> Result<When, String> {
    let kernel = match condition.min_kernel.as_str() {
        "" => None,
        text => Some(version(text).ok_or_else(|| format!("minKernel: not a version: {text:?}"))?),
    };
    Ok(When { capabilities: condition.caps, processors: condition.arches, kernel })
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether an entry of an `archMap` is about this processor.
fn native(arch: Arch) -> bool {
    let here = match processor() {
        "amd64" => Arch::ScmpArchX86_64,
        "arm64" => Arch::ScmpArchAarch64,
        "386" => Arch::ScmpArchX86,
        "arm" => Arch::ScmpArchArm,
        "s390x" => Arch::ScmpArchS390x,
        "ppc64le" => Arch::ScmpArchPpc64le,
        "riscv64" => Arch::ScmpArchRiscv64,
        _ => return false,
    };
    arch == here
}

/// Go writes `null` for what is empty.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    source: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(source)?.unwrap_or_default())
}
