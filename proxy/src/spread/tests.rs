use super::{choose::slack, *};
use proptest::prelude::*;
use std::net::{Ipv4Addr, TcpListener};

const NO_LIMIT: usize = usize::MAX;

fn others(loads: &[usize]) -> impl Iterator<Item = Chosen> {
    let chosen = |(worker, &load)| Chosen { worker, load };
    loads.iter().enumerate().map(chosen)
}

#[test]
fn the_least_loaded_is_chosen_when_it_has_clearly_less() {
    for (own, most, loads, expected) in [
        // Nothing is less than nothing.
        (0, NO_LIMIT, &[0, 0][..], None),
        (1, NO_LIMIT, &[], None),
        // With few, one connection is much.
        (1, NO_LIMIT, &[1, 0, 0], Some(1)),
        (1, NO_LIMIT, &[1, 1], None),
        (3, NO_LIMIT, &[5, 2, 2], Some(1)),
        (16, NO_LIMIT, &[15], Some(0)),
        // With many it is not.
        (17, NO_LIMIT, &[16], None),
        (18, NO_LIMIT, &[16], Some(0)),
        (1_062, NO_LIMIT, &[1_000], None),
        (1_063, NO_LIMIT, &[1_000], Some(0)),
        // Without room here, it goes wherever there is some.
        (100, 100, &[99], Some(0)),
        (100, 100, &[100], None),
        (120, 100, &[101], None),
        (0, 0, &[0], None),
    ] {
        let chosen = choose(own, most, others(loads)).map(|chosen| chosen.worker);
        assert_eq!(chosen, expected, "{own} of {most} beside {loads:?}");
    }
}

/// What happens to connections.
#[derive(Clone, Debug)]
enum Event {
    /// The kernel has this worker accept one.
    Accepted(usize),
    /// One of those that are open ends.
    Closed(usize),
    /// This worker takes nothing more.
    Stopped(usize),
}

fn event(workers: usize) -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..workers).prop_map(Event::Accepted),
        6 => any::<usize>().prop_map(Event::Closed),
        1 => (0..workers).prop_map(Event::Stopped),
    ]
}

fn ends(loads: &[usize]) -> (usize, usize) {
    let (least, most) = (loads.iter().min(), loads.iter().max());
    (*least.unwrap(), *most.unwrap())
}

/// The most that `loads` may be apart when connections were placed and none has ended.
fn bound(least: usize) -> usize {
    1 + slack(least)
}

proptest! {
    #[test]
    fn whoever_accepts_all_have_the_same(
        accepted in prop::collection::vec(0..4_usize, 1..400),
    ) {
        let (spread, inboxes) = Spread::new(4);
        inboxes.iter().for_each(Inbox::open);
        let mut open = Vec::new();
        for worker in accepted {
            open.push(spread.place(worker, NO_LIMIT, true));
            let loads = [0, 1, 2, 3].map(|worker| spread.load(worker));
            let (least, most) = ends(&loads);
            prop_assert!(most - least <= bound(least), "{loads:?}");
            prop_assert_eq!(loads.iter().sum::<usize>(), open.len());
        }
    }

    #[test]
    fn no_connection_goes_where_it_should_not(
        events in prop::collection::vec(event(5), 1..300),
        most in prop_oneof![Just(NO_LIMIT), 1..20_usize],
    ) {
        let (spread, mut inboxes) = Spread::new(5);
        inboxes.iter().for_each(Inbox::open);
        let mut stopped = [false; 5];
        let mut open: Vec<Load> = Vec::new();
        for event in events {
            let before = [0, 1, 2, 3, 4].map(|worker| spread.load(worker));
            match event {
                Event::Accepted(here) => {
                    let load = spread.place(here, most, true);
                    let there = load.worker();
                    open.push(load);
                    let takes = |worker: &usize| *worker == here || !stopped[*worker];
                    let all: Vec<_> = (0..5).filter(takes).map(|worker| before[worker]).collect();
                    let (least, _) = ends(&all);
                    prop_assert!(takes(&there), "{there} has stopped");
                    if least < most {
                        prop_assert!(before[there] < most, "there was room: {before:?}");
                        prop_assert!(before[there] <= least + slack(least), "{before:?}: {there}");
                    } else {
                        prop_assert_eq!(there, here, "no room anywhere: {:?}", before);
                    }
                }
                Event::Closed(which) if !open.is_empty() => {
                    open.swap_remove(which % open.len());
                }
                Event::Closed(_) => {}
                Event::Stopped(worker) => {
                    stopped[worker] = true;
                    inboxes[worker].close();
                }
            }
            let sum: usize = (0..5).map(|worker| spread.load(worker)).sum();
            prop_assert_eq!(sum, open.len());
        }
    }
}

#[test]
fn workers_that_place_at_the_same_time_do_not_choose_the_same() {
    let (spread, inboxes) = Spread::new(4);
    inboxes.iter().for_each(Inbox::open);
    let start = std::sync::Barrier::new(4);
    let open: Vec<Load> = std::thread::scope(|scope| {
        let place = |worker: usize| {
            let (spread, start) = (&spread, &start);
            scope.spawn(move || {
                start.wait();
                let place = |_| spread.place(worker % 2, NO_LIMIT, true);
                (0..1_000).map(place).collect::<Vec<_>>()
            })
        };
        let threads = [0, 1, 2, 3].map(place);
        threads
            .map(|thread| thread.join().unwrap())
            .into_iter()
            .flatten()
            .collect()
    });
    let loads = [0, 1, 2, 3].map(|worker| spread.load(worker));
    let (least, most) = ends(&loads);
    assert!(most - least <= bound(least), "{loads:?}");
    drop(open);
    assert_eq!([0, 1, 2, 3].map(|worker| spread.load(worker)), [0; 4]);
}

#[test]
fn without_leave_to_pass_on_only_a_full_worker_does() {
    let (spread, inboxes) = Spread::new(2);
    inboxes.iter().for_each(Inbox::open);
    let open = [2, 2, 2, 2].map(|most| spread.place(0, most, false));
    let workers: Vec<_> = open.iter().map(Load::worker).collect();
    assert_eq!(workers, [0, 0, 1, 1]);
}

#[test]
fn what_was_passed_on_before_the_end_is_taken_and_what_comes_later_is_given_back() {
    let (spread, mut inboxes) = Spread::new(2);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let passed = |load| Passed {
        stream: TcpStream::connect(address).unwrap(),
        peer: address,
        listener: 0,
        load,
    };
    inboxes[1].open();
    let (_own, first, second) = (
        spread.place(0, NO_LIMIT, true),
        spread.place(0, NO_LIMIT, true),
        spread.keep(1),
    );
    assert_eq!(first.worker(), 1);
    spread.pass(passed(first)).unwrap();
    inboxes[1].close();
    assert!(spread.pass(passed(second)).is_err());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        assert!(inboxes[1].next().await.is_some());
        assert!(inboxes[1].next().await.is_none());
    });
    assert_eq!((spread.load(0), spread.load(1)), (1, 0));
    let kept = spread.place(0, NO_LIMIT, true);
    assert_eq!(kept.worker(), 0, "one that has stopped gets nothing");
}
