//! Gate: nothing on every request's way through the `traffic` crate allocates.

use bench::micro;
use stats_alloc::{Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: StatsAlloc<System> = StatsAlloc::system();

// The only test of this program, as the count is of all threads.
#[test]
fn routing_and_counting_allocate_nothing() {
    const TIMES: u64 = 10_000;
    let mut free = 0;
    for mut case in micro::all().unwrap() {
        case.repeat(1);
        let region = Region::new(&ALLOCATOR);
        case.repeat(TIMES);
        let change = region.change();
        let allocations = change.allocations + change.reallocations;
        if case.is_allocation_free {
            free += 1;
            assert_eq!(
                allocations, 0,
                "{} allocates, in {TIMES} operations",
                case.name
            );
        } else {
            assert!(
                allocations > 0,
                "{} has become free: say so in its case",
                case.name
            );
        }
    }
    assert!(free > 0);
}
