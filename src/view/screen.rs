//! The terminal while a live view is on it.

use std::io;
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::DefaultTerminal;

use super::Live;

/// What a person pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// `q`, Esc or Ctrl-C.
    Quit,
}

/// The alternate screen in raw mode. Dropping it brings the terminal back as it was; so does a panic.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When the standard output is no terminal.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            terminal: ratatui::try_init()?,
        })
    }

    /// Shows `live`; only what changed is written.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn draw(&mut self, live: &Live<'_>) -> io::Result<()> {
        self.terminal
            .draw(|frame| frame.render_widget(live, frame.area()))?;
        Ok(())
    }

    /// Waits for a key at most so long.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub(crate) fn key(&mut self, wait: Duration) -> io::Result<Option<Key>> {
        if !event::poll(wait)? {
            return Ok(None);
        }
        let Event::Key(key) = event::read()? else {
            return Ok(None);
        };
        if key.kind == KeyEventKind::Release {
            return Ok(None);
        }
        let quit = match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        };
        Ok(quit.then_some(Key::Quit))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
