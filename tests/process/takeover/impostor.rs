//! A process that begins to take over and does not go through with it, as one that is killed.

use crate::support::site::Site;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{Read, Write},
    os::unix::net::UnixStream,
};

/// Its connection to the process that runs. Dropping it is its death.
#[derive(Debug)]
pub(super) struct Impostor(UnixStream);

impl Impostor {
    /// It has connected.
    pub(super) fn connect(site: &Site) -> Self {
        Self(UnixStream::connect(site.path("state.json.takeover")).unwrap())
    }

    /// It has said who it is, and been told of the sockets.
    pub(super) fn greet(site: &Site) -> Self {
        let mut impostor = Self::connect(site);
        impostor.say(&json!({"say": "hello", "version": 1}));
        let sockets = impostor.hear();
        assert_eq!(sockets["groups"].as_array().unwrap().len(), 2, "{sockets}");
        // The descriptors, which are closed as nobody takes them: two workers', and the admin server's.
        let mut number = [0];
        impostor.0.read_exact(&mut number).unwrap();
        assert_eq!(number, [3]);
        impostor
    }

    /// It was ready, and the state file is free.
    pub(super) fn make_ready(site: &Site) -> Self {
        let mut impostor = Self::greet(site);
        impostor.say(&json!({"say": "ready"}));
        assert_eq!(impostor.hear(), json!({"say": "released"}));
        impostor
    }

    /// Takes the state file, for as long as the value lives.
    pub(super) fn lock(&self, site: &Site) -> File {
        let lock = File::create(site.path("state.json.lock")).unwrap();
        lock.try_lock().unwrap();
        lock
    }

    fn say(&mut self, word: &Value) {
        let text = word.to_string();
        let length = u32::try_from(text.len()).unwrap();
        self.0.write_all(&length.to_be_bytes()).unwrap();
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> Value {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut text = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}
