//! Gate: nothing on every request's way through the `traffic` crate allocates.

use bench::micro::{self, Case};
use stats_alloc::{Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: StatsAlloc<System> = StatsAlloc::system();

const OPERATIONS: u64 = 10_000;

// The only test of this program, as the count is of all threads.
#[test]
fn routing_and_counting_allocate_nothing() {
    let mut free = 0;
    for mut case in micro::all().unwrap() {
        let allocations = allocations(&mut case);
        let name = case.name;
        if case.is_allocation_free {
            free += 1;
            assert_eq!(
                allocations, 0,
                "{name} allocates, in {OPERATIONS} operations"
            );
        } else {
            assert!(
                allocations > 0,
                "{name} has become free: say so in its case"
            );
        }
    }
    assert!(free > 0);
}

/// Allocations over [`OPERATIONS`]. The thread that waits for the test allocates now and then, which can only add to
/// the count: the least of several counts is the case's own.
fn allocations(case: &mut Case) -> usize {
    const COUNTS: usize = 5;
    let count = || {
        let region = Region::new(&ALLOCATOR);
        case.repeat(OPERATIONS);
        let change = region.change();
        change.allocations + change.reallocations
    };
    std::iter::repeat_with(count)
        .take(COUNTS)
        .min()
        .unwrap_or(0)
}
