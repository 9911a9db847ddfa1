//! Writer and reader together, without containerd.

use std::fs::File;
use std::path::Path;

use proptest::prelude::*;

use super::dir::Bounds;
use super::frame::{Kind, Record, encode};
use super::lines::Lines;
use super::reading::{Progress, Reading};
use super::store::Store;
use super::*;

fn second(second: i64) -> i64 {
    second * 1_000_000_000
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}

/// Writes one line per second, `count` of them, in turn to both streams; every third batch-wise.
fn numbered(dir: &Path, bounds: Bounds, count: i64) {
    let mut store = Store::open(dir, bounds);
    for number in 0..count {
        let kind = if number % 2 == 0 { Kind::Stdout } else { Kind::Stderr };
        let data = format!("line {number} {}", "x".repeat(300));
        let mut frame = Vec::new();
        let (partial, continues, at) = (false, false, second(number));
        encode(&mut frame, &Record { kind, partial, continues, at, data: data.as_bytes() });
        store.append(&frame, at);
    }
}

fn read(dir: &Path, query: &LogQuery) -> Vec<LogLine> {
    let mut reading = Reading::open(dir, query).unwrap();
    let mut all = Vec::new();
    loop {
        let (lines, progress) = reading.read().unwrap();
        all.extend(lines);
        if progress != Progress::More {
            return all;
        }
    }
}

/// Numbers of the lines that are read.
fn numbers(dir: &Path, query: &LogQuery) -> Vec<u64> {
    let number = |line: LogLine| {
        let text = String::from_utf8(line.data).unwrap();
        text.split(' ').nth(1).unwrap().parse().unwrap()
    };
    read(dir, query).into_iter().map(number).collect()
}

#[test]
fn only_what_is_wanted_is_read() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), Bounds { max_bytes: 200_000, max_files: 9 }, 2000);
    assert!(dir::segments(dir.path()).unwrap().len() > 2);
    let all = LogQuery::default();

    let got = |query: LogQuery| numbers(dir.path(), &query);

    assert_eq!(got(all), (0..2000).collect::<Vec<_>>());
    assert_eq!(got(LogQuery { tail: Some(3), ..all }), [1997, 1998, 1999]);
    assert!(got(LogQuery { tail: Some(0), ..all }).is_empty());
    assert_eq!(got(LogQuery { tail: Some(5000), ..all }).len(), 2000);
    assert_eq!(got(LogQuery { tail: Some(2), streams: Streams::Stdout, ..all }), [1996, 1998]);
    assert_eq!(got(LogQuery { since: Some(time(1998)), ..all }), [1998, 1999]);
    assert!(got(LogQuery { since: Some(time(2000)), ..all }).is_empty());
    let part = LogQuery { since: Some(time(1000)), until: Some(time(1004)), ..all };
    assert_eq!(got(part), [1000, 1001, 1002, 1003]);
    assert_eq!(got(LogQuery { tail: Some(1), ..part }), [1003]);
}

#[test]
fn the_end_of_a_long_log_is_found_without_reading_it() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), Bounds::default(), 5000);
    let segment = dir::segment(dir.path(), 1);
    let length = std::fs::metadata(&segment).unwrap().len();
    // What is not read may as well be broken.
    let file = File::options().write(true).open(&segment).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xff; 1 << 20], 100).unwrap();
    assert!(length > 3 << 19);

    let last = LogQuery { tail: Some(10), ..LogQuery::default() };
    assert_eq!(numbers(dir.path(), &last), (4990..5000).collect::<Vec<_>>());
    let recent = LogQuery { since: Some(time(4995)), ..LogQuery::default() };
    assert_eq!(numbers(dir.path(), &recent), (4995..5000).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Wherever a reader stops, one that goes on there reads the rest, each line once.
    #[test]
    fn another_reader_goes_on_where_one_stopped(
        steps in 0..12_usize, tail in prop::option::of(0..4000_u64), stdout: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        numbered(dir.path(), Bounds { max_bytes: 400_000, max_files: 9 }, 4000);
        let streams = if stdout { Streams::Stdout } else { Streams::Both };
        let query = LogQuery { tail, streams, ..LogQuery::default() };
        let mut first = Reading::open(dir.path(), &query).unwrap();
        let mut parts = Vec::new();
        for _ in 0..steps {
            parts.extend(first.read().unwrap().0);
        }

        parts.extend(read(dir.path(), &LogQuery { after: Some(first.place()), ..query }));

        prop_assert_eq!(parts, read(dir.path(), &query));
    }
}

#[test]
fn a_place_of_another_log_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), Bounds::default(), 100);

    for offset in [0, 13, 1 << 40] {
        let place = cursor::Place { segment: 1, offset };
        let after = Some(LogPlace { place, skip: [0; 2] });
        assert!(numbers(dir.path(), &LogQuery { after, ..LogQuery::default() }).len() <= 100);
    }
}

#[test]
fn a_damaged_record_hides_no_more_than_its_block() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), Bounds::default(), 2000);
    let file = File::options().write(true).open(dir::segment(dir.path(), 1)).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 40], 200_000).unwrap();

    let found = numbers(dir.path(), &LogQuery::default());

    let lost: Vec<u64> = (0..2000).filter(|number| !found.contains(number)).collect();
    assert!((1..250).contains(&lost.len()), "{lost:?}");
    assert_eq!(lost.last().unwrap() - lost[0] + 1, lost.len() as u64);
}

