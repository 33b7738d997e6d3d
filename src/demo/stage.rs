//! Where the demo is shown: a live view on a terminal, lines everywhere else.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use super::load::Totals;
use crate::api::RolloutView;
use crate::view::{Changes, Key, Live, Palette, Screen, count, stamp};

/// How often the demo looks around.
const INTERVAL: Duration = Duration::from_millis(50);

/// Shows the demo.
#[derive(Debug)]
pub(crate) struct Stage {
    start: Timestamp,
    changes: Changes,
    said: String,
    screen: Option<Screen>,
    palette: Palette,
}

impl Stage {
    /// A live view if the standard output is a terminal and `plain` is not asked for.
    ///
    /// # Errors
    /// When the terminal cannot be taken.
    pub(crate) fn open(plain: bool, start: Timestamp) -> io::Result<Self> {
        let live = !plain && io::stdout().is_terminal();
        let screen = if live { Some(Screen::open()?) } else { None };
        Ok(Self {
            start,
            changes: Changes::since(start),
            said: String::new(),
            screen,
            palette: Palette::of_environment(),
        })
    }

    /// Whether it is a live view, in which what is said last replaces what was said before.
    pub(crate) fn is_live(&self) -> bool {
        self.screen.is_some()
    }

    /// Says what happens in the story.
    ///
    /// # Errors
    /// When the output is closed.
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        text.clone_into(&mut self.said);
        match &self.screen {
            Some(_) => Ok(()),
            None => line(&format!(
                "{} demo: {text}",
                stamp(self.start, Timestamp::now())
            )),
        }
    }

    /// Takes in a new view.
    ///
    /// # Errors
    /// When the output is closed.
    pub(crate) fn show(&mut self, view: &RolloutView) -> io::Result<()> {
        match &self.screen {
            Some(_) => Ok(()),
            None => self
                .changes
                .lines(view)
                .iter()
                .try_for_each(|text| line(text)),
        }
    }

    /// Brings the screen up to date and waits a moment; whether a person has seen enough.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn wait(&mut self, view: Option<&RolloutView>, totals: &Totals) -> io::Result<bool> {
        let Some(screen) = &mut self.screen else {
            thread::sleep(INTERVAL);
            return Ok(false);
        };
        if let Some(view) = view {
            let caption = [
                format!("demo: {}", self.said),
                format!(
                    "users: {} answered, {} failed",
                    count(totals.ok),
                    count(totals.failed)
                ),
            ];
            screen.draw(&Live {
                view,
                palette: self.palette,
                caption: &caption,
                notice: None,
            })?;
        }
        Ok(screen.key(INTERVAL)? == Some(Key::Quit))
    }
}

fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
