//! Any client that keeps the rules gets what it asked for, whole, within the windows that it gave, in whatever pieces its frames come.

use super::*;
use crate::http1::Piece;
use bytes::Bytes;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

/// What a client does, or the network.
#[derive(Clone, Debug)]
enum Step {
    /// A request, whose answer has so many bytes.
    Ask(usize),
    /// So many bytes of a body, on one of the streams that have more to come.
    Send(usize, usize),
    /// The end of one.
    End(usize),
    /// Room on one of the streams, or on the connection.
    Room(Option<usize>, u32),
    /// Another window for new streams.
    Window(u32),
    /// A request is given up.
    Reset(usize),
    /// So many of the bytes that wait are written.
    Write(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..100_000).prop_map(Step::Ask),
        6 => (any::<usize>(), 0_usize..20_000).prop_map(|(stream, size)| Step::Send(stream, size)),
        2 => any::<usize>().prop_map(Step::End),
        6 => (proptest::option::of(any::<usize>()), 1_u32..50_000).prop_map(|(stream, size)| Step::Room(stream, size)),
        1 => (0_u32..100_000).prop_map(Step::Window),
        1 => any::<usize>().prop_map(Step::Reset),
        6 => (0_usize..100_000).prop_map(Step::Write),
    ]
}

#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Whoever answers a request: reads all of it, and then sends so many bytes, as a task that runs when it is woken.
struct Task {
    handle: Handle,
    bell: Arc<Bell>,
    got: usize,
    has_read: bool,
    has_begun: bool,
    answer: Bytes,
}

