//! What the service manager is told (sd_notify(3)): datagrams to the socket that `NOTIFY_SOCKET` names, if any.

use std::{io, os::unix::net::UnixDatagram, process};

/// What happens to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It serves, and is the process that the service consists of.
    Ready,
    /// A new process was begun that takes over, or gives up: both end by [`News::Ready`].
    Reloading,
    /// It was asked to end, and drains.
    Stopping,
}

impl News {
    fn text(self) -> String {
        match self {
            // After a takeover the main process is another one than the manager began.
            Self::Ready => format!("READY=1\nMAINPID={}\nSTATUS=Serving", process::id()),
            Self::Reloading => format!(
                "RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=Waiting for a new process to take over",
                monotonic_microseconds()
            ),
            Self::Stopping => "STOPPING=1\nSTATUS=Draining".to_owned(),
        }
    }
}

/// Tells the service manager, if there is one that wants to know.
pub(super) fn tell(news: News) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let Some(address) = address.to_str() else {
        return tracing::warn!("NOTIFY_SOCKET is no text, so the service manager is told nothing");
    };
    if let Err(error) = send(address, &news.text()) {
        tracing::warn!("NOTIFY_SOCKET {address}: {error}: the service manager is not told");
    }
}

fn send(address: &str, text: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    #[cfg(target_os = "linux")]
    if let Some(name) = address.strip_prefix('@') {
        use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
        let address = SocketAddr::from_abstract_name(name)?;
        return socket.send_to_addr(text.as_bytes(), &address).map(drop);
    }
    socket.send_to(text.as_bytes(), address).map(drop)
}

fn monotonic_microseconds() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_reach_sockets_with_a_path_and_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let heard = |socket: UnixDatagram| {
            let mut text = [0; 256];
            let length = socket.recv(&mut text).unwrap();
            String::from_utf8(text[..length].to_vec()).unwrap()
        };
        let socket = UnixDatagram::bind(&path).unwrap();
        send(path.to_str().unwrap(), &News::Ready.text()).unwrap();
        let ready = format!("READY=1\nMAINPID={}\nSTATUS=Serving", process::id());
        assert_eq!(heard(socket), ready);
        assert!(send(path.to_str().unwrap(), "nobody is there").is_err());
        #[cfg(target_os = "linux")]
        {
            use std::os::{linux::net::SocketAddrExt as _, unix::net::SocketAddr};
            let name = format!("sluice-test-{}", process::id());
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            let socket = UnixDatagram::bind_addr(&address).unwrap();
            send(&format!("@{name}"), &News::Stopping.text()).unwrap();
            assert_eq!(heard(socket), "STOPPING=1\nSTATUS=Draining");
        }
        assert!(
            News::Reloading
                .text()
                .starts_with("RELOADING=1\nMONOTONIC_USEC=")
        );
    }
}
