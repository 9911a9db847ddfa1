//! What an image says about the process it is for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// Defaults an image brings for its containers; all of them may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    /// Program and first arguments.
    #[serde(deserialize_with = "nullable")]
    pub entrypoint: Vec<String>,
    /// Arguments behind the entry point, or the whole command when there is none.
    #[serde(deserialize_with = "nullable")]
    pub cmd: Vec<String>,
    /// Environment as `K=V`.
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// Working directory; empty means `/`.
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
    /// `USER[:GROUP]`; empty means root.
    #[serde(deserialize_with = "nullable")]
    pub user: String,
    /// Signal that asks the process to stop; empty means SIGTERM.
    #[serde(deserialize_with = "nullable")]
    pub stop_signal: String,
    /// Labels.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// Directories that want a volume, sorted.
    #[serde(deserialize_with = "keys")]
    pub volumes: Vec<String>,
    /// Ports it listens on as `PORT[/PROTOCOL]`, sorted.
    #[serde(rename = "ExposedPorts", deserialize_with = "keys")]
    pub exposed: Vec<String>,
    /// How to tell whether it is well.
    pub healthcheck: Option<Healthcheck>,
}

/// A health check in Docker's form. Zero means Docker's default for that field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `CMD` and words, `CMD-SHELL` and a line, `NONE`, or nothing: inherit.
    #[serde(deserialize_with = "nullable")]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(deserialize_with = "nanoseconds")]
    pub interval: Duration,
    /// For one check.
    #[serde(deserialize_with = "nanoseconds")]
    pub timeout: Duration,
    /// After the start, in which failures do not count.
    #[serde(deserialize_with = "nanoseconds")]
    pub start_period: Duration,
    /// Between two checks within the start period.
    #[serde(deserialize_with = "nanoseconds")]
    pub start_interval: Duration,
    /// Failures in a row that make it unhealthy.
    #[serde(deserialize_with = "count")]
    pub retries: u32,
}

/// Go writes `null` for an empty list or map.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    source: D,
) -> Result<T, D::Error> {
    Option::deserialize(source).map(Option::unwrap_or_default)
}

/// Go has no sets: it writes `{"/data": {}}`.
fn keys<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    let map: BTreeMap<String, IgnoredAny> = nullable(source)?;
    Ok(map.into_keys().collect())
}

fn nanoseconds<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    let count: i64 = nullable(source)?;
    Ok(Duration::from_nanos(u64::try_from(count).unwrap_or(0)))
}

fn count<'de, D: Deserializer<'de>>(source: D) -> Result<u32, D::Error> {
    let count: i64 = nullable(source)?;
    Ok(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_docker_writes_is_read() {
        let text = r#"{
            "Entrypoint": ["/entry"], "Cmd": null, "Env": ["A=1"], "WorkingDir": "/srv",
            "User": "app:app", "StopSignal": "SIGQUIT", "Labels": {"a": "b"},
            "Volumes": {"/data": {}, "/cache": {}}, "ExposedPorts": {"80/tcp": {}},
            "Healthcheck": {"Test": ["CMD", "/check"], "Interval": 5000000000, "Timeout": -1,
                "StartPeriod": 1000000, "StartInterval": null, "Retries": 3},
            "OnBuild": null, "Tty": true
        }"#;

        let config: ImageConfig = serde_json::from_str(text).unwrap();

        let healthcheck = Healthcheck {
            test: vec!["CMD".into(), "/check".into()],
            interval: Duration::from_secs(5),
            start_period: Duration::from_millis(1),
            retries: 3,
            ..Healthcheck::default()
        };
        let expected = ImageConfig {
            entrypoint: vec!["/entry".into()],
            cmd: Vec::new(),
            env: vec!["A=1".into()],
            working_dir: "/srv".into(),
            user: "app:app".into(),
            stop_signal: "SIGQUIT".into(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            volumes: vec!["/cache".into(), "/data".into()],
            exposed: vec!["80/tcp".into()],
            healthcheck: Some(healthcheck),
        };
        assert_eq!(config, expected);
        assert_eq!(serde_json::from_str::<ImageConfig>("{}").unwrap(), ImageConfig::default());
    }
}
