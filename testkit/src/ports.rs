//! Free loopback ports that stay ours while a program is restarted.
//!
//! A port from `bind(0)` lies in the range that outgoing connections take their source ports
//! from, so it can be gone when an API server is started a second time. Ports here come from
//! below that range, and each is claimed across processes by a lock on a file.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};

use crate::{Error, Result};

// Linux hands out source ports from 32768 upwards; below 20000 live too many well-known services.
const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// A port on 127.0.0.1 that no other test claims while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _claim: File,
}

impl Port {
    /// Claims a port on which nothing listens.
    ///
    /// # Errors
    /// When every port of the range is taken.
    pub fn claim() -> Result<Self> {
        let uid = nix::unistd::getuid();
        let dir = std::env::temp_dir().join(format!("proreus-ports-{uid}"));
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let span = u32::from(LAST - FIRST) + 1;
        // Processes start at different places, so that they rarely try each other's ports.
        let start = std::process::id().wrapping_mul(61) % span;
        for offset in 0..span {
            let number = FIRST + u16::try_from((start + offset) % span).unwrap_or(0);
            let path = dir.join(number.to_string());
            let claim = File::create(&path).map_err(Error::io("create", &path))?;
            if claim.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _claim: claim });
            }
        }
        Err(Error::PortsExhausted { first: FIRST, last: LAST })
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Port;

    #[test]
    fn never_gives_one_port_twice_while_it_is_held() {
        let held: Vec<Port> = (0..20).map(|_| Port::claim().unwrap()).collect();
        let mut numbers: Vec<u16> = held.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), held.len());
    }
}
