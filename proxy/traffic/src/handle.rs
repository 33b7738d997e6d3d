//! The two ends of the wire between controller and proxy.
//!
//! The controller publishes whole, immutable tables; every worker reads them through a cached reference of its own
//! and acknowledges the generation that it serves. The proxy never waits for the controller: with the controller
//! gone, the last table goes on serving.

use crate::RouteTable;
use arc_swap::{ArcSwap, Cache};
use std::{
    fmt,
    future::poll_fn,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    task::{Poll, Waker},
};

/// The number of a published table. Only grows while the process lives; 0 is the empty table before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// The generation with this number, for counters that are not those of one process.
    pub const fn of(number: u64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A table and its number.
#[derive(Debug, Default)]
struct Published {
    generation: Generation,
    table: RouteTable,
}

/// What a reader tells the writer. The generation is [`GONE`] once the reader is dropped.
#[derive(Debug, Default)]
struct Acknowledgement {
    generation: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

/// Stands for a reader that was dropped, which holds nobody up.
const GONE: u64 = u64::MAX;

/// The controller's end: publishes tables and sees which of them are served.
#[derive(Debug)]
pub struct Routes {
    current: Arc<ArcSwap<Published>>,
    /// By worker.
    readers: Mutex<Vec<Arc<Acknowledgement>>>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(Published::default())),
            readers: Mutex::default(),
        }
    }
}

impl Routes {
    /// Makes `table` the one that requests use from now on. Every request that begins after this call returns uses
    /// it, on every worker; requests under way keep the table that they began with.
    pub fn publish(&self, table: RouteTable) -> Generation {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = Generation(self.current.load().generation.0 + 1);
        self.current
            .store(Arc::new(Published { generation, table }));
        for reader in readers.iter() {
            let waker = reader
                .waker
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        generation
    }

    /// A new worker's end. Workers are numbered in the order of these calls, from 0.
    pub fn reader(&self) -> Reader {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let acknowledgement = Arc::new(Acknowledgement::default());
        readers.push(Arc::clone(&acknowledgement));
        let mut cache = Cache::new(Arc::clone(&self.current));
        let published = Arc::clone(cache.load());
        acknowledgement
            .generation
            .store(published.generation.0, Release);
        let view = Rc::new(View {
            published,
            worker: readers.len() - 1,
        });
        Reader {
            current: Arc::clone(&self.current),
            cache,
            view,
            acknowledgement,
        }
    }

    /// The generation last published.
    pub fn published(&self) -> Generation {
        self.current.load().generation
    }

    /// Looks at the table last published.
    pub fn look<T>(&self, look: impl FnOnce(&RouteTable) -> T) -> T {
        look(&self.current.load().table)
    }

    /// Looks at the table last published and its generation.
    pub fn look_at<T>(&self, look: impl FnOnce(Generation, &RouteTable) -> T) -> T {
        let current = self.current.load();
        look(current.generation, &current.table)
    }

    /// What each worker serves, by worker; nothing for one that has stopped.
    pub fn served(&self) -> Vec<Option<Generation>> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let served = |reader: &Arc<Acknowledgement>| match reader.generation.load(Acquire) {
            GONE => None,
            generation => Some(Generation(generation)),
        };
        readers.iter().map(served).collect()
    }

    /// The newest generation such that every live worker serves it or a newer one; nothing when no worker lives.
    pub fn acknowledged(&self) -> Option<Generation> {
        self.served().into_iter().flatten().min()
    }
}

/// A table as one worker sees it. A request keeps its view from start to end.
#[derive(Debug)]
pub struct View {
    published: Arc<Published>,
    worker: usize,
}

impl View {
    /// The table.
    pub fn table(&self) -> &RouteTable {
        &self.published.table
    }

    /// The table's generation.
    pub fn generation(&self) -> Generation {
        self.published.generation
    }

    /// The worker, whose shards of the counters this worker alone may write.
    pub fn worker(&self) -> usize {
        self.worker
    }
}

