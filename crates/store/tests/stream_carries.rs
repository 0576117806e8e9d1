//! Export and import: what is written, that it is of one watermark, and what is refused.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::sync::Arc;

use proreus_model::{Change, JournalId, Mark, MarkKind, ObjectId, Origin, Record, Seq, Verb, WatchScope};
use proreus_store::stream::{Carried, Exporting, export, import};
use proreus_store::{Batch, Checkpoint, ConsumerCursor, Journal, MemoryJournal, RetentionPolicy, StoreError};
use sha2::{Digest, Sha256};

fn change(at: &str, verb: Verb, name: &str, body: Option<&[u8]>) -> Record {
    Record::Change(Change {
        seq: Seq(0),
        recorded_at: at.parse().unwrap(),
        event_time: None,
        verb,
        origin: Origin::Watch,
        gap: None,
        object: ObjectId {
            cluster: "c1".into(),
            group: "".into(),
            kind: "Pod".into(),
            namespace: "web".into(),
            name: name.into(),
            uid: format!("uid-{name}").into(),
        },
        version: "v1".into(),
        resource: "pods".into(),
        resource_version: "7".into(),
        generation: None,
        manager: Some("kubelet".into()),
        regarding: None,
        body: body.map(Arc::from),
    })
}

fn scope() -> WatchScope {
    WatchScope { cluster: "c1".into(), group: "".into(), resource: "pods".into() }
}

