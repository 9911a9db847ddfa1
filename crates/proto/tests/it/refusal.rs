//! What this version does not know is refused, by name, and never read as something else.

use std::fmt::Debug;
use std::sync::Arc;

use crate::draw::any_of;
use proptest::prelude::*;
use prost::Message;
use swarm_proto::field::{Word, put_word, word};
use swarm_proto::records::{RecordDecoder, RecordEncoder, decode_entry, encode_entry};
use swarm_proto::{DecodeError, Why, v1};
use swarm_types::*;

/// An unknown field: number 1000, a varint.
const UNKNOWN: [u8; 3] = [0xc0, 0x3e, 1];

fn error<T: Debug>(path: &str, why: Why) -> Result<T, DecodeError> {
    Err(DecodeError { path: path.into(), why })
}

fn entry(groups: Vec<v1::Group>) -> Vec<u8> {
    v1::Entry { level: LEVEL, at_ns: 0, groups, check: None }.encode_to_vec()
}

fn group(change: v1::change::Change) -> v1::Group {
    let request = vec![b'r'; ID_LEN];
    let expect = Vec::new();
    v1::Group { request, expect, changes: vec![v1::Change { change: Some(change) }] }
}

#[test]
fn a_newer_level_is_refused_before_the_rest_is_read() {
    // Field 3 is a list of groups at our level; here it is a number.
    let newer = [v1::Level { level: LEVEL + 1 }.encode_to_vec(), vec![0x18, 7]].concat();

    let refused = decode_entry(&newer);

    let why = Why::UnknownLevel { found: LEVEL + 1, known: LEVEL };
    assert_eq!(refused, error("level", why));
}

#[test]
fn an_entry_without_a_level_is_refused() {
    assert_eq!(decode_entry(&[]), error("level", Why::UnknownLevel { found: 0, known: LEVEL }));
}

