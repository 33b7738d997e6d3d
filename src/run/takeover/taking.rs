//! The new process's part.

use super::{
    Failed, PATIENCE, Sockets, VERSION,
    wire::{Broken, FromNew, FromOld, Group, Role, Wire},
};
use proxy::SocketGroup;
use std::{os::unix::net::UnixStream, path::Path};

/// A takeover that has begun.
#[derive(Debug)]
pub(crate) struct Taking {
    wire: Wire,
    /// Whether the other process was killed meanwhile.
    is_alone: bool,
}

impl Taking {
    /// Begins to take over from the process that waits at `path`, and brings its sockets.
    ///
    /// # Errors
    /// Nobody is there, the other process refuses, or what it says makes no sense. It goes on then.
    pub(crate) fn begin(path: &Path) -> Result<(Self, Sockets), Failed> {
        let nobody = |why| Failed::Nobody {
            path: path.to_owned(),
            why,
        };
        Self::begin_over(UnixStream::connect(path).map_err(nobody)?)
    }

    pub(super) fn begin_over(stream: UnixStream) -> Result<(Self, Sockets), Failed> {
        let mut wire = Wire::new(stream)?;
        // When nobody hears this, nobody answers either; a refusal may be there to be read.
        let _ = wire.say(&FromNew::Hello { version: VERSION });
        let groups = match wire.hear(Some(PATIENCE))? {
            FromOld::Sockets { groups } => groups,
            FromOld::Refused { why } => return Err(Failed::Refused(why)),
            other => return Err(unexpected(&other)),
        };
        let sockets = take(&mut wire, &groups)?;
        let is_alone = false;
        Ok((Self { wire, is_alone }, sockets))
    }

    /// Says that all is ready, and waits until the state file is free.
    ///
    /// # Errors
    /// The other process goes on.
    pub(crate) fn release(&mut self) -> Result<(), Failed> {
        let _ = self.wire.say(&FromNew::Ready);
        match self.wire.hear(Some(PATIENCE)) {
            Ok(FromOld::Released) => Ok(()),
            other => self.other_than_agreed(other),
        }
    }

    /// Says that this process serves, and waits until the other one ends or goes on, however long it thinks about it:
    /// it may have decided already, and then nobody would serve if this one gave up.
    ///
    /// # Errors
    /// The other process goes on.
    pub(crate) fn finish(mut self) -> Result<(), Failed> {
        if self.is_alone {
            return Ok(());
        }
        let _ = self.wire.say(&FromNew::Serving);
        match self.wire.hear(None) {
            Ok(FromOld::Goodbye) => Ok(()),
            other => self.other_than_agreed(other),
        }
    }

    /// Whether the other process was killed, so that its end may still be under way.
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    fn other_than_agreed(&mut self, heard: Result<FromOld, Broken>) -> Result<(), Failed> {
        match heard {
            Ok(FromOld::Refused { why }) => Err(Failed::Refused(why)),
            Ok(other) => Err(unexpected(&other)),
            Err(Broken::Gone) => {
                tracing::warn!("the process before was killed; this one goes on alone");
                self.is_alone = true;
                Ok(())
            }
            Err(broken) => Err(broken.into()),
        }
    }
}

fn take(wire: &mut Wire, groups: &[Group]) -> Result<Sockets, Failed> {
    let number = groups
        .iter()
        .fold(0usize, |sum, group| sum.saturating_add(group.sockets));
    let mut descriptors = wire.take(number, PATIENCE)?.into_iter();
    let (mut admin, mut listeners) = (None, Vec::new());
    for group in groups {
        let Group {
            role,
            name,
            configured,
            sockets,
        } = group;
        let descriptors = descriptors.by_ref().take(*sockets).collect();
        let found = SocketGroup::from_descriptors(name, *configured, descriptors);
        let found = found.map_err(|why| Broken::Nonsense(format!("{role:?} {name}: {why}")))?;
        match role {
            Role::Listener => listeners.push(found),
            Role::Admin if admin.is_none() => admin = Some(found),
            Role::Admin => return Err(Broken::Nonsense("two admin servers".to_owned()).into()),
        }
    }
    let admin = admin.ok_or_else(|| Broken::Nonsense("no admin server".to_owned()))?;
    Ok(Sockets { listeners, admin })
}

fn unexpected(said: &FromOld) -> Failed {
    Broken::Nonsense(format!("it said {said:?} out of turn")).into()
}
