//! The thread that turns the engine and watches the files.

use super::documents;
use controller::{
    engine::{Engine, TICK},
    files::Files,
};
use proxy::{Clock, metrics::Exporter};
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};
use traffic::Routes;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What the loop works on.
pub(super) struct Loop {
    pub(super) engine: Arc<Mutex<Engine>>,
    pub(super) files: Files,
    pub(super) clock: Clock,
    pub(super) exporter: Arc<Exporter>,
    pub(super) routes: Arc<Routes>,
}

/// The running loop.
pub(super) struct Control {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

/// Starts the loop.
///
/// # Errors
/// The system gives no thread.
pub(super) fn start(work: Loop) -> io::Result<Control> {
    let (stop, stopped) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("control".into())
        .spawn(move || work.turn_until(&stopped))?;
    Ok(Control { stop, thread })
}

impl Control {
    /// Ends the loop; its last state is on its way to the disk then.
    pub(super) fn stop(self) {
        // The loop that is gone already needs no telling, and if it panicked it has printed why.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

impl Loop {
    fn turn_until(mut self, stopped: &mpsc::Receiver<()>) {
        let mut pause = TICK;
        let mut looked = Duration::ZERO;
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
            let elapsed = self.clock.elapsed();
            if elapsed.saturating_sub(looked) >= LOOK {
                looked = elapsed;
                self.look_at_files();
            }
            let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            engine.tick(jiff::Timestamp::now(), self.clock.elapsed());
            pause = engine.pause();
            drop(engine);
            self.routes
                .look(|table| self.exporter.observe(table, elapsed));
        }
    }

    /// Goes over to the files when they have changed and can be acted on. A set with an error in it changes nothing.
    fn look_at_files(&mut self) {
        if !self.files.changed() {
            return;
        }
        let loaded = documents::load(&mut self.files);
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        match loaded {
            Ok((spec, _)) => {
                tracing::info!("the files have changed and are taken over");
                engine.reload(spec);
            }
            Err(problems) => {
                tracing::error!(
                    "the files have changed and are refused as a whole; what ran goes on:\n{problems}"
                );
                engine.refuse(problems.0);
            }
        }
    }
}
