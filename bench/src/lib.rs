//! Load, origins and micro cases.