/// A worker's end: the current table behind a reference that costs one atomic load to check.
pub struct Reader {
    current: Arc<ArcSwap<Published>>,
    cache: Cache<Arc<ArcSwap<Published>>, Arc<Published>>,
    view: Rc<View>,
    acknowledgement: Arc<Acknowledgement>,
}

impl Reader {
    /// The table that was published last. The first call after a change acknowledges it.
    pub fn view(&mut self) -> &Rc<View> {
        let published = self.cache.load();
        if !Arc::ptr_eq(published, &self.view.published) {
            self.view = Rc::new(View {
                published: Arc::clone(published),
                worker: self.view.worker,
            });
            self.acknowledgement
                .generation
                .store(self.view.published.generation.0, Release);
        }
        &self.view
    }

    /// A future that is ready when a table newer than `seen` has been published. A worker without requests awaits it
    /// and then calls [`Reader::view`], so that it acknowledges too. It does not borrow the reader.
    pub fn changed(&self, seen: Generation) -> impl Future<Output = ()> + use<> {
        let current = Arc::clone(&self.current);
        let acknowledgement = Arc::clone(&self.acknowledgement);
        poll_fn(move |context| {
            // The waker is left before the check: a publish after the check finds it.
            let waker = context.waker().clone();
            *acknowledgement
                .waker
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(waker);
            if current.load().generation > seen {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.acknowledgement.generation.store(GONE, Release);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("worker", &self.view.worker)
            .field("generation", &self.view.generation())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{pin::pin, task::Context};

    #[test]
    fn a_generation_is_acknowledged_when_every_live_worker_serves_it() {
        let routes = Routes::default();
        let (mut first, mut second) = (routes.reader(), routes.reader());
        assert_eq!(routes.acknowledged(), Some(Generation(0)));
        let generation = routes.publish(RouteTable::default());
        assert_eq!(routes.acknowledged(), Some(Generation(0)));
        assert_eq!(first.view().generation(), generation);
        assert_eq!(
            routes.acknowledged(),
            Some(Generation(0)),
            "one worker still serves the old table"
        );
        assert_eq!(second.view().worker(), 1);
        assert_eq!(routes.acknowledged(), Some(generation));
        routes.publish(RouteTable::default());
        first.view();
        drop(second);
        assert_eq!(
            routes.acknowledged(),
            Some(routes.published()),
            "a stopped worker holds nobody up"
        );
        assert_eq!(routes.served(), [Some(routes.published()), None]);
        drop(first);
        assert_eq!(routes.acknowledged(), None, "nobody serves");
    }

    #[test]
    fn a_view_keeps_its_table() {
        let routes = Routes::default();
        let mut reader = routes.reader();
        let before = Rc::clone(reader.view());
        routes.publish(RouteTable::default());
        assert_eq!(before.generation(), Generation(0));
        assert_eq!(reader.view().generation(), Generation(1));
        assert_eq!(before.generation(), Generation(0));
    }

    #[test]
    fn the_last_table_serves_when_the_writer_is_gone() {
        let routes = Routes::default();
        let mut reader = routes.reader();
        let generation = routes.publish(RouteTable::default());
        drop(routes);
        assert_eq!(reader.view().generation(), generation);
        assert_eq!(reader.view().generation(), generation);
    }

    #[test]
    fn an_idle_worker_is_woken_by_a_publish() {
        let routes = Routes::default();
        let mut reader = routes.reader();
        let seen = reader.view().generation();
        let (woken, flag) = counting_waker();
        let mut changed = pin!(reader.changed(seen));
        let mut context = Context::from_waker(&woken);
        assert!(changed.as_mut().poll(&mut context).is_pending());
        assert_eq!(Arc::strong_count(&flag), 3, "the waker is kept");
        routes.publish(RouteTable::default());
        assert!(flag.0.load(Acquire) == 1, "woken once");
        assert!(changed.as_mut().poll(&mut context).is_ready());
    }

    struct Woken(AtomicU64);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        }
    }

    fn counting_waker() -> (Waker, Arc<Woken>) {
        let flag = Arc::new(Woken(AtomicU64::new(0)));
        (Waker::from(Arc::clone(&flag)), flag)
    }
}