#[test]
fn a_snapshot_of_a_newer_level_is_refused_before_the_rest_is_read() {
    let level = v1::Level { level: LEVEL + 1 }.encode_to_vec();
    let header = [level, vec![0x21, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    let mut record = vec![0x0a, u8::try_from(header.len()).unwrap()];
    record.extend(header);
    record.insert(0, u8::try_from(record.len()).unwrap());

    let refused = RecordDecoder::new().next(&mut record.as_slice());

    let why = Why::UnknownLevel { found: LEVEL + 1, known: LEVEL };
    assert_eq!(refused, error("header.level", why));
}

#[test]
fn a_snapshot_begins_with_its_only_header() {
    let header = Record::Header(SnapshotHeader::default());
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    RecordEncoder::new().push(&header, &mut once);
    twice.extend([once.clone(), once].concat());
    let mut decoder = RecordDecoder::new();
    let mut rest = twice.as_slice();

    assert_eq!(decoder.next(&mut rest), Ok(Some(header)));
    assert_eq!(decoder.next(&mut rest), error("header", Why::Not("alone")));

    let request = v1::Record { record: None }.encode_length_delimited_to_vec();
    let refused = RecordDecoder::new().next(&mut request.as_slice());
    assert_eq!(refused, error("header", Why::Missing));
}

#[test]
fn an_unknown_change_is_refused_with_its_path() {
    let groups = vec![v1::Group {
        changes: vec![v1::Change { change: None }],
        ..group(v1::change::Change::RemoveTask(Vec::new()))
    }];
    assert_eq!(decode_entry(&entry(groups)), error("groups[0].changes[0].change", Why::Missing));
}

#[test]
fn the_path_leads_to_the_field() {
    let end = v1::EndTask { task: vec![b't'; ID_LEN], state: 5, message: String::new() };
    let good = group(v1::change::Change::RemoveTask(vec![b't'; ID_LEN]));
    let bad = group(v1::change::Change::EndTask(end));
    let short = group(v1::change::Change::RemoveTask(b"short".to_vec()));

    assert_eq!(
        decode_entry(&entry(vec![good.clone(), bad])),
        error("groups[1].changes[0].end_task.state", Why::UnknownNumber(5))
    );
    assert_eq!(
        decode_entry(&entry(vec![good, short])),
        error("groups[1].changes[0].remove_task", Why::Not("an id"))
    );
}

#[test]
fn each_missing_part_of_a_service_is_named() {
    let whole = v1::Service::from(&service());
    let break_it = |change: fn(&mut v1::ServiceSpec)| {
        let mut broken = whole.clone();
        change(broken.spec.as_mut().unwrap());
        Service::try_from(broken)
    };

    assert_eq!(break_it(|spec| spec.mode = None), error("spec.mode", Why::Missing));
    assert_eq!(
        break_it(|spec| spec.mode = Some(v1::ServiceMode { mode: None })),
        error("spec.mode.mode", Why::Missing)
    );
    assert_eq!(
        break_it(|spec| spec.endpoint.as_mut().unwrap().mode = 0),
        error("spec.endpoint.mode", Why::UnknownNumber(0))
    );
    assert_eq!(
        break_it(|spec| spec.task.as_mut().unwrap().runtime = None),
        error("spec.task.runtime", Why::Missing)
    );
}

#[test]
fn a_number_that_does_not_fit_is_refused() {
    let port = v1::PortConfig { target: 65_536, protocol: 1, mode: 1, ..Default::default() };
    let endpoint = v1::Endpoint { ports: vec![port], virtual_ips: Vec::new() };

    let refused = swarm_types::object::service::Endpoint::try_from(endpoint);

    assert_eq!(refused, error("ports[0].target", Why::Not("in range")));
}

#[test]
fn a_template_that_is_not_there_is_refused() {
    let task = v1::Task { template: Some(v1::task::Template::Shared(3)), ..v1::Task::default() };
    assert_eq!(Task::try_from(task), error("shared", Why::Not("the position of a template")));
}

fn service() -> Service {
    crate::draw::Choices::new(Vec::new()).draw()
}

/// Exactly `cases` numbers mean something, and they mean what they came from.
fn check_words<T: Word + PartialEq + Debug>(cases: usize) {
    let known = (-1..=1000).filter_map(|number| Some((number, word::<T>(number, "").ok()?)));
    let known: Vec<(i32, T)> = known.collect();
    assert_eq!(known.len(), cases);
    assert!(known.iter().all(|(number, case)| *number > 0 && put_word(*case) == *number));
    assert_eq!(word::<T>(-1, "role"), error("role", Why::UnknownNumber(-1)));
    assert_eq!(word::<T>(0, "role"), error("role", Why::UnknownNumber(0)));
}

#[test]
fn unknown_numbers_are_refused_in_every_enum() {
    use swarm_types::object::{node::*, service::*, volume::*};
    use swarm_types::spec::{container::*, mount::*, node::*, service::*, task::*, volume::*};
    check_words::<TaskState>(TaskState::ALL.len());
    check_words::<NodeState>(4);
    check_words::<NodeRole>(2);
    check_words::<Membership>(2);
    check_words::<Availability>(3);
    check_words::<UpdateState>(6);
    check_words::<FailureAction>(3);
    check_words::<UpdateOrder>(2);
    check_words::<EndpointMode>(2);
    check_words::<Protocol>(3);
    check_words::<PublishMode>(2);
    check_words::<RestartCondition>(3);
    check_words::<Isolation>(3);
    check_words::<MountKind>(6);
    check_words::<Consistency>(4);
    check_words::<Propagation>(6);
    check_words::<Sharing>(4);
    check_words::<PublishState>(4);
}

fn snapshot(records: &[Record]) -> Vec<u8> {
    let mut encoder = RecordEncoder::new();
    let mut bytes = Vec::new();
    encoder.push(&Record::Header(SnapshotHeader::default()), &mut bytes);
    records.iter().for_each(|record| encoder.push(record, &mut bytes));
    bytes
}

fn read_all(mut bytes: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let mut decoder = RecordDecoder::new();
    std::iter::from_fn(|| decoder.next(&mut bytes).transpose()).collect()
}

/// Damage as a disk does it: bytes changed in place, then a cut.
#[derive(Debug, Clone)]
struct Damage {
    flips: Vec<(prop::sample::Index, u8)>,
    cut: Option<prop::sample::Index>,
}

impl Damage {
    fn to(&self, bytes: &mut Vec<u8>) {
        for (at, bits) in &self.flips {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        if let Some(cut) = self.cut {
            bytes.truncate(cut.index(bytes.len()));
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let flips = prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 0..4);
    (flips, any::<Option<prop::sample::Index>>()).prop_map(|(flips, cut)| Damage { flips, cut })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A newer field is skipped by the generated code; the length gives it away.
    #[test]
    fn an_unknown_field_is_refused_at_any_depth(one in any_of::<Entry>()) {
        let mut outside = encode_entry(&one);
        outside.extend(UNKNOWN);
        prop_assert_eq!(decode_entry(&outside), error("entry", Why::UnknownFields));

        let inside = [group(v1::change::Change::RemoveTask(vec![b't'; ID_LEN])).encode_to_vec(),
            UNKNOWN.to_vec()].concat();
        let mut bytes = encode_entry(&one);
        bytes.extend([0x1a, u8::try_from(inside.len()).unwrap()]);
        bytes.extend(inside);
        prop_assert_eq!(decode_entry(&bytes), error("entry", Why::UnknownFields));
    }

    /// Damaged entries are refused, or read as an entry that is written in as many bytes: no
    /// part of them is dropped.
    #[test]
    fn nothing_is_dropped_from_a_damaged_entry(one in any_of::<Entry>(), damage in damage()) {
        let mut bytes = encode_entry(&one);
        damage.to(&mut bytes);
        if let Ok(read) = decode_entry(&bytes) {
            let again = encode_entry(&read);
            prop_assert_eq!(again.len(), bytes.len());
            prop_assert_eq!(decode_entry(&again), Ok(read));
        }
    }

    #[test]
    fn noise_is_read_without_a_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut leveled = vec![8, 1];
        leveled.extend(&noise);
        for bytes in [&noise, &leveled] {
            if let Ok(read) = decode_entry(bytes) {
                prop_assert_eq!(decode_entry(&encode_entry(&read)), Ok(read));
            }
            let _ = read_all(bytes);
        }
    }

    /// A snapshot cut anywhere but between records is refused.
    #[test]
    fn a_snapshot_cut_inside_a_record_is_refused(
        one in any_of::<Record>(),
        at in any::<prop::sample::Index>(),
    ) {
        let head = snapshot(&[]).len();
        let whole = snapshot(std::slice::from_ref(&one));
        let cut = head + 1 + at.index(whole.len() - head - 1);
        match read_all(&whole[..cut]) {
            // The border behind a task's template.
            Ok(read) => prop_assert!(read.len() == 1 && matches!(one, Record::Object(Object::Task(_)))),
            Err(refused) => prop_assert_eq!(refused.path, "record"),
        }
    }

    #[test]
    fn a_damaged_snapshot_is_read_without_a_panic(
        one in any_of::<Arc<Task>>(),
        damage in damage(),
    ) {
        let mut bytes = snapshot(&[Record::Object(Object::Task(one))]);
        damage.to(&mut bytes);
        if let Ok(read) = read_all(&bytes) {
            prop_assert!(read.len() <= 2);
        }
    }
}
