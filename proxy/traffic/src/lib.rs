//! Route table, matching, split, statistics, and the seam between proxy and controller. Pure.
