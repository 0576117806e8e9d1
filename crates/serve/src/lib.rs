//! REST hosting and conversion, no logic.
