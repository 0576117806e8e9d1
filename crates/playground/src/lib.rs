//! A small in-memory Kubernetes API server with scripted scenarios.
