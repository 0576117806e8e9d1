//! The real Kubernetes control plane as a test bench, and what is needed around it.
//!
//! [`ControlPlane`] starts etcd, kube-apiserver and, if asked, kube-controller-manager,
//! kube-scheduler and KWOK on free loopback ports in a temporary directory.
//! [`FaultProxy`] stands before the API server and stalls, cuts or refuses connections.
//! [`Witness`] follows etcd itself and knows every version of every object that ever was.
//! [`Churn`] changes a cluster at a given rate, from a seed.
//!
//! It is not a test double: nothing here imitates Kubernetes. It is never shipped.
//!
//! The invariant: whatever is started here ends with the value that started it, or with
//! the process that holds that value, however that process ends.

mod binaries;
mod child;
mod churn;
mod control_plane;
mod credentials;
mod error;
mod etcd;
mod ports;
mod proxy;
mod witness;

pub use binaries::{Binaries, Module, Program, Versions, bench_sources, cache_dir};
pub use child::Child;
pub use churn::{Churn, ChurnOptions, ChurnReport, Population};
pub use control_plane::{ControlPlane, ControlPlaneOptions};
pub use credentials::User;
pub use error::Error;
pub use ports::Port;
pub use proxy::FaultProxy;
pub use witness::{ObjectPath, Version, Witness};

/// What every fallible function of the test kit returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
