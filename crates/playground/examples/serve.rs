//! A playground to try things on: `cargo run -p proreus-playground --example serve -- [PORT] [SCENARIO|shop|empty] [FACTOR]`.
//!
//! Writes a kubeconfig to standard output and serves until it is stopped.
#![allow(clippy::print_stdout)]

use std::net::SocketAddr;

use proreus_playground::{LivePlayground, Scenario, shop};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port: u16 = arguments.first().map_or(Ok(0), |port| port.parse())?;
    let scenario = match arguments.get(1).map(String::as_str) {
        Some("shop") | None => shop()?,
        Some("empty") => Scenario::parse("guarantee: an empty cluster, whose time passes\n")?,
        Some(path) => Scenario::parse(&std::fs::read_to_string(path)?)?,
    };
    let factor: f64 = arguments.get(2).map_or(Ok(1.0), |factor| factor.parse())?;
    let mut live = LivePlayground::start(scenario, SocketAddr::from(([127, 0, 0, 1], port)), factor).await?;
    println!("{}", live.playground.kubeconfig());
    match live.failed().await {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}
