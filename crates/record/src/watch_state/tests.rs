//! The protocol as text: each line is an input and what comes of it.

use super::*;

fn input(text: &str) -> Input {
    let words: Vec<&str> = text.split(' ').collect();
    let failed = |failure| Input::Failed(failure);
    match words.as_slice() {
        ["start"] => Input::Start { checkpoint: None },
        ["start", version] => Input::Start { checkpoint: Some((*version).into()) },
        ["page", version] => Input::PageEnd { version: (*version).into(), token: None },
        ["page", version, token] => Input::PageEnd { version: (*version).into(), token: Some((*token).to_owned()) },
        ["initial-end", version] => Input::InitialEnd { version: (*version).into() },
        ["event", version] => Input::Event { version: Some((*version).into()) },
        ["event"] => Input::Event { version: None },
        ["bookmark", version] => Input::Bookmark { version: (*version).into() },
        ["quiet"] => Input::Quiet,
        ["ended"] => Input::Ended,
        ["silent"] => Input::Silent,
        ["410"] => failed(Failure::Expired("too old".to_owned())),
        ["403"] => failed(Failure::Forbidden("no".to_owned())),
        ["404"] => failed(Failure::NotServed("gone".to_owned())),
        ["429", seconds] => {
            failed(Failure::Busy { retry_after: seconds.parse().ok().map(Duration::from_secs), message: "busy".to_owned() })
        }
        ["422"] => failed(Failure::NoStreaming("no".to_owned())),
        ["waited"] => Input::Waited,
        other => failed(Failure::Other(other.join(" "))),
    }
}

fn output(effect: &Effect) -> String {
    match effect {
        Effect::Condition(condition, _) => condition.as_str().to_owned(),
        Effect::Mark(kind, _) => format!("mark:{}", kind.as_str()),
        Effect::ForgetCheckpoint => "forget".to_owned(),
        Effect::BeginListing => "begin".to_owned(),
        Effect::EndListing(version) => format!("end@{version}"),
        Effect::Advance(version) => format!("advance@{version}"),
        Effect::Count(counted) => format!("{counted:?}").to_lowercase(),
        Effect::Next(Next::List { token }) => format!("LIST {}", token.as_deref().unwrap_or("-")),
        Effect::Next(Next::StreamList) => "STREAM".to_owned(),
        Effect::Next(Next::Watch { from }) => format!("WATCH {from}"),
        Effect::Next(Next::Read) => "READ".to_owned(),
        Effect::Next(Next::Wait(wait)) => format!("WAIT {}", wait.as_millis()),
    }
}

/// Each line is `input => effects`; `+5s` in front lets time pass.
fn check(may_stream: bool, scenario: &str) {
    let mut state = WatchState::new(may_stream);
    let mut now = Timestamp::UNIX_EPOCH;
    for line in scenario.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (given, expected) = line.split_once("=>").unwrap_or((line, ""));
        let mut given = given.trim();
        if let Some((seconds, rest)) = given.strip_prefix('+').and_then(|text| text.split_once("s ")) {
            now += SignedDuration::from_secs(seconds.parse().unwrap_or_default());
            given = rest;
        }
        let said: Vec<String> = state.step(input(given), now, 0.0).iter().map(output).collect();
        assert_eq!(said.join(" "), expected.trim(), "at `{line}`");
    }
}

#[test]
fn lists_in_pages_and_watches_from_the_version_of_the_list() {
    check(
        false,
        "start => mark:watchStarted listing forget begin LIST -
         page 7 a => LIST a
         page 7 b => LIST b
         page 7 => end@7 synced WATCH 7
         event 8 => advance@8 READ
         bookmark 20 => advance@20 READ
         ended => reconnect WATCH 20",
    );
}

#[test]
fn a_streaming_list_goes_on_as_a_watch() {
    check(
        true,
        "start => mark:watchStarted listing forget begin STREAM
         event 3 => READ
         event 1 => READ
         initial-end 7 => end@7 synced READ
         event 8 => advance@8 READ
         ended => reconnect WATCH 8",
    );
}

#[test]
fn pages_are_used_where_streaming_is_not_served_and_ever_after() {
    check(
        true,
        "start => mark:watchStarted listing forget begin STREAM
         422 => begin LIST -
         page 7 => end@7 synced WATCH 7
         410 => mark:gap gap relist listing forget begin LIST -",
    );
}