impl Task {
    fn run(&mut self) -> Poll<()> {
        let waker = Waker::from(Arc::clone(&self.bell));
        let context = &Context::from_waker(&waker);
        if self.handle.poll_reset(context).is_ready() {
            return Poll::Ready(());
        }
        while !self.has_read {
            match self.handle.poll_piece(context) {
                Poll::Ready(Ok(Piece::Data(data))) => self.got += data.len(),
                Poll::Ready(Ok(Piece::End)) => self.has_read = true,
                Poll::Ready(Ok(Piece::Trailers(_))) => {}
                Poll::Ready(Err(Gone)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            let head = AnswerHead {
                status: http::StatusCode::OK,
                headers: &http::HeaderMap::new(),
                lines: None,
                length: Some(self.answer.len() as u64),
            };
            self.handle.send_head(&head, false).unwrap();
        }
        loop {
            match self.handle.poll_data(&mut self.answer, true, context) {
                Poll::Ready(Ok(_)) if self.answer.is_empty() => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(Gone)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// A stream as the client knows it.
#[derive(Default)]
struct Known {
    /// Bytes that it may send.
    may_send: i64,
    sent: usize,
    has_sent_all: bool,
    /// Bytes that it takes.
    takes: i64,
    asked: usize,
    got: usize,
    has_ended: bool,
    is_reset: bool,
}

/// A client and its connection.
struct World {
    session: Rc<RefCell<Session>>,
    input: BytesMut,
    pieces: usize,
    tasks: BTreeMap<u32, Task>,
    /// What tasks got that are done.
    read: BTreeMap<u32, usize>,
    known: BTreeMap<u32, Known>,
    next: u32,
    may_send: i64,
    takes: i64,
    window: i64,
    /// How windows change of streams before one, when the connection says that it knows.
    changes: VecDeque<(u32, i64)>,
    /// Bytes that were written, and not looked at.
    came: Vec<u8>,
}

const LIMITS: Http2Limits = Http2Limits {
    concurrent_streams: 8,
    pending_resets: 1000,
    local_resets: 0,
    control_frames: 10_000,
    stream_window: 30_000,
    connection_window: 100_000,
};

impl World {
    fn new(pieces: usize) -> Self {
        let session = begun(LIMITS);
        let mut world = Self {
            session,
            input: BytesMut::new(),
            pieces,
            tasks: BTreeMap::new(),
            read: BTreeMap::new(),
            known: BTreeMap::new(),
            next: 1,
            may_send: 65_535,
            takes: 65_535,
            window: 65_535,
            changes: VecDeque::new(),
            came: Vec::new(),
        };
        world.tell(&frame(4, 1, 0, &[]));
        world
    }

    /// Has the connection take `bytes`, in pieces.
    fn tell(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.pieces) {
            self.input.extend_from_slice(piece);
            self.take();
        }
    }

    fn take(&mut self) {
        let mut text = Text::default();
        let taken = self
            .session
            .borrow_mut()
            .receive(&mut self.input, &mut text, Duration::ZERO);
        taken.unwrap();
        loop {
            let Some(arrived) = self.session.borrow_mut().accept() else {
                break;
            };
            let id = arrived.stream;
            let task = Task {
                handle: Handle::new(&self.session, id),
                bell: Arc::default(),
                got: 0,
                has_read: false,
                has_begun: false,
                answer: Bytes::from(vec![1; self.known[&id].asked]),
            };
            task.bell.0.store(true, SeqCst);
            self.tasks.insert(id, task);
        }
        self.run();
    }

    /// Has all tasks run that were woken, until none is.
    fn run(&mut self) {
        while let Some((&id, task)) = self
            .tasks
            .iter_mut()
            .find(|(_, task)| task.bell.0.swap(false, SeqCst))
        {
            if task.run().is_ready() {
                let done = self.tasks.remove(&id);
                self.read.insert(id, done.map_or(0, |task| task.got));
            }
        }
    }

    /// Writes up to `most` bytes, and looks at the frames that the client has whole.
    fn write(&mut self, most: usize) {
        let bytes = self.session.borrow_mut().write(most);
        self.came.extend(bytes);
        self.run();
        while let Some(head) = frame::Head::read(&self.came) {
            if self.came.len() < 9 + head.length {
                return;
            }
            let payload: Vec<u8> = self.came.drain(..9 + head.length).skip(9).collect();
            self.heard(head, &payload);
        }
    }

    fn heard(&mut self, head: frame::Head, payload: &[u8]) {
        let is_end = head.has(1);
        let number = frame::number(payload).map_or(0, i64::from);
        match (head.kind, head.stream) {
            (frame::DATA, id) => {
                self.takes -= payload.len() as i64;
                let known = self.known.get_mut(&id).unwrap();
                known.takes -= payload.len() as i64;
                known.got += payload.len();
                assert!(!known.has_ended);
                assert!(known.takes >= 0 || payload.is_empty());
                assert!(self.takes >= 0);
                known.has_ended |= is_end;
            }
            (frame::WINDOW_UPDATE, 0) => self.may_send += number,
            (frame::WINDOW_UPDATE, id) => self.known.get_mut(&id).unwrap().may_send += number,
            // Only what the client itself gave up, or has not sent whole.
            (frame::RST_STREAM, id) => {
                let known = &self.known[&id];
                assert!(
                    known.has_ended || known.is_reset || number == 7,
                    "{id}: {number}"
                );
                if number == 7 {
                    self.known.get_mut(&id).unwrap().is_reset = true;
                }
            }
            (frame::SETTINGS, 0) => {
                let (next, change) = self.changes.pop_front().unwrap();
                for (_, known) in self.known.range_mut(..next) {
                    known.takes += change;
                }
            }
            (frame::HEADERS, _) => {}
            other => panic!("{other:?}"),
        }
        let may_come = LIMITS.connection_window.into();
        assert!(self.may_send <= may_come, "{}", self.may_send);
    }

    /// One of the streams for which `is_one` holds.
    fn pick(&self, at: usize, is_one: impl Fn(&Known) -> bool) -> Option<u32> {
        let those: Vec<u32> = self
            .known
            .iter()
            .filter(|(_, known)| !known.is_reset && is_one(known))
            .map(|(id, _)| *id)
            .collect();
        those.get(at.checked_rem(those.len())?).copied()
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Ask(size) => {
                let id = self.next;
                self.next += 2;
                let known = Known {
                    may_send: LIMITS.stream_window.into(),
                    takes: self.window,
                    asked: size,
                    ..Known::default()
                };
                self.known.insert(id, known);
                let head = [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":authority", "a"),
                    (":path", "/"),
                ];
                self.tell(&frame(1, 4, id, &block(&head)));
            }
            Step::Send(at, size) => {
                let Some(id) = self.pick(at, |known| !known.has_sent_all) else {
                    return;
                };
                let known = self.known.get_mut(&id).unwrap();
                let most = known.may_send.min(self.may_send).clamp(0, 16_384) as usize;
                let size = size.min(most);
                known.may_send -= size as i64;
                self.may_send -= size as i64;
                known.sent += size;
                self.tell(&frame(0, 0, id, &vec![2; size]));
            }
            Step::End(at) => {
                if let Some(id) = self.pick(at, |known| !known.has_sent_all) {
                    self.end(id);
                }
            }
            Step::Room(None, size) => {
                self.takes += i64::from(size);
                self.tell(&frame(8, 0, 0, &size.to_be_bytes()));
            }
            Step::Room(Some(at), size) => {
                if let Some(id) = self.pick(at, |_| true) {
                    self.known.get_mut(&id).unwrap().takes += i64::from(size);
                    self.tell(&frame(8, 0, id, &size.to_be_bytes()));
                }
            }
            Step::Window(size) => {
                let change = i64::from(size) - self.window;
                self.window = size.into();
                self.changes.push_back((self.next, change));
                self.tell(&frame(
                    4,
                    0,
                    0,
                    &[&[0, 4][..], &size.to_be_bytes()].concat(),
                ));
            }
            Step::Reset(at) => {
                if let Some(id) = self.pick(at, |known| !known.has_ended || !known.has_sent_all) {
                    self.known.get_mut(&id).unwrap().is_reset = true;
                    self.tell(&frame(3, 0, id, &[0, 0, 0, 8]));
                }
            }
            Step::Write(most) => self.write(most),
        }
    }

    fn end(&mut self, id: u32) {
        self.known.get_mut(&id).unwrap().has_sent_all = true;
        self.tell(&frame(0, 1, id, &[]));
    }

    /// Ends all requests, makes room for all answers, and checks that they come whole.
    fn settle(&mut self) {
        let ids: Vec<u32> = self.known.keys().copied().collect();
        for id in &ids {
            let known = &self.known[id];
            if !known.has_sent_all && !known.is_reset {
                self.end(*id);
            }
        }
        // Once, so that nobody is woken by it who was forgotten to be woken.
        const ROOM: u32 = 1 << 28;
        for id in &ids {
            let known = self.known.get_mut(id).unwrap();
            if !known.is_reset {
                known.takes += i64::from(ROOM);
                self.tell(&frame(8, 0, *id, &ROOM.to_be_bytes()));
            }
        }
        self.step(&Step::Room(None, ROOM));
        for _ in 0..200 {
            self.write(50_000);
            // What was not read filled the way out.
            self.take();
        }
        for (id, known) in &self.known {
            if !known.is_reset {
                assert!(known.has_ended, "{id} has {} of {}", known.got, known.asked);
                assert_eq!(
                    (known.got, self.read[id]),
                    (known.asked, known.sent),
                    "{id}"
                );
            }
        }
        assert!(self.tasks.is_empty());
        let mut session = self.session.borrow_mut();
        assert_eq!(session.bodies().1, 0, "nothing is held");
        session.rest();
        assert!(session.is_flushed());
        assert!(self.may_send >= i64::from(LIMITS.connection_window / 2));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_answer_comes_whole(
        steps in prop::collection::vec(step(), 1..120),
        pieces in 1_usize..5000,
    ) {
        let mut world = World::new(pieces);
        for step in &steps {
            world.step(step);
        }
        world.settle();
    }
}