/// A journal whose first day is gone: one base, three records, a checkpoint and a cursor.
fn sample() -> MemoryJournal {
    let journal = MemoryJournal::with_id(JournalId::from_bytes([0xab; 16]));
    let epoch = journal.begin_epoch().unwrap();
    let mark = Mark {
        seq: Seq(0),
        recorded_at: "2026-11-20T10:00:02Z".parse().unwrap(),
        kind: MarkKind::Synced,
        scope: scope(),
        reason: "list equals the journal".to_owned(),
        detail: serde_json::json!({"objects": 2}),
    };
    let checkpoint =
        Checkpoint { scope: scope(), resource_version: Some("42".into()), at: "2026-11-20T10:00:03.000000001Z".parse().unwrap() };
    let batch = Batch {
        records: vec![
            change("2026-11-18T10:00:00Z", Verb::Create, "quiet", Some(br#"{"a":1.0}"#)),
            change("2026-11-20T10:00:00.5Z", Verb::Create, "odd", Some(&[0xff, b'\n'])),
            change("2026-11-20T10:00:01Z", Verb::Delete, "odd", None),
            Record::Mark(mark),
        ],
        checkpoints: vec![checkpoint],
        cursors: vec![ConsumerCursor { consumer: "doctor".to_owned(), seq: Seq(3), state: vec![0, 1, 2] }],
    };
    journal.append(epoch, &batch).unwrap();
    let policy = RetentionPolicy { max_age: None, max_bytes: Some(0) };
    assert_eq!(journal.retain(&policy, "2026-11-20T12:00:00Z".parse().unwrap()).unwrap().removed.len(), 1);
    journal
}

fn exported(journal: &dyn Exporting) -> Vec<u8> {
    let mut stream = Vec::new();
    export(journal, &mut stream, &mut |_, _| ()).unwrap();
    stream
}

fn text_of(stream: &[u8]) -> String {
    let mut text = String::new();
    zstd::Decoder::new(stream).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn imported(stream: &[u8]) -> Result<(MemoryJournal, Carried), StoreError> {
    import(stream, MemoryJournal::import, &mut |_, _| ())
}

#[test]
fn writes_the_lines_that_the_description_promises() {
    let text = text_of(&exported(&sample()));
    let (before, trailer) = text.trim_end().rsplit_once('\n').unwrap();
    let wanted = [
        r#"{"format":"proreus-journal","version":1,"journal":"abababababababababababababababab","watermark":4,"#,
        r#""oldest":{"seq":2,"recordedAt":"2026-11-20T10:00:00.5Z"}}"#,
        "\n",
        r#"{"base":{"seq":1,"recordedAt":"2026-11-18T10:00:00Z","cluster":"c1","verb":"create","origin":"watch","group":"","version":"v1","#,
        r#""kind":"Pod","resource":"pods","namespace":"web","name":"quiet","uid":"uid-quiet","resourceVersion":"7","manager":"kubelet","#,
        r#""object":{"a":1.0}}}"#,
        "\n",
        r#"{"change":{"seq":2,"recordedAt":"2026-11-20T10:00:00.5Z","cluster":"c1","verb":"create","origin":"watch","group":"","#,
        r#""version":"v1","kind":"Pod","resource":"pods","namespace":"web","name":"odd","uid":"uid-odd","resourceVersion":"7","#,
        r#""manager":"kubelet","objectBase64":"/wo="}}"#,
        "\n",
        r#"{"change":{"seq":3,"recordedAt":"2026-11-20T10:00:01Z","cluster":"c1","verb":"delete","origin":"watch","group":"","#,
        r#""version":"v1","kind":"Pod","resource":"pods","namespace":"web","name":"odd","uid":"uid-odd","resourceVersion":"7","#,
        r#""manager":"kubelet"}}"#,
        "\n",
        r#"{"mark":{"seq":4,"recordedAt":"2026-11-20T10:00:02Z","kind":"synced","scope":{"cluster":"c1","group":"","resource":"pods"},"#,
        r#""reason":"list equals the journal","detail":{"objects":2}}}"#,
        "\n",
        r#"{"checkpoint":{"scope":{"cluster":"c1","group":"","resource":"pods"},"resourceVersion":"42","#,
        r#""at":"2026-11-20T10:00:03.000000001Z"}}"#,
        "\n",
        r#"{"cursor":{"consumer":"doctor","seq":3,"stateBase64":"AAEC"}}"#,
    ];
    assert_eq!(before, wanted.concat());
    let counts = r#"{"end":{"bases":1,"records":3,"checkpoints":1,"cursors":1,"sha256":""#;
    assert_eq!(trailer, format!(r#"{counts}{}"}}}}"#, sha256(&format!("{before}\n"))));
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn brings_back_the_same_stream() {
    let stream = exported(&sample());
    let (journal, carried) = imported(&stream).unwrap();
    assert_eq!(carried, Carried { bases: 1, records: 3, checkpoints: 1, cursors: 1 });
    assert_eq!(text_of(&exported(&journal)), text_of(&stream));
}

#[test]
fn carries_an_empty_journal() {
    let journal = MemoryJournal::new();
    let (copy, carried) = imported(&exported(&journal)).unwrap();
    assert_eq!((copy.id(), copy.watermark(), carried), (journal.id(), Seq(0), Carried::default()));
}

#[test]
fn tells_progress_up_to_the_whole() {
    let journal = MemoryJournal::new();
    let epoch = journal.begin_epoch().unwrap();
    let records = (0..1_000).map(|n| change("2026-11-20T10:00:00Z", Verb::Update, "a", Some(n.to_string().as_bytes()))).collect();
    journal.append(epoch, &Batch { records, ..Batch::default() }).unwrap();
    let (mut out, mut back) = (Vec::new(), Vec::new());
    let mut stream = Vec::new();
    export(&journal, &mut stream, &mut |done, total| out.push((done, total))).unwrap();
    import(&stream[..], MemoryJournal::import, &mut |done, total| back.push((done, total))).unwrap();
    for told in [out, back] {
        assert!(told.len() > 3 && told.is_sorted(), "{told:?}");
        assert_eq!(told.last(), Some(&(1_000, 1_000)));
    }
}

#[test]
fn exports_one_watermark_while_appends_go_on() {
    let journal = MemoryJournal::new();
    let epoch = journal.begin_epoch().unwrap();
    let append = || {
        let cursor = ConsumerCursor { consumer: "doctor".to_owned(), seq: Seq(journal.watermark().0 + 100), state: vec![] };
        let records = vec![change("2026-11-20T10:00:00Z", Verb::Update, "a", Some(b"{}")); 100];
        journal.append(epoch, &Batch { records, cursors: vec![cursor], ..Batch::default() }).unwrap();
    };
    (0..5).for_each(|_| append());
    let mut stream = Vec::new();
    let mut told = 0;
    export(&journal, &mut stream, &mut |_, _| {
        told += 1;
        append();
    })
    .unwrap();
    assert!(told > 3, "appends went on between the pages");
    let (copy, carried) = imported(&stream).unwrap();
    assert_eq!((copy.watermark(), carried.records), (Seq(500), 500));
    assert_eq!(copy.cursor("doctor").unwrap().map(|cursor| cursor.seq), Some(Seq(500)), "the cursor is of the exported watermark");
    assert_eq!(journal.watermark(), Seq(500 + 100 * told));
}

#[test]
fn refuses_every_stream_that_was_cut() {
    let stream = exported(&sample());
    for length in 0..stream.len() {
        assert!(matches!(imported(&stream[..length]), Err(StoreError::Stream { .. })), "cut to {length} of {}", stream.len());
    }
    let whole = text_of(&stream);
    let without_trailer = whole.trim_end().rsplit_once('\n').unwrap().0;
    let refused = imported(&zstd::encode_all(format!("{without_trailer}\n").as_bytes(), 1).unwrap()).unwrap_err();
    assert_eq!(refused.to_string(), "failed to import line 8: the export ends without its trailer, so it was cut short; export it again");
}

#[test]
fn never_takes_a_changed_byte_for_another_journal() {
    let stream = exported(&sample());
    let mut taken = 0;
    for index in 0..stream.len() {
        let mut changed = stream.clone();
        changed[index] ^= 0x10;
        // zstd's frame has bits without a meaning: a stream with one of them changed is the same stream.
        if let Ok((copy, _)) = imported(&changed) {
            assert_eq!(text_of(&exported(&copy)), text_of(&stream), "byte {index} of {}", stream.len());
            taken += 1;
        }
    }
    assert!(taken * 20 < stream.len(), "{taken} of {} changed bytes mean nothing", stream.len());
}

/// A stream of these lines with a right trailer.
fn stream_of(lines: &[&str], bases: u64, records: u64) -> Vec<u8> {
    let before = format!("{}\n", lines.join("\n"));
    let end = format!(r#"{{"end":{{"bases":{bases},"records":{records},"checkpoints":0,"cursors":0,"sha256":"{}"}}}}"#, sha256(&before));
    zstd::encode_all(format!("{before}{end}\n").as_bytes(), 1).unwrap()
}

#[test]
fn refuses_what_does_not_follow() {
    let header = |watermark: u64| {
        let oldest = r#"{"seq":2,"recordedAt":"2026-11-20T10:00:00Z"}"#;
        let id = "ab".repeat(16);
        format!(r#"{{"format":"proreus-journal","version":1,"journal":"{id}","watermark":{watermark},"oldest":{oldest}}}"#)
    };
    let mark = |seq: u64, second: u64| {
        format!(
            r#"{{"mark":{{"seq":{seq},"recordedAt":"2026-11-20T10:00:{second:02}Z","kind":"synced","scope":{{"cluster":"","group":"","resource":""}},"reason":"","detail":null}}}}"#
        )
    };
    let base = |seq: u64, name: &str| {
        format!(
            r#"{{"base":{{"seq":{seq},"recordedAt":"2026-11-19T10:00:00Z","cluster":"c","verb":"create","origin":"watch","group":"","version":"v1","kind":"Pod","resource":"pods","namespace":"","name":"{name}","uid":"1","resourceVersion":"1","object":{{}}}}}}"#
        )
    };
    let (head, two, three, four) = (header(3), mark(2, 5), mark(3, 5), mark(4, 6));
    assert!(imported(&stream_of(&[&head, &base(1, "a"), &two, &three], 1, 2)).is_ok(), "the stream that the others differ from");
    let refusals: Vec<(Vec<&str>, u64, u64, &str)> = vec![
        (vec![&head, &two], 0, 1, "failed to import line 3: the header announces 2 records, 1 came"),
        (vec![&head, &three], 0, 1, "failed to import line 2: position 3 came where 2 was due"),
        (vec![&head, &two, &two], 0, 2, "failed to import line 3: position 2 came where 3 was due"),
        (vec![&head, &two, &three, &four], 0, 3, "failed to import line 4: position 4 came where 4 was due"),
        (vec![&head, &two, &three], 0, 3, "failed to import line 4: the trailer's counts or checksum do not fit what came before"),
    ];
    for (lines, bases, records, wanted) in refusals {
        assert_eq!(imported(&stream_of(&lines, bases, records)).unwrap_err().to_string(), wanted);
    }
    let earlier = mark(3, 4);
    let refused = imported(&stream_of(&[&head, &two, &earlier], 0, 2)).unwrap_err().to_string();
    assert_eq!(refused, "failed to import line 3: the time falls at position 3");
    let late = imported(&stream_of(&[&head, &two, &base(1, "a"), &three], 1, 2)).unwrap_err().to_string();
    assert_eq!(late, "failed to import line 3: the base of position 1 is not from before the records");
    let twice = imported(&stream_of(&[&head, &base(1, "a"), &base(1, "a"), &two, &three], 2, 2)).unwrap_err().to_string();
    assert_eq!(twice, "failed to import line 3: the base of position 1 is out of order");
    let followed = [stream_of(&[&head, &two, &three], 0, 2), zstd::encode_all(&b"more\n"[..], 1).unwrap()].concat();
    assert_eq!(imported(&followed).unwrap_err().to_string(), "failed to import line 4: something follows the trailer");
}

#[test]
fn refuses_newer_streams_and_other_files_before_anything_is_begun() {
    let begin = |_: &_| -> Result<proreus_store::MemoryImport, StoreError> { unreachable!("the target was begun") };
    let newer = zstd::encode_all(&br#"{"format":"proreus-journal","version":2,"unheardOf":[]}"#[..], 1).unwrap();
    let newer = [newer, zstd::encode_all(&b"\n"[..], 1).unwrap()].concat();
    let refused = import(&newer[..], begin, &mut |_, _| ()).unwrap_err();
    assert_eq!(refused.to_string(), "`export` has format version 2, this program reads up to 1");
    let other = zstd::encode_all(&b"{\"format\":\"tar\",\"version\":1}\n"[..], 1).unwrap();
    for file in [&b""[..], b"PK\x03\x04", b"{}\n", &other, &zstd::encode_all(&b"just text\n"[..], 1).unwrap()] {
        let refused = import(file, begin, &mut |_, _| ()).unwrap_err().to_string();
        assert_eq!(refused, "failed to begin the import: not an export of this program; `store export` writes one");
    }
}
