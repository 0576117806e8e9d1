//! Guarantees of the past: what an object was at a position.

use proreus_model::{Seq, Verb};

use super::sample::{FAR, change, create, delete, object, update, value, write};
use super::{Workbench, in_every_condition};
use crate::Journal;

/// The body of the state, `-` for a delete, `` for an object that was not known.
fn shown(journal: &dyn Journal, path: &str, at: u64) -> String {
    let state = journal.state(&object(path), Seq(at)).expect("the position is kept");
    state.map_or(String::new(), |change| match change.verb {
        Verb::Delete => format!("-{}", value(change.body.as_ref())),
        Verb::Create | Verb::Update => value(change.body.as_ref()),
    })
}

/// Versions in the long history: more than two runs of keyframe and deltas in each of three days.
const VERSIONS: u64 = 105;

pub(super) fn tells_the_state_at_every_position(bench: &mut dyn Workbench) {
    let filler = "the same long text in every version, so that a delta is worth it; ".repeat(20);
    for n in 1..=VERSIONS {
        let (day, second) = (20 + n / 36, n % 36);
        let at = format!("2026-11-{day}T10:00:{second:02}Z");
        let path = if n % 3 == 0 { "Pod/web/b/2" } else { "Pod/web/a/1" };
        write(bench, vec![update(&at, path, &format!("{filler}{n}"))]);
    }
    in_every_condition(bench, |journal| {
        for at in 1..=VERSIONS + 1 {
            let seen = at.min(VERSIONS);
            let newest_b = seen - seen % 3;
            let newest_a = if seen.is_multiple_of(3) { seen - 1 } else { seen };
            assert_eq!(shown(journal, "Pod/web/a/1", at), format!("{filler}{newest_a}"), "a at {at}");
            let wanted = if newest_b == 0 { String::new() } else { format!("{filler}{newest_b}") };
            assert_eq!(shown(journal, "Pod/web/b/2", at), wanted, "b at {at}");
        }
    });
}

pub(super) fn tells_states_over_quiet_days(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-18T10:00:00Z", "Pod/web/a/1", "a"), create("2026-11-18T10:00:00Z", "Event/web/e/9", "e")]);
    write(bench, vec![create("2026-11-18T10:00:01Z", "Pod/web/old/3", "o"), delete("2026-11-18T10:00:02Z", "Pod/web/old/3")]);
    write(bench, vec![create("2026-11-19T10:00:00Z", "Pod/web/b/2", "b")]);
    write(bench, vec![update("2026-11-20T10:00:00Z", "Pod/web/b/2", "b2")]);
    write(bench, vec![update("2026-11-23T10:00:00Z", "Pod/web/b/2", "b3")]);
    in_every_condition(bench, |journal| {
        for at in [4, 5, 6, 7, FAR.0] {
            assert_eq!(shown(journal, "Pod/web/a/1", at), "a", "a quiet object at {at}");
            assert_eq!(shown(journal, "Event/web/e/9", at), "e", "an Event of days ago is still known at {at}");
            assert_eq!(shown(journal, "Pod/web/old/3", at), "-", "a delete of days ago is still known at {at}");
            assert_eq!(shown(journal, "Pod/web/a/", at), "a", "a quiet object by name at {at}");
            assert_eq!(shown(journal, "Pod/web/old/", at), "-", "a delete of days ago by name at {at}");
        }
        let told = journal.state(&object("Pod/web/a/1"), FAR).expect("the position is kept").expect("the pod is known");
        let mut written = change("2026-11-18T10:00:00Z", Verb::Create, &object("Pod/web/a/1"), Some("a"));
        written.seq = Seq(1);
        assert_eq!(told, written, "a state of days ago has the time and position at which it was recorded");
        assert_eq!(shown(journal, "Pod/web/b/2", 4), "");
        assert_eq!(shown(journal, "Pod/web/b/2", 6), "b2");
    });
}

pub(super) fn picks_the_newest_living_incarnation(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/a/z", "first"), delete("2026-11-20T10:00:01Z", "Pod/web/a/z")]);
    write(bench, vec![create("2026-11-20T10:00:02Z", "Pod/web/a/m", "second"), update("2026-11-20T10:00:03Z", "Pod/web/a/m", "second+")]);
    // A relist finds the third before it misses the second.
    write(bench, vec![create("2026-11-21T10:00:00Z", "Pod/web/a/c", "third"), delete("2026-11-21T10:00:00Z", "Pod/web/a/m")]);
    write(bench, vec![create("2026-11-22T10:00:00Z", "Pod/other/a/x", "elsewhere"), delete("2026-11-22T10:00:00Z", "Pod/web/a/c")]);
    in_every_condition(bench, |journal| {
        let wanted = ["", "first", "-", "second", "second+", "third", "third", "third", "-", "-"];
        for (at, wanted) in wanted.iter().enumerate() {
            assert_eq!(shown(journal, "Pod/web/a/", at as u64), *wanted, "at {at}");
        }
        assert_eq!(shown(journal, "Pod/web/a/m", 6), "-");
        assert_eq!(shown(journal, "Pod/web/a/unknown", 8), "");
        assert_eq!(shown(journal, "Node/web/a/", 8), "");
    });
}

pub(super) fn tells_deletes_as_such(bench: &mut dyn Workbench) {
    write(bench, vec![create("2026-11-20T10:00:00Z", "Pod/web/a/1", "1"), delete("2026-11-20T10:00:01Z", "Pod/web/a/1")]);
    let last_sight = change("2026-11-20T10:00:02Z", Verb::Delete, &object("Pod/web/b/2"), Some("final"));
    write(bench, vec![proreus_model::Record::Change(last_sight)]);
    in_every_condition(bench, |journal| {
        assert_eq!(shown(journal, "Pod/web/a/1", 1), "1");
        assert_eq!(shown(journal, "Pod/web/a/1", 3), "-");
        assert_eq!(shown(journal, "Pod/web/b/2", 2), "");
        assert_eq!(shown(journal, "Pod/web/b/2", 3), "-final");
    });
}
