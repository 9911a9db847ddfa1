//! What is written is read back, for every type and over the wire's bytes.

use std::fmt::Debug;
use std::sync::Arc;

use crate::draw::{Draw, any_of};
use proptest::prelude::*;
use prost::Message;
use swarm_proto::records::{RecordDecoder, RecordEncoder, decode_entry, encode_entry, group_len};
use swarm_proto::shared::{TemplateReader, TemplateWriter};
use swarm_proto::{DecodeError, v1};
use swarm_types::object::node::NodeDescription;
use swarm_types::spec::cluster::ClusterSpec;
use swarm_types::spec::network::NetworkSpec;
use swarm_types::spec::node::NodeSpec;
use swarm_types::spec::secret::{ConfigSpec, SecretSpec};
use swarm_types::spec::service::ServiceSpec;
use swarm_types::spec::volume::VolumeSpec;
use swarm_types::*;

fn check<T, W>(value: &T) -> Result<(), TestCaseError>
where
    T: Draw + PartialEq + Debug + TryFrom<W, Error = DecodeError>,
    W: Message + Default + for<'a> From<&'a T>,
{
    let bytes = W::from(value).encode_to_vec();
    let message = W::decode(bytes.as_slice()).expect("a message that was just written");
    let read = T::try_from(message);
    prop_assert_eq!(read.as_ref(), Ok(value));
    Ok(())
}

macro_rules! round_trips {
    ($($test:ident: $kind:ident,)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(96))]
            $(
                #[test]
                fn $test(value in any_of::<$kind>()) {
                    check::<$kind, v1::$kind>(&value)?;
                }
            )*
        }
    };
}

round_trips! {
    a_service_spec: ServiceSpec,
    a_cluster_spec: ClusterSpec,
    a_network_spec: NetworkSpec,
    a_node_spec: NodeSpec,
    a_secret_spec: SecretSpec,
    a_config_spec: ConfigSpec,
    a_volume_spec: VolumeSpec,
    a_cluster: Cluster,
    a_node: Node,
    a_node_description: NodeDescription,
    a_service: Service,
    a_task: Task,
    a_task_status: TaskStatus,
    a_template: Template,
    a_network: Network,
    a_secret: Secret,
    a_config: Config,
    a_volume: Volume,
    an_extension: Extension,
    a_resource: Resource,
    an_expectation: Expect,
    a_refusal: Refusal,
    a_remembered_request: RememberedRequest,
    a_change: Change,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_entry(entry in any_of::<Entry>()) {
        prop_assert_eq!(decode_entry(&encode_entry(&entry)), Ok(entry));
    }

    /// Batches are cut by `group_len`, so it must be exact.
    #[test]
    fn a_group_is_as_long_as_it_says(entry in any_of::<Entry>(), group in any_of::<Arc<Group>>()) {
        let before = encode_entry(&entry).len();
        let mut longer = entry;
        longer.groups.push(Arc::clone(&group));
        prop_assert_eq!(encode_entry(&longer).len() - before, group_len(&group));
    }

    /// Tasks of one template read back share one, wherever the chunks end.
    #[test]
    fn a_snapshot(
        header in any_of::<SnapshotHeader>(),
        mut records in prop::collection::vec(any_of::<Record>(), 0..4),
        tasks in prop::collection::vec((any_of::<Task>(), 0..2usize), 0..4),
        templates in any_of::<(Arc<Template>, Arc<Template>)>(),
    ) {
        for (mut task, which) in tasks {
            task.template = Arc::clone(if which == 0 { &templates.0 } else { &templates.1 });
            records.push(Record::Object(Object::Task(Arc::new(task))));
        }
        records.insert(0, Record::Header(header));

        let mut encoder = RecordEncoder::new();
        let chunks = records.iter().map(|record| {
            let mut chunk = Vec::new();
            encoder.push(record, &mut chunk);
            chunk
        });
        let chunks: Vec<Vec<u8>> = chunks.collect();
        let apart = decode_chunks(&chunks);
        let together = decode_chunks(&[chunks.concat()]);

        prop_assert_eq!(&apart, &records);
        prop_assert_eq!(&together, &records);
        prop_assert_eq!(templates_of(&apart), templates_of(&records));
    }

    #[test]
    fn a_list_of_tasks(tasks in prop::collection::vec(any_of::<Task>(), 0..4), again in 0..3usize) {
        let doubled: Vec<&Task> = tasks.iter().chain(tasks.iter().take(again)).collect();

        let mut writer = TemplateWriter::new();
        let written: Vec<v1::Task> = doubled.iter().map(|task| writer.task(task)).collect();
        let templates = writer.into_templates();
        prop_assert_eq!(templates.len(), tasks.len());

        let reader = TemplateReader::new(templates).unwrap();
        for (message, task) in written.into_iter().zip(doubled) {
            let read = reader.task(message);
            prop_assert_eq!(read.as_ref(), Ok(task));
        }
    }
}

impl<A: Draw, B: Draw> Draw for (A, B) {
    fn draw(from: &mut crate::draw::Choices) -> Self {
        (from.draw(), from.draw())
    }
}

fn decode_chunks(chunks: &[Vec<u8>]) -> Vec<Record> {
    let mut decoder = RecordDecoder::new();
    let mut records = Vec::new();
    for chunk in chunks {
        let mut rest = chunk.as_slice();
        while let Some(record) = decoder.next(&mut rest).unwrap() {
            records.push(record);
        }
        assert!(rest.is_empty());
    }
    records
}

/// How many different templates the tasks have in memory.
fn templates_of(records: &[Record]) -> usize {
    let templates = records.iter().filter_map(|record| match record {
        Record::Object(Object::Task(task)) => Some(Arc::as_ptr(&task.template)),
        _ => None,
    });
    templates.collect::<std::collections::BTreeSet<_>>().len()
}
