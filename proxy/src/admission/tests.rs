//! Connections are stood in for by tasks that wait to be told that something came, as the runtime's sockets tell it.

use super::*;
use std::{cell::Cell, future::poll_fn, rc::Rc, task::Poll};
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

/// Tasks that something may come for.
#[derive(Default)]
struct Stage {
    sleepers: RefCell<Vec<Option<Waker>>>,
    ran: RefCell<Vec<Event>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    /// A connection's request was begun.
    Request(usize),
    /// Another task ran.
    Answer,
}

/// A runtime as a worker has one, and its admission, at work.
fn runtime() -> (LocalRuntime, Rc<Admission>) {
    let begun = Arc::<Begun>::default();
    let resting = Arc::clone(&begun);
    let runtime = Builder::new_current_thread()
        .on_thread_park(move || resting.rest())
        .build_local(LocalOptions::default())
        .unwrap();
    let admission = Rc::new(Admission::new(begun));
    runtime.spawn_local(Rc::clone(&admission).serve());
    (runtime, admission)
}

impl Stage {
    /// Waits until something comes for the caller, who has the place that is given.
    async fn sleep(&self) {
        let mut place: Option<usize> = None;
        poll_fn(|context| {
            let mut sleepers = self.sleepers.borrow_mut();
            match place {
                Some(place) if sleepers[place].is_none() => Poll::Ready(()),
                _ => {
                    place = Some(sleepers.len());
                    sleepers.push(Some(context.waker().clone()));
                    Poll::Pending
                }
            }
        })
        .await;
    }

    /// Something comes for all, in the order in which they went to sleep.
    fn wake_all(&self) {
        for sleeper in self.sleepers.borrow_mut().iter_mut() {
            sleeper.take().unwrap().wake();
        }
    }

    async fn connection(self: Rc<Self>, admission: Rc<Admission>, index: usize) {
        self.sleep().await;
        let mut asked = false;
        poll_fn(|context| {
            if !asked {
                asked = true;
                if admission.holds(context) {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
        self.ran.borrow_mut().push(Event::Request(index));
    }

    async fn answer(self: Rc<Self>) {
        self.sleep().await;
        self.ran.borrow_mut().push(Event::Answer);
    }

    fn requests(&self) -> Vec<usize> {
        let ran = self.ran.borrow();
        let index = |event: &Event| match event {
            Event::Request(index) => Some(*index),
            Event::Answer => None,
        };
        ran.iter().filter_map(index).collect()
    }
}

/// Lets every other task run that can.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[test]
fn what_came_last_is_seen_to_before_more_than_a_few_requests() {
    let few = AT_ONCE as usize;
    for count in [1, few - 1, few, few + 1, 2 * few, 10 * few + 3] {
        let (runtime, admission) = runtime();
        let stage = Rc::new(Stage::default());
        for index in 0..count {
            runtime.spawn_local(Rc::clone(&stage).connection(Rc::clone(&admission), index));
        }
        runtime.spawn_local(Rc::clone(&stage).answer());
        runtime.block_on(async {
            settle().await;
            stage.wake_all();
            settle().await;
        });
        let before = stage
            .ran
            .borrow()
            .iter()
            .position(|ran| *ran == Event::Answer);
        assert_eq!(before, Some(count.min(few)), "of {count}");
        assert_eq!(stage.requests(), (0..count).collect::<Vec<_>>(), "in order");
    }
}

#[test]
fn nobody_waits_for_ever_beside_a_task_that_never_rests() {
    let (runtime, admission) = runtime();
    let stage = Rc::new(Stage::default());
    let count = 5 * AT_ONCE as usize;
    for index in 0..count {
        runtime.spawn_local(Rc::clone(&stage).connection(Rc::clone(&admission), index));
    }
    runtime.spawn_local(async {
        loop {
            yield_now().await;
        }
    });
    runtime.block_on(async {
        settle().await;
        stage.wake_all();
        settle().await;
    });
    assert_eq!(stage.requests(), (0..count).collect::<Vec<_>>());
}

#[test]
fn one_after_the_other_nobody_waits() {
    let (runtime, admission) = runtime();
    let held = Rc::new(Cell::new(0));
    runtime.block_on(async {
        for _ in 0..10 * AT_ONCE {
            poll_fn(|context| {
                held.set(held.get() + u32::from(admission.holds(context)));
                Poll::Ready(())
            })
            .await;
            // The runtime rests until it is woken from elsewhere.
            let (done, wait) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || done.send(()));
            wait.await.unwrap();
        }
    });
    assert_eq!(held.get(), 0);
}

#[test]
fn who_has_gone_is_not_missed() {
    let (runtime, admission) = runtime();
    let stage = Rc::new(Stage::default());
    let count = 3 * AT_ONCE as usize;
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            runtime.spawn_local(Rc::clone(&stage).connection(Rc::clone(&admission), index))
        })
        .collect();
    runtime.block_on(async {
        settle().await;
        stage.wake_all();
        // The first few are begun, and the others wait.
        yield_now().await;
        tasks[AT_ONCE as usize..count - 1]
            .iter()
            .for_each(|task| task.abort());
        settle().await;
    });
    assert_eq!(stage.requests().last(), Some(&(count - 1)));
}
