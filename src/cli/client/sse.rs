//! Server-sent events, line by line, as far as the admin API uses them.

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name; `message` when the server gave none.
    pub(crate) name: String,
    /// Its data, lines joined.
    pub(crate) data: String,
}

/// Collects lines until an event is whole.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    name: String,
    data: Option<String>,
}

impl Parser {
    /// Takes the next line, without its end, and gives the event that it completes.
    pub(crate) fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let data = self.data.take()?;
            return Some(Event {
                name: if name.is_empty() {
                    "message".into()
                } else {
                    name
                },
                data,
            });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // A line that begins with a colon is a comment; `id` and `retry` are not used.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Parser};

    #[test]
    fn lines_become_events() {
        let check = |lines: &[&str], expected: &[(&str, &str)]| {
            let mut parser = Parser::default();
            let events: Vec<Event> = lines.iter().filter_map(|line| parser.line(line)).collect();
            let expected: Vec<Event> = expected
                .iter()
                .map(|(name, data)| Event {
                    name: (*name).into(),
                    data: (*data).into(),
                })
                .collect();
            assert_eq!(events, expected, "{lines:?}");
        };
        check(&["event: rollout", "data: {}", ""], &[("rollout", "{}")]);
        check(
            &["data:1", "", "event:x", "data: 2", ""],
            &[("message", "1"), ("x", "2")],
        );
        check(&["data: a", "data:  b", ""], &[("message", "a\n b")]);
        check(
            &[": keep-alive", "", "id: 3", "retry: 5", "nonsense", ""],
            &[],
        );
        check(&["event: rollout", "", "data: 1", ""], &[("message", "1")]);
        check(&["event: rollout", "data: cut off"], &[]);
    }
}
