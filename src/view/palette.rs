//! Colours, or none.

use ratatui::style::{Color, Modifier, Style};

/// How things are set off. Colour never carries a meaning that the text does not carry too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Palette {
    color: bool,
}

impl Palette {
    /// Bold and dim only.
    pub(crate) const PLAIN: Self = Self { color: false };

    /// With colours.
    #[cfg(test)]
    pub(crate) const COLOR: Self = Self { color: true };

    /// With colours unless `NO_COLOR` is set, as <https://no-color.org> has it.
    pub(crate) fn of_environment() -> Self {
        Self {
            color: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// Names and headings.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is there for reference.
    pub(super) fn faint(self) -> Style {
        match self.color {
            true => Style::new().fg(Color::DarkGray),
            false => Style::new().add_modifier(Modifier::DIM),
        }
    }

    /// The canary.
    pub(super) fn canary(self) -> Style {
        self.colored(Color::Yellow)
    }

    /// The stable version.
    pub(super) fn stable(self) -> Style {
        self.colored(Color::Cyan)
    }

    /// What speaks for the canary.
    pub(super) fn good(self) -> Style {
        self.colored(Color::Green)
    }

    /// What speaks against the canary.
    pub(super) fn bad(self) -> Style {
        self.colored(Color::Red)
    }

    /// A phase by its word.
    pub(super) fn phase(self, phase: &str) -> Style {
        let style = match phase {
            "Healthy" => self.good(),
            "Degraded" => self.bad(),
            _ => self.canary(),
        };
        style.add_modifier(Modifier::BOLD)
    }

    fn colored(self, color: Color) -> Style {
        match self.color {
            true => Style::new().fg(color),
            false => Style::new(),
        }
    }
}
