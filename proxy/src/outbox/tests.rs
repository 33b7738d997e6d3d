use super::*;

const ROOM: Capacity = Capacity {
    records: 4,
    bytes: 1000,
};

fn record(inlet: &Inlet, text: &str) {
    inlet.put(|bytes| bytes.extend_from_slice(text.as_bytes()));
}

fn taken(outbox: &Outbox, slot: usize) -> (String, usize) {
    let mut batch = Batch::default();
    outbox.take(slot, &mut batch);
    (String::from_utf8(batch.bytes).unwrap(), batch.records)
}

#[test]
fn records_come_out_in_order_and_by_worker() {
    let outbox = Outbox::new(2, ROOM);
    let inlets = [0, 1].map(|slot| Inlet::new(&outbox, slot));
    for text in ["a", "b", "c"] {
        record(&inlets[0], text);
    }
    record(&inlets[1], "x");
    assert_eq!(taken(&outbox, 0), ("abc".to_owned(), 3));
    assert_eq!(taken(&outbox, 1), ("x".to_owned(), 1));
    assert_eq!(taken(&outbox, 0), (String::new(), 0));
}

#[test]
fn what_has_no_room_is_dropped_and_counted() {
    for (capacity, expected) in [
        (ROOM, 4),
        (
            Capacity {
                records: 100,
                bytes: 25,
            },
            3,
        ),
    ] {
        let outbox = Outbox::new(1, capacity);
        let inlet = Inlet::new(&outbox, 0);
        for _ in 0..6 {
            record(&inlet, "ten bytes.");
        }
        assert_eq!(taken(&outbox, 0).1, expected);
        assert_eq!(outbox.dropped(), 6 - expected as u64);
        record(&inlet, "again");
        assert_eq!(taken(&outbox, 0), ("again".to_owned(), 1));
    }
}

#[test]
fn a_worker_holds_back_what_comes_while_its_slot_is_emptied() {
    let outbox = Outbox::new(1, ROOM);
    let inlet = Inlet::new(&outbox, 0);
    record(&inlet, "a");
    let emptying = outbox.slots[0].lock();
    for text in ["b", "c"] {
        record(&inlet, text);
    }
    drop(emptying);
    assert_eq!(taken(&outbox, 0).0, "a");
    record(&inlet, "d");
    assert_eq!(taken(&outbox, 0), ("bcd".to_owned(), 3));
    let emptying = outbox.slots[0].lock();
    for _ in 0..6 {
        record(&inlet, "e");
    }
    drop(emptying);
    assert_eq!(outbox.dropped(), 2, "holding back has bounds, too");
    drop(inlet);
    assert_eq!(taken(&outbox, 0).0, "eeee", "a worker's end holds nothing");
}

#[test]
fn a_panic_while_a_record_is_written_costs_that_record_only() {
    let outbox = Outbox::new(1, ROOM);
    let inlet = Inlet::new(&outbox, 0);
    let write = std::panic::AssertUnwindSafe(|| inlet.put(|_| panic!("as the test wants")));
    assert!(std::panic::catch_unwind(write).is_err());
    record(&inlet, "after");
    assert_eq!(taken(&outbox, 0).0, "after");
}

#[test]
fn nothing_is_lost_but_what_is_counted() {
    let outbox = Outbox::new(2, ROOM);
    let (count, counted) = mpsc::channel();
    let drainer = Drainer::start("outbox", Arc::clone(&outbox), move |outbox| {
        let mut batch = Batch::default();
        loop {
            let is_last = outbox.is_ending();
            for slot in 0..outbox.slots() {
                outbox.take(slot, &mut batch);
                assert_eq!(batch.bytes.len(), batch.records * 3);
                count.send(batch.records as u64).unwrap();
                batch.clear();
            }
            if is_last {
                return;
            }
            outbox.rest(Duration::from_millis(1));
        }
    })
    .unwrap();
    let workers: Vec<_> = (0..2)
        .map(|slot| {
            let inlet = Inlet::new(&outbox, slot);
            thread::spawn(move || (0..10_000).for_each(|_| record(&inlet, "abc")))
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(drainer.finish(Duration::from_secs(60)));
    let written: u64 = counted.iter().sum();
    assert_eq!(written + outbox.dropped(), 20_000);
    assert!(written > 0);
}

#[test]
fn a_drainer_that_hangs_is_left_behind() {
    let outbox = Outbox::new(1, ROOM);
    let (release, held) = mpsc::channel::<()>();
    let hang = move |_: &Outbox| assert!(held.recv().is_err());
    let drainer = Drainer::start("outbox", outbox, hang).unwrap();
    assert!(!drainer.finish(Duration::ZERO));
    drop(release);
}
