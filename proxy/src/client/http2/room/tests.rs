use super::*;
use proptest::prelude::*;

const BASE: u64 = 4 << 20;
const STREAMS: usize = 32;
const STREAM: u64 = 256 << 10;

/// A client that sends whatever it was told that it may, and a connection that tells it as the library does.
#[derive(Debug)]
struct Connection {
    window: Window,
    held: [u64; STREAMS],
    came: u64,
    /// What the client may still send.
    told: u64,
}

#[derive(Clone, Debug)]
enum Step {
    /// The connection is driven, and so many bytes come on these streams.
    Drive(Vec<(usize, u64)>),
    /// A stream is read, or ends.
    Read(usize),
}

impl Connection {
    fn new() -> Self {
        Self {
            window: Window::new(BASE as u32),
            held: [0; STREAMS],
            came: 0,
            told: BASE,
        }
    }

    fn held(&self) -> u64 {
        self.held.iter().sum()
    }

    fn look(&mut self, may_grow: bool, purse: &Purse) {
        if self.window.is_due(self.came) {
            let held = self.held();
            self.window.resize(self.came, held, may_grow, purse);
        }
    }

    fn tell(&mut self) {
        let room = self.window.size.saturating_sub(self.held());
        self.told = self.told.max(room);
    }

    fn step(&mut self, step: &Step, may_grow: bool, purse: &Purse) {
        match step {
            Step::Drive(coming) => {
                self.look(may_grow, purse);
                self.tell();
                for (stream, bytes) in coming {
                    let held = &mut self.held[*stream];
                    let bytes = (*bytes).min(self.told).min(STREAM - *held);
                    *held += bytes;
                    self.told -= bytes;
                    self.came += bytes;
                    self.tell();
                }
                self.look(may_grow, purse);
            }
            Step::Read(stream) => self.held[*stream] = 0,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let coming = prop::collection::vec((0..STREAMS, 1..=STREAM), 0..8);
    prop_oneof![
        2 => coming.prop_map(Step::Drive),
        1 => (0..STREAMS).prop_map(Step::Read),
    ]
}

proptest! {
    #[test]
    fn what_clients_may_send_is_paid_for(
        left in 0..3 * BASE,
        steps in prop::collection::vec((0..2_usize, step(), prop::bool::weighted(0.9)), 0..200),
    ) {
        let purse = Purse(Cell::new(left));
        let mut connections = [Connection::new(), Connection::new()];
        for (which, step, may_grow) in steps {
            connections[which].step(&step, may_grow, &purse);
            let granted: u64 = connections.iter().map(|each| each.window.granted).sum();
            prop_assert_eq!(granted + purse.0.get(), left);
            for each in &connections {
                let exposed = each.told + each.held();
                prop_assert!(exposed <= BASE + each.window.granted, "{:?}", each);
            }
        }
        for mut each in connections {
            each.held = [0; STREAMS];
            each.step(&Step::Drive(Vec::new()), true, &purse);
            prop_assert_eq!((each.window.size, each.window.granted), (BASE, 0));
        }
        prop_assert_eq!(purse.0.get(), left);
    }

    #[test]
    fn room_stays_open_while_the_purse_lasts(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let purse = Purse(Cell::new(STREAMS as u64 * STREAM));
        let mut connection = Connection::new();
        for step in steps {
            connection.step(&step, true, &purse);
            connection.step(&Step::Drive(Vec::new()), true, &purse);
            prop_assert!(connection.told >= BASE / 2 - BASE / 8, "{:?}", connection);
        }
    }
}

#[test]
fn an_empty_purse_and_want_of_memory_leave_the_window_as_it_is() {
    let held = 2 * BASE;
    for (left, may_grow) in [(0, true), (BASE, false)] {
        let purse = Purse(Cell::new(left));
        let mut window = Window::new(BASE as u32);
        assert_eq!(window.resize(held, held, may_grow, &purse), None);
        assert_eq!(purse.0.get(), left);
    }
}

#[test]
fn the_purse_is_a_part_of_the_memory() {
    for (memory, workers, most) in [
        (None, 1, 256 << 20),
        (None, 4, 64 << 20),
        (Some(512 << 20), 2, 64 << 20),
        (Some(1 << 40), 2, 128 << 20),
    ] {
        assert_eq!(
            Purse::new(memory, workers).0.get(),
            most,
            "{memory:?} {workers}"
        );
    }
}
