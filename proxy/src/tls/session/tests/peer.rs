//! A client of the library that is driven by hand.

use rustls::{ClientConfig, ClientConnection, Error, pki_types::ServerName};
use std::{
    io::{Read as _, Write as _},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A client, which sends and reads only when it is told to.
pub(super) struct Peer {
    pub(super) tcp: TcpStream,
    pub(super) tls: ClientConnection,
}

impl Peer {
    pub(super) fn new(tcp: TcpStream, config: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("shop.example").unwrap();
        let tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        Self { tcp, tls }
    }

    /// What it wants to send.
    pub(super) fn ciphertext(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Sends what it wants to, in pieces of `size` bytes that arrive each by itself.
    pub(super) async fn send(&mut self, size: usize) {
        self.tcp.set_nodelay(true).unwrap();
        for piece in self.ciphertext().chunks(size) {
            self.tcp.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
    }

    /// Reads once of the socket. Gives how many bytes came, and what the library makes of them.
    pub(super) async fn receive(&mut self) -> (usize, Result<(), Error>) {
        let mut bytes = vec![0; 64 * 1024];
        let read = self.tcp.read(&mut bytes).await.unwrap();
        let mut bytes = &bytes[..read];
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes).unwrap();
            if let Err(error) = self.tls.process_new_packets() {
                return (read, Err(error));
            }
            if !self.tls.wants_read() {
                break;
            }
        }
        assert!(bytes.is_empty(), "read with too small a window");
        (read, Ok(()))
    }

    pub(super) async fn handshake(&mut self, size: usize) {
        while self.tls.is_handshaking() || self.tls.wants_write() {
            self.send(size).await;
            if self.tls.is_handshaking() {
                self.receive().await.1.unwrap();
            }
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.tls.writer().write_all(bytes).unwrap();
    }

    /// Reads `length` bytes that were encrypted for it.
    pub(super) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut read = vec![0; length];
        let mut come = 0;
        while come < length {
            match self.tls.reader().read(&mut read[come..]) {
                Ok(0) => panic!("ended"),
                Ok(more) => come += more,
                Err(_) => self.receive_some().await,
            }
        }
        read
    }

    /// Reads a record or a part of one, and no more than the library holds.
    async fn receive_some(&mut self) {
        let mut bytes = [0; 1024];
        let read = self.tcp.read(&mut bytes).await.unwrap();
        assert!(read > 0, "ended");
        let read = self.tls.read_tls(&mut &bytes[..read]).unwrap();
        assert!(read > 0);
        self.tls.process_new_packets().unwrap();
    }
}