#[test]
fn pages_are_tried_after_a_streaming_list_broke_three_times() {
    check(
        true,
        "start => mark:watchStarted listing forget begin STREAM
         event 1 => READ
         ended => begin WAIT 500
         waited => STREAM
         cut => begin WAIT 1000
         waited => STREAM
         silent => reconnect begin WAIT 2000
         waited => LIST -",
    );
}

#[test]
fn resumes_from_a_checkpoint_without_a_list_and_says_when_it_caught_up() {
    check(
        true,
        "start 5 => stale mark:watchStarted WATCH 5
         event 6 => advance@6 READ
         quiet => mark:synced synced READ
         quiet => READ",
    );
    check(
        true,
        "start 5 => stale mark:watchStarted WATCH 5
         bookmark 9 => advance@9 mark:synced synced READ",
    );
}

#[test]
fn forgets_the_checkpoint_before_it_lists_again_when_history_expired() {
    check(
        false,
        "start 5 => stale mark:watchStarted WATCH 5
         410 => mark:gap gap relist listing forget begin LIST -
         page 90 => end@90 synced WATCH 90",
    );
}

#[test]
fn lists_less_and_less_often_when_each_fresh_position_expires_at_once() {
    check(
        false,
        "start 5 => stale mark:watchStarted WATCH 5
         410 => mark:gap gap relist listing forget begin LIST -
         page 9 => end@9 synced WATCH 9
         410 => mark:gap gap relist listing forget begin WAIT 1000
         waited => LIST -
         page 10 => end@10 synced WATCH 10
         410 => mark:gap gap relist listing forget begin WAIT 2000
         waited => LIST -
         page 11 => end@11 synced WATCH 11
         quiet => READ
         410 => mark:gap gap relist listing forget begin LIST -",
    );
}

#[test]
fn begins_the_list_anew_when_its_token_expired_in_the_middle() {
    check(
        false,
        "start => mark:watchStarted listing forget begin LIST -
         page 7 a => LIST a
         410 => begin WAIT 500
         waited => LIST -",
    );
}

#[test]
fn goes_on_with_the_same_page_after_a_broken_connection() {
    check(
        false,
        "start => mark:watchStarted listing forget begin LIST -
         page 7 a => LIST a
         connection reset => WAIT 500
         waited => LIST a",
    );
}

#[test]
fn a_refused_type_is_told_once_and_asked_for_again_and_again() {
    check(
        false,
        "start => mark:watchStarted listing forget begin LIST -
         403 => mark:stopped stopped WAIT 500
         waited => LIST -
         403 => stopped WAIT 1000
         waited => LIST -
         page 7 => end@7 synced WATCH 7
         404 => mark:stopped stopped WAIT 500
         waited => WATCH 7
         quiet => mark:synced synced READ",
    );
}

#[test]
fn a_short_failure_is_not_told_and_a_long_one_once() {
    check(
        false,
        "start 5 => stale mark:watchStarted WATCH 5
         quiet => mark:synced synced READ
         refused => WAIT 500
         +1s waited => WATCH 5
         quiet => READ
         refused => WAIT 500
         +9s refused => WAIT 1000
         +1s refused => mark:stale stale WAIT 2000
         +5s refused => WAIT 4000
         waited => WATCH 5
         event 6 => advance@6 READ
         quiet => mark:synced synced READ",
    );
}

#[test]
fn obeys_the_time_that_a_busy_server_asks_for_up_to_a_minute() {
    check(
        false,
        "start 5 => stale mark:watchStarted WATCH 5
         429 7 => WAIT 7000
         waited => WATCH 5
         429 3600 => WAIT 60000",
    );
}

#[test]
fn reconnects_when_the_stream_went_silent_from_the_last_version_seen() {
    check(
        false,
        "start 5 => stale mark:watchStarted WATCH 5
         event 6 => advance@6 READ
         event => READ
         silent => reconnect WAIT 500
         waited => WATCH 6",
    );
}

#[test]
fn asks_less_and_less_often_when_the_server_closes_at_once() {
    check(
        false,
        "start 5 => stale mark:watchStarted WATCH 5
         ended => reconnect WAIT 500
         waited => WATCH 5
         ended => reconnect WAIT 1000
         waited => WATCH 5
         quiet => mark:synced synced READ
         ended => reconnect WATCH 5",
    );
}