#[test]
fn what_an_earlier_writer_wrote_is_found_by_time() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_bytes: 0, max_files: 2 };
    numbered(dir.path(), bounds, 10);
    // The clock was set back meanwhile.
    numbered(dir.path(), bounds, 3);

    let since = LogQuery { since: Some(time(8)), ..LogQuery::default() };

    assert_eq!(numbers(dir.path(), &since), [8, 9]);
}

#[test]
fn the_oldest_segments_go() {
    let dir = tempfile::tempdir().unwrap();
    numbered(dir.path(), Bounds { max_bytes: 10_000, max_files: 3 }, 1000);

    let kept = dir::segments(dir.path()).unwrap();
    let found = numbers(dir.path(), &LogQuery::default());

    assert_eq!(kept.len(), 3);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 6);
    assert!(kept.iter().all(|number| {
        std::fs::metadata(dir::segment(dir.path(), *number)).unwrap().len() <= 10_000
    }));
    let first = *found.first().unwrap();
    assert!((900..990).contains(&first));
    assert_eq!(found, (first..1000).collect::<Vec<_>>());
}

#[test]
fn a_line_in_parts_is_one_line_of_a_tail() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Bounds::default());
    let (mut out, mut err) = (Lines::new(Kind::Stdout), Lines::new(Kind::Stderr));
    let long = vec![b'x'; 1 << 20];
    let mut frames = Vec::new();
    for (at, piece) in [&b"first\n"[..], &long[..], b"end\nlast\n"].into_iter().enumerate() {
        for part in piece.chunks(40_000) {
            out.push(part, second(at as i64), &mut frames);
            err.push(b"beside\n", second(at as i64), &mut frames);
            store.append(&frames, 0);
            frames.clear();
        }
    }

    let query = LogQuery { tail: Some(2), streams: Streams::Stdout, ..LogQuery::default() };
    let lines = read(dir.path(), &query);

    let whole = lines.iter().filter(|line| !line.partial).count();
    let bytes: usize = lines.iter().map(|line| line.data.len()).sum();
    assert_eq!((whole, bytes), (2, (1 << 20) + 3 + 4));
}

#[test]
fn a_follower_reads_what_is_rotated_under_it() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = Bounds { max_bytes: 4000, max_files: 2 };
    let query = LogQuery { follow: Follow::UntilEnd, ..LogQuery::default() };
    let mut reading = Reading::open(dir.path(), &query).unwrap();
    let (mut store, mut seen) = (Store::open(dir.path(), bounds), 0);
    for number in 0..500u32 {
        let (mut frame, data) = (Vec::new(), [7; 200]);
        let (kind, partial, continues, at) = (Kind::Stdout, false, false, i64::from(number));
        encode(&mut frame, &Record { kind, partial, continues, at, data: &data });
        store.append(&frame, at);
        // Never more than a segment behind.
        if number % 10 == 9 {
            loop {
                let (lines, progress) = reading.read().unwrap();
                seen += lines.len();
                if progress == Progress::Caught {
                    break;
                }
            }
            assert_eq!(seen, number as usize + 1);
        }
    }
}

#[test]
fn another_format_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir::segment(dir.path(), 1), b"SWMLOG\0\x02whatever follows").unwrap();
    numbered(dir.path(), Bounds::default(), 2);
    // Nothing is kept but one file; the stranger is put back.
    std::fs::write(dir::segment(dir.path(), 1), b"SWMLOG\0\x02whatever follows").unwrap();

    assert_eq!(numbers(dir.path(), &LogQuery::default()), [0, 1]);
}

proptest! {
    /// A segment that lost its end keeps what is before, and what another writer adds is read.
    #[test]
    fn a_torn_end_is_passed_over(
        count in 1..40i64, cut in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..40), zeros in 0..3usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let bounds = Bounds { max_bytes: 0, max_files: 2 };
        numbered(dir.path(), bounds, count);
        let path = dir::segment(dir.path(), 1);
        let bytes = std::fs::read(&path).unwrap();
        let cut = 8 + cut.index(bytes.len() - 7);
        let torn = [&bytes[..cut], &junk, &vec![0; zeros * 4096]].concat();
        // Junk may be what was cut off.
        let cut = bytes.iter().zip(&torn).take_while(|(was, is)| was == is).count();
        std::fs::write(&path, torn).unwrap();
        numbered(dir.path(), bounds, 3);

        let found = numbers(dir.path(), &LogQuery::default());

        let ends: Vec<usize> = super::frame::records(&bytes[8..])
            .scan(8, |end, (_, length)| { *end += length; Some(*end) }).collect();
        let whole = ends.iter().filter(|end| **end <= cut).count() as u64;
        let expected: Vec<u64> = (0..whole).chain(0..3).collect();
        prop_assert_eq!(found, expected);
    }

    /// A tail is the end of everything, with and without bounds in time.
    #[test]
    fn a_tail_is_the_end_of_all(
        count in 0..400i64, tail in 0..500usize, since in 0..450u64, max_bytes in 500..60_000u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        numbered(dir.path(), Bounds { max_bytes, max_files: 1000 }, count);
        let since = LogQuery { since: Some(time(since)), ..LogQuery::default() };

        let all = numbers(dir.path(), &since);
        let end = numbers(dir.path(), &LogQuery { tail: Some(tail as u64), ..since });

        let kept = all.len().min(tail);
        prop_assert_eq!(&end, &all[all.len() - kept..]);
    }
}
