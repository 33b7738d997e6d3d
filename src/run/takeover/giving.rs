//! The old process's part.

use super::{
    FIRST_WORD, Failed, PATIENCE, Sockets, VERSION,
    wire::{Broken, FromNew, FromOld, Group, Role, Wire},
};
use proxy::SocketGroup;
use std::os::{
    fd::{AsFd as _, BorrowedFd},
    unix::net::UnixStream,
};

/// Hands `sockets` on to the process behind `stream`. `release` lets the rollouts go, once that process is ready, and
/// `retire` stops what must not be there twice, once that process serves. When this returns without an error, this process has nothing more to do than to finish what it has.
///
/// # Errors
/// The takeover did not come about, and the other process was told so, if it is there. It is for the caller to undo
/// what `release` and `retire` did.
pub(crate) fn give(
    stream: UnixStream,
    sockets: &Sockets,
    release: impl FnOnce() -> Result<(), String>,
    retire: impl FnOnce(),
) -> Result<(), Failed> {
    let mut wire = Wire::new(stream)?;
    let given = converse(&mut wire, sockets, release, retire);
    if let Err(failed) = &given {
        let why = failed.to_string();
        // If it does not hear this, it is gone.
        let _ = wire.say(&FromOld::Refused { why });
    }
    given
}

/// Tells the process behind `stream` that it cannot take over.
pub(crate) fn refuse(stream: UnixStream, why: String) -> Failed {
    let wire = Wire::new(stream);
    let told = wire.and_then(|mut wire| wire.say(&FromOld::Refused { why: why.clone() }));
    told.map_or_else(Failed::from, |()| Failed::Refused(why))
}

fn converse(
    wire: &mut Wire,
    sockets: &Sockets,
    release: impl FnOnce() -> Result<(), String>,
    retire: impl FnOnce(),
) -> Result<(), Failed> {
    match wire.hear(Some(FIRST_WORD))? {
        FromNew::Hello { version: VERSION } => {}
        FromNew::Hello { version } => {
            let why = format!(
                "it speaks version {version} of the takeover, and the process that runs speaks {VERSION}: stop that one and start anew"
            );
            return Err(Failed::Refused(why));
        }
        other => return Err(unexpected(&other)),
    }
    let admin = [(Role::Admin, &sockets.admin)];
    let listeners = sockets.listeners.iter();
    let groups = || {
        admin
            .into_iter()
            .chain(listeners.clone().map(|group| (Role::Listener, group)))
    };
    wire.say(&FromOld::Sockets {
        groups: groups().map(described).collect(),
    })?;
    let descriptors: Vec<BorrowedFd<'_>> = groups()
        .flat_map(|(_, group)| group.sockets().iter().map(|socket| socket.as_fd()))
        .collect();
    wire.hand_on(&descriptors)?;
    expect(wire, &FromNew::Ready)?;
    release().map_err(Failed::Refused)?;
    wire.say(&FromOld::Released)?;
    expect(wire, &FromNew::Serving)?;
    retire();
    Ok(wire.say(&FromOld::Goodbye)?)
}

fn described((role, group): (Role, &SocketGroup)) -> Group {
    Group {
        role,
        name: group.name().to_owned(),
        configured: group.configured(),
        sockets: group.sockets().len(),
    }
}

fn expect(wire: &mut Wire, word: &FromNew) -> Result<(), Failed> {
    let said: FromNew = wire.hear(Some(PATIENCE))?;
    if said == *word {
        return Ok(());
    }
    Err(unexpected(&said))
}

fn unexpected(said: &FromNew) -> Failed {
    Broken::Nonsense(format!("it said {said:?} out of turn")).into()
}
