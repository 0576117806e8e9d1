//! Garbage: whatever is posted, the answer is an error and the server lives.

use serde_json::json;

use crate::agent::Agent;
use crate::shop::Shop;

/// Bodies made from good ones by cutting, doubling and overwriting.
const CASES: usize = 600;

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below.max(1)).unwrap()).unwrap()
    }
}

fn spoilt(numbers: &mut Numbers, good: &str) -> String {
    let mut bytes = good.as_bytes().to_vec();
    for _ in 0..=numbers.next(4) {
        let at = numbers.next(bytes.len());
        match numbers.next(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, b"\"{}[],:0x\\"[numbers.next(10)]),
            2 => {
                let half = bytes[at..].to_vec();
                bytes.extend(half);
            }
            3 if at < bytes.len() => bytes[at] = u8::try_from(numbers.next(128)).unwrap(),
            _ => {
                let digit = format!("{}", numbers.next(1_000_000) as i64 - 500_000);
                bytes.splice(at..at, digit.bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn no_body_is_an_error_of_ours_and_the_server_lives() {
    let shop = Shop::open();
    let (newer, older) = (Agent::newer(&shop), Agent::older(&shop).await);
    let good = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "changes", "arguments": {"limit": 5, "since": "2h"}}}),
        json!({"jsonrpc": "2.0", "id": "a", "method": "resources/read", "params": {"uri": "k0rdent://cluster-monitor/a/b?timeout=5"}}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "prompts/get", "params": {"name": "diagnose_cluster_health", "arguments": {"focus_area": "all"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}),
        json!({"jsonrpc": "2.0", "id": 3, "method": "completion/complete", "params": {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "namespace", "value": ""}}}),
    ];
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for case in 0..CASES {
        let text = spoilt(&mut numbers, &good[case % good.len()].to_string());
        let agent = if case % 2 == 0 { &newer } else { &older };
        let answer = agent.post_text(&text, &[]).await;
        assert!(answer.status.as_u16() < 500, "{text}\n{} {}", answer.status, answer.text);
    }
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "\u{0}",
        "{\"jsonrpc\":\"2.0\"",
        &"[".repeat(100_000),
        &format!("{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000)),
    ] {
        for agent in [&newer, &older] {
            let answer = agent.post_text(text, &[]).await;
            assert!((400..500).contains(&answer.status.as_u16()), "{} {}", answer.status, answer.text);
        }
    }
    let huge = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    assert_eq!(newer.post_text(&huge, &[]).await.status.as_u16(), 413);
    for agent in [&newer, &older] {
        assert_eq!(agent.call("clusters", json!({})).await["items"][0]["id"], "c1", "it still answers");
    }
}
