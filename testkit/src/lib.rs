//! Fixtures and real components for tests: etcd, kube-apiserver, KWOK.
