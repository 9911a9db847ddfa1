//! Settings below `/proc/sys`, those of networks in the namespace of the calling thread.

use std::fs;
use std::io;

/// The value of a setting; `None` if this kernel has no such setting.
pub(crate) fn read(name: &str) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().to_owned())
}

/// Sets it. A setting this kernel does not have is none to set, as IPv6's without IPv6.
pub(crate) fn write(name: &str, value: &str) -> io::Result<()> {
    match fs::write(format!("/proc/sys/{name}"), value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
