//! One method per use case; joins brains and hands.
