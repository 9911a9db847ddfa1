//! Placeholders of a new spec, filled in once with made-up values: what cannot be filled in is
//! refused here, not on the node of every task.

use swarm_template::Placeholders;
use swarm_types::spec::container::ContainerSpec;
use swarm_types::spec::service::ServiceSpec;
use tonic::Status;

use super::invalid;

/// # Errors
///
/// `INVALID_ARGUMENT` with every field that cannot be filled in.
pub(super) fn checked(spec: &ServiceSpec) -> Result<(), Status> {
    let Some(container) = spec.task.container() else { return Ok(()) };
    // As long as real ones, for templates that cut them.
    let id = "x".repeat(25);
    let facts = Placeholders {
        service_id: id.clone(),
        service_name: spec.annotations.name.clone(),
        service_labels: spec.annotations.labels.clone(),
        node_id: id.clone(),
        node_hostname: "node".to_owned(),
        node_os: "linux".to_owned(),
        node_architecture: "x86_64".to_owned(),
        task_name: format!("{}.1.{id}", spec.annotations.name),
        task_id: id,
        task_slot: "1".to_owned(),
    };
    let wrong: Vec<String> = texts(container)
        .filter_map(|(field, text)| Some(format!("{field}: {}", facts.fill(text).err()?)))
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(invalid(wrong.join("; "))) }
}

/// What the node fills in, and where it stands.
fn texts(spec: &ContainerSpec) -> impl Iterator<Item = (String, &str)> {
    let env = spec.env.iter().filter_map(|pair| pair.split_once('='));
    let env = env.map(|(key, value)| (named(&format!("Env {key}")), value));
    let mounts = spec.mounts.iter().flat_map(|mount| {
        let options = mount.volume.iter();
        let labels = options.clone().flat_map(|it| it.labels.values());
        let driver = options.filter_map(|it| it.driver.as_ref());
        let driver = driver.flat_map(|it| it.options.values());
        let places = [&mount.source, &mount.target].into_iter();
        places.chain(labels).chain(driver).map(|text| (named("Mounts"), text.as_str()))
    });
    std::iter::once((named("Hostname"), spec.hostname.as_str())).chain(env).chain(mounts)
}

fn named(field: &str) -> String {
    format!("TaskTemplate.ContainerSpec.{field}")
}

#[cfg(test)]
mod tests {
    use swarm_types::spec::Driver;
    use swarm_types::spec::mount::{Mount, VolumeOptions};
    use swarm_types::spec::task::TaskRuntime;
    use tonic::Code;

    use super::*;

    fn refusal(change: impl Fn(&mut ContainerSpec)) -> Option<Status> {
        let mut spec = ServiceSpec::default();
        spec.annotations.labels = [("tier".to_owned(), "db".to_owned())].into();
        if let TaskRuntime::Container(container) = &mut spec.task.runtime {
            change(container);
        }
        checked(&spec).err()
    }

    fn mount(text: &str, place: fn(&mut Mount, String)) -> Vec<Mount> {
        let mut mount = Mount::default();
        place(&mut mount, text.to_owned());
        vec![mount]
    }

    /// Every text that a node fills in, set to `text`.
    fn each(text: &str) -> Vec<(&'static str, Option<Status>)> {
        let label = |mount: &mut Mount, text| {
            let labels = [("a".to_owned(), text)].into();
            mount.volume = Some(VolumeOptions { labels, ..VolumeOptions::default() });
        };
        let option = |mount: &mut Mount, text| {
            let options = [("a".to_owned(), text)].into();
            let driver = Some(Driver { options, ..Driver::default() });
            mount.volume = Some(VolumeOptions { driver, ..VolumeOptions::default() });
        };
        vec![
            ("Hostname", refusal(|it| it.hostname = text.to_owned())),
            ("Env A", refusal(|it| it.env = vec![format!("A={text}")])),
            ("Mounts", refusal(|it| it.mounts = mount(text, |mount, it| mount.source = it))),
            ("Mounts", refusal(|it| it.mounts = mount(text, |mount, it| mount.target = it))),
            ("Mounts", refusal(|it| it.mounts = mount(text, label))),
            ("Mounts", refusal(|it| it.mounts = mount(text, option))),
        ]
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused_where_it_stands() {
        for (field, refused) in each("{{.Nope}}") {
            let refused = refused.unwrap_or_else(|| panic!("{field} is taken"));
            assert_eq!(refused.code(), Code::InvalidArgument);
            let text = refused.message();
            assert!(text.contains(&named(field)) && text.contains("field Nope"), "{text}");
        }
    }

    #[test]
    fn what_a_node_can_fill_in_is_taken() {
        let all = "{{.Service.ID}}{{.Service.Name}}{{index .Service.Labels \"tier\"}}\
                   {{.Node.ID}}{{.Node.Hostname}}{{.Node.Platform.OS}}\
                   {{.Node.Platform.Architecture}}{{.Task.Name}}{{.Task.Slot}}\
                   {{slice .Task.ID 0 12}}{{.Service.Labels.tier}}";
        for text in [all, "plain", ""] {
            assert!(each(text).into_iter().all(|(_, refused)| refused.is_none()), "{text}");
        }
    }

    #[test]
    fn keys_arguments_and_labels_are_no_templates() {
        assert!(refusal(|it| it.env = vec!["{{.Nope}}=x".to_owned()]).is_none());
        assert!(refusal(|it| it.args = vec!["{{.Nope}}".to_owned()]).is_none());
    }
}
