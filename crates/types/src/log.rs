//! Log drivers: what a task's output goes to.

use std::collections::BTreeMap;

use crate::spec::Driver;
use crate::text::parse_bytes;

/// Where the output of a task goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogDriver {
    /// Into files of the node; Docker's `json-file` and `local`.
    Files(LogFiles),
    /// Nowhere; Docker's `none`.
    None,
}

/// How much output is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogFiles {
    /// Bytes after which a new file is begun; 0 means never.
    pub max_bytes: u64,
    /// Files kept; 1 and up.
    pub max_files: u32,
}

impl LogFiles {
    /// What Docker's `json-file` keeps: everything, in one file.
    pub const UNLIMITED: Self = Self { max_bytes: 0, max_files: 1 };
    /// What Docker's `local` keeps: five files of 20 MB.
    pub const LOCAL: Self = Self { max_bytes: 20_000_000, max_files: 5 };
}

const MAX_SIZE: &str = "max-size";
const MAX_FILE: &str = "max-file";

/// What a driver means, with its options; `None` for one that is not served or is malformed.
/// An empty name means `json-file`.
#[must_use]
pub fn driver(driver: &Driver) -> Option<LogDriver> {
    if driver.name == "none" {
        return Some(LogDriver::None);
    }
    files(default_files(&driver.name)?, &driver.options).ok().map(LogDriver::Files)
}

/// The option that is malformed, and why; `None` when all are good.
#[must_use]
pub fn malformed(driver: &Driver) -> Option<String> {
    let default = default_files(&driver.name).unwrap_or(LogFiles::UNLIMITED);
    files(default, &driver.options).err()
}

/// Whether it has options besides those that are served.
#[must_use]
pub fn has_other_options(driver: &Driver) -> bool {
    driver.options.keys().any(|key| !matches!(key.as_str(), MAX_SIZE | MAX_FILE))
}

fn default_files(driver: &str) -> Option<LogFiles> {
    match driver {
        "" | "json-file" => Some(LogFiles::UNLIMITED),
        "local" => Some(LogFiles::LOCAL),
        _ => None,
    }
}

fn files(default: LogFiles, options: &BTreeMap<String, String>) -> Result<LogFiles, String> {
    let mut files = default;
    if let Some(text) = options.get(MAX_SIZE) {
        let bytes = parse_bytes(text).map_err(|why| format!("{MAX_SIZE}={text}: {why}"))?;
        files.max_bytes = u64::try_from(bytes)
            .ok()
            .filter(|bytes| *bytes > 0)
            .ok_or_else(|| format!("{MAX_SIZE}={text}: must be positive, such as 10m"))?;
    }
    if let Some(text) = options.get(MAX_FILE) {
        files.max_files = text
            .parse()
            .ok()
            .filter(|files| *files > 0)
            .ok_or_else(|| format!("{MAX_FILE}={text}: must be a positive number"))?;
    }
    if files.max_files > 1 && files.max_bytes == 0 {
        return Err(format!("{MAX_FILE} needs {MAX_SIZE}"));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, options: &[(&str, &str)]) -> Driver {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Driver { name: name.to_owned(), options: options.iter().map(pair).collect() }
    }

    #[test]
    fn drivers_mean_what_they_mean_in_docker() {
        let sized = of("json-file", &[("max-size", "10m"), ("max-file", "3")]);
        let files = LogFiles { max_bytes: 10 << 20, max_files: 3 };

        assert_eq!(driver(&of("", &[])), Some(LogDriver::Files(LogFiles::UNLIMITED)));
        assert_eq!(driver(&of("local", &[])), Some(LogDriver::Files(LogFiles::LOCAL)));
        assert_eq!(driver(&sized), Some(LogDriver::Files(files)));
        assert_eq!(driver(&of("none", &[])), Some(LogDriver::None));
        assert_eq!(driver(&of("syslog", &[])), None);
    }

    #[test]
    fn malformed_options_are_named() {
        for (key, value) in [
            ("max-size", "much"),
            ("max-size", "0"),
            ("max-size", "-1"),
            ("max-file", "0"),
            ("max-file", "two"),
            ("max-file", "2"),
        ] {
            let found = malformed(&of("json-file", &[(key, value)]));
            assert!(found.is_some_and(|text| text.starts_with(key)), "{key}={value}");
        }
        assert_eq!(malformed(&of("local", &[("max-file", "3")])), None);
    }

    #[test]
    fn options_that_do_nothing_are_seen() {
        assert!(has_other_options(&of("json-file", &[("compress", "true")])));
        assert!(!has_other_options(&of("json-file", &[("max-size", "1m")])));
    }
}
