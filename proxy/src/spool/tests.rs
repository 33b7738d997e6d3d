use super::*;

const ROOM: Capacity = Capacity {
    records: 4,
    bytes: 1000,
};

fn record(inlet: &Inlet, text: &str) {
    inlet.put(|bytes| bytes.extend_from_slice(text.as_bytes()));
}

fn taken(spool: &Spool, slot: usize) -> (String, usize) {
    let mut batch = Batch::default();
    spool.take(slot, &mut batch);
    (String::from_utf8(batch.bytes).unwrap(), batch.records)
}

#[test]
fn records_come_out_in_order_and_by_worker() {
    let spool = Spool::new(2, ROOM);
    let inlets = [0, 1].map(|slot| Inlet::new(&spool, slot));
    for text in ["a", "b", "c"] {
        record(&inlets[0], text);
    }
    record(&inlets[1], "x");
    assert_eq!(taken(&spool, 0), ("abc".to_owned(), 3));
    assert_eq!(taken(&spool, 1), ("x".to_owned(), 1));
    assert_eq!(taken(&spool, 0), (String::new(), 0));
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
        let spool = Spool::new(1, capacity);
        let inlet = Inlet::new(&spool, 0);
        for _ in 0..6 {
            record(&inlet, "ten bytes.");
        }
        assert_eq!(taken(&spool, 0).1, expected);
        assert_eq!(spool.dropped(), 6 - expected as u64);
        record(&inlet, "again");
        assert_eq!(taken(&spool, 0), ("again".to_owned(), 1));
    }
}

#[test]
fn what_comes_while_a_slot_is_emptied_is_taken_next_and_in_order() {
    let spool = Spool::new(1, ROOM);
    let inlet = Inlet::new(&spool, 0);
    // Empties the slot while these records come.
    let emptied = |records: &[&str]| {
        let mut batch = Batch::default();
        let mut pending = lock(&spool.slots[0].pending);
        records.iter().for_each(|text| record(&inlet, text));
        batch.append(&mut pending);
        String::from_utf8(batch.bytes).unwrap()
    };
    record(&inlet, "a");
    assert_eq!(emptied(&["b", "c"]), "a");
    assert_eq!(taken(&spool, 0), ("bc".to_owned(), 2), "by itself");
    assert_eq!(emptied(&["d", "e"]), "");
    record(&inlet, "f");
    assert_eq!(taken(&spool, 0), ("def".to_owned(), 3));
    emptied(&["g"; 6]);
    assert_eq!(spool.dropped(), 2, "there are bounds, too");
    assert_eq!(taken(&spool, 0).0, "gggg");
}

#[test]
fn a_panic_while_a_record_is_written_costs_that_record_only() {
    let spool = Spool::new(1, ROOM);
    let inlet = Inlet::new(&spool, 0);
    let write = std::panic::AssertUnwindSafe(|| inlet.put(|_| panic!("as the test wants")));
    assert!(std::panic::catch_unwind(write).is_err());
    record(&inlet, "after");
    assert_eq!(taken(&spool, 0).0, "after");
}

#[test]
fn nothing_is_lost_but_what_is_counted() {
    let spool = Spool::new(2, ROOM);
    let (count, counted) = mpsc::channel();
    let drainer = Drainer::start("spool", Arc::clone(&spool), move |spool| {
        let mut batch = Batch::default();
        loop {
            let is_last = spool.is_ending();
            for slot in 0..spool.slots() {
                spool.take(slot, &mut batch);
                assert_eq!(batch.bytes.len(), batch.records * 3);
                count.send(batch.records as u64).unwrap();
                batch.clear();
            }
            if is_last {
                return;
            }
            spool.rest(Duration::from_millis(1));
        }
    })
    .unwrap();
    let workers: Vec<_> = (0..2)
        .map(|slot| {
            let inlet = Inlet::new(&spool, slot);
            thread::spawn(move || (0..10_000).for_each(|_| record(&inlet, "abc")))
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(drainer.finish(Duration::from_secs(60)));
    let written: u64 = counted.iter().sum();
    assert_eq!(written + spool.dropped(), 20_000);
    assert!(written > 0);
}

#[test]
fn a_drainer_that_hangs_is_left_behind() {
    let spool = Spool::new(1, ROOM);
    let (release, held) = mpsc::channel::<()>();
    let hang = move |_: &Spool| assert!(held.recv().is_err());
    let drainer = Drainer::start("spool", spool, hang).unwrap();
    assert!(!drainer.finish(Duration::ZERO));
    drop(release);
}
