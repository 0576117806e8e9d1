//! The suite that every journal engine must pass: one function a guarantee, and a random comparison with the in-memory model.
//!
//! Behind the feature `conformance`, for tests only. It asks through the `Journal` trait and never looks at files, so that an engine
//! with another layout passes it unchanged. Invariant: a guarantee is asked four times, live, reopened, after the engine's background
//! work, and reopened after that; the answers may not differ.

mod appends;
mod differential;
mod filters;
mod objects;
mod reads;
mod retention;
mod sample;
mod states;

pub use differential::{agrees_with_the_model, survives_being_carried};

use crate::Journal;
use crate::stream::Exporting;

/// A journal of one engine that a guarantee may close, reopen and let rest.
pub trait Workbench {
    /// The journal, open for writing.
    fn journal(&self) -> &dyn Exporting;

    /// Closes the journal and opens the same one again.
    fn reopen(&mut self);

    /// Returns when no background work is left: past days are rewritten, bases are complete.
    fn settle(&mut self);
}

/// Makes a workbench with an empty journal.
pub type Factory = fn() -> Box<dyn Workbench>;

/// Asks `check` in every condition the same history can be in.
fn in_every_condition(bench: &mut dyn Workbench, check: impl Fn(&dyn Journal)) {
    check(bench.journal());
    bench.reopen();
    check(bench.journal());
    bench.settle();
    check(bench.journal());
    bench.reopen();
    check(bench.journal());
}

/// Declares the table of guarantees, and a macro that makes a test of each.
macro_rules! guarantees {
    ($($room:ident: $($name:ident)+;)+) => {
        /// Every guarantee by name, in the order in which they build on each other.
        pub const GUARANTEES: &[(&str, fn(&mut dyn Workbench))] = &[$($((stringify!($name), $room::$name),)+)+];

        $($(
            #[doc = concat!("Fails unless the engine honours `", stringify!($name), "`.")]
            pub fn $name(bench: &mut dyn Workbench) {
                $room::$name(bench);
            }
        )+)+

        /// Makes a module `conformance` with one test a guarantee and the random comparison, for the engine that the factory makes.
        #[macro_export]
        macro_rules! conformance_tests {
            ($factory:expr) => {
                $($(
                    #[test]
                    fn $name() {
                        $crate::conformance::$name(&mut *($factory)());
                    }
                )+)+

                #[test]
                fn agrees_with_the_model_on_random_histories() {
                    $crate::conformance::agrees_with_the_model($factory);
                }
            };
        }
    };
}

guarantees! {
    appends:
        gives_positions_from_one_without_holes
        keeps_every_field_of_changes_and_marks
        keeps_bodies_to_the_byte
        raises_times_to_the_last_one
        commits_batches_without_records
        refuses_writers_that_were_replaced
        raises_the_epoch_over_reopening
        keeps_its_identity
        shows_whole_batches_only_to_readers
        remembers_the_newest_checkpoint_of_a_scope
        remembers_the_newest_cursor_of_a_consumer;
    reads:
        answers_an_empty_journal
        reads_pages_in_both_orders
        says_more_only_when_more_match
        leaves_bodies_out_unless_asked
        gives_the_version_before_within_a_uid
        finds_the_first_position_of_a_time
        counts_segments_by_day;
    filters:
        narrows_by_every_field_of_a_change
        narrows_marks_by_their_scope_only
        admits_only_what_a_rule_admits;
    states:
        tells_the_state_at_every_position
        tells_states_over_quiet_days
        picks_the_newest_living_incarnation
        tells_deletes_as_such;
    objects:
        lists_what_lives_in_order
        leaves_events_to_their_own_day
        lists_heads_for_comparison
        keeps_heads_of_events_for_two_days
        names_clusters_and_types
        knows_every_place_of_what_it_tells
        counts_each_object_once;
    retention:
        removes_days_that_ended_too_long_ago
        removes_the_oldest_days_while_too_large
        keeps_the_open_day_whatever_the_policy
        answers_from_the_base_after_retention
        tells_what_is_gone
        keeps_checkpoints_and_cursors_over_retention;
}
