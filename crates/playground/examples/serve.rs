//! A playground to try things on: `cargo run -p proreus-playground --example serve -- [PORT] [SCENARIO] [FACTOR]`.
//!
//! Writes a kubeconfig to standard output and serves until it is stopped.
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use proreus_playground::{Player, Playground, PlaygroundOptions, Scenario, ScenarioClock, play_in_real_time};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port: u16 = arguments.first().map_or(Ok(0), |port| port.parse())?;
    let scenario = match arguments.get(1) {
        Some(path) => Scenario::parse(&std::fs::read_to_string(path)?)?,
        None => Scenario::parse("guarantee: an empty cluster, whose time passes\n")?,
    };
    let factor: f64 = arguments.get(2).map_or(Ok(1.0), |factor| factor.parse())?;
    let clock = Arc::new(ScenarioClock::new(scenario.start));
    let mut options = PlaygroundOptions::new(clock.clone(), scenario.seed);
    options.listen.set_port(port);
    let playground = Playground::start(options).await?;
    println!("{}", playground.kubeconfig());
    let player = Player::new(&playground, clock, scenario);
    Err(play_in_real_time(player, factor).await.into())
}
