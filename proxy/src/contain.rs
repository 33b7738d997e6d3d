//! Keeping a panic to the task that it happens in.

use crate::worker::Worker;
use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    task::Poll,
};
use tokio::task::spawn_local;

/// Runs what `begin` gives as a task of its own. A panic, which is a defect of the proxy, ends that task alone: what the
/// task holds is dropped, which closes its connection and gives back its places, and the worker counts it and goes on.
///
/// The future is made inside the task and lies in a box: the runtime moves a task's future eight times from its beginning to its
/// end, and these are some ten kilobytes.
pub(crate) fn spawn<W>(worker: &Rc<Worker>, what: &'static str, begin: impl FnOnce() -> W + 'static)
where
    W: Future<Output = ()> + 'static,
{
    let worker = Rc::clone(worker);
    spawn_local(async move {
        if let Err(panic) = contain(begin).await {
            worker.counters().panics.count();
            tracing::error!(
                "{what} was given up: the proxy panicked: {}",
                message(&*panic)
            );
        }
    });
}

/// Runs what `begin` gives.
///
/// # Errors
/// What it panicked with.
async fn contain<W: Future>(begin: impl FnOnce() -> W) -> Result<W::Output, Box<dyn Any + Send>> {
    let mut work = Box::pin(begin());
    // Nobody polls it again after a panic, and what it shares with other tasks is put right by destructors.
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}

/// What was said with a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_runs_is_not_moved_with_the_task() {
        let large = async || {
            let bytes = [1_u8; 4096];
            std::future::pending::<()>().await;
            std::hint::black_box(bytes);
        };
        let contained = size_of_val(&contain(large));
        assert!(contained < 256, "{contained}");
    }

    #[test]
    fn only_a_panic_is_an_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            assert_eq!(contain(async || 7).await.unwrap(), 7);
            let said = contain(async || panic!("in so many words")).await;
            assert_eq!(message(&*said.unwrap_err()), "in so many words");
            let number = 3;
            let said = contain(async || assert_eq!(number, 4, "numbers")).await;
            assert!(message(&*said.unwrap_err()).contains("numbers"));
            let said = contain(async || std::panic::panic_any(number)).await;
            assert_eq!(message(&*said.unwrap_err()), "no message");
        });
    }
}
