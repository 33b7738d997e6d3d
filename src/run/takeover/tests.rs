//! Both parts against each other, and each against one that does not keep to what was agreed.

use super::*;
use serde_json::{Value, json};
use std::{
    cell::Cell,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    thread,
};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn group(name: &str, sockets: usize) -> SocketGroup {
    let socket = TcpListener::bind(ANY).unwrap();
    let beside = |_| socket.try_clone().unwrap().into();
    SocketGroup::from_descriptors(name, ANY, (0..sockets).map(beside).collect()).unwrap()
}

fn sockets(listeners: &[usize]) -> Sockets {
    Sockets {
        listeners: listeners.iter().map(|n| group("http", *n)).collect(),
        admin: group("admin", 1),
    }
}

/// A message as it goes over the wire.
fn message(word: &Value) -> Vec<u8> {
    let text = word.to_string();
    let length = u32::try_from(text.len()).unwrap();
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn hear(stream: &mut UnixStream) -> Value {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut text = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn all_sockets_come_over_and_each_waits_for_the_other() {
    // More sockets than go into one batch, and a batch that is just full.
    for listeners in [&[1][..], &[3, 2], &[63, 64, 200]] {
        let (old, new) = UnixStream::pair().unwrap();
        let handed_on = sockets(listeners);
        let bound: Vec<_> = handed_on.listeners.iter().map(SocketGroup::bound).collect();
        let giving = thread::spawn(move || {
            let steps = Cell::new(0);
            let step = |n| -> Result<(), String> {
                assert_eq!(steps.replace(n), n - 1);
                Ok(())
            };
            let retire = || step(2).unwrap();
            let given = give(old, &handed_on, || step(1), retire);
            (given, steps.get())
        });
        let (mut taking, taken) = Taking::begin_over(new).unwrap();
        taking.release().unwrap();
        assert!(!taking.is_alone());
        taking.finish().unwrap();
        let (given, steps) = giving.join().unwrap();
        given.unwrap();
        assert_eq!(steps, 2);
        let found: Vec<_> = taken.listeners.iter().map(SocketGroup::bound).collect();
        assert_eq!(found, bound);
        let counts: Vec<_> = taken.listeners.iter().map(|g| g.sockets().len()).collect();
        assert_eq!(counts, listeners);
        assert_eq!(taken.admin.name(), "admin");
        assert!(TcpStream::connect(bound[0]).is_ok(), "the sockets live on");
    }
}

#[test]
fn what_cannot_be_released_is_not_given() {
    let (old, new) = UnixStream::pair().unwrap();
    let giving = thread::spawn(move || {
        let full = || Err("the disk is full".to_owned());
        give(old, &sockets(&[1]), full, || panic!("nothing retires"))
    });
    let (mut taking, _) = Taking::begin_over(new).unwrap();
    let refused = taking.release().unwrap_err().to_string();
    assert_eq!(refused, "the disk is full");
    giving.join().unwrap().unwrap_err();
}

#[test]
fn the_old_one_goes_on_whatever_the_new_one_does() {
    let hello = message(&json!({"say": "hello", "version": 1}));
    let ready = message(&json!({"say": "ready"}));
    let too_long = u32::MAX.to_be_bytes().to_vec();
    let half = hello[..7].to_vec();
    // What is said, whether the rollouts were released meanwhile, and what the error says.
    for (said, released, error) in [
        (vec![], false, "the other process is gone"),
        (vec![half], false, "the other process is gone"),
        (vec![too_long], false, "a message of 4294967295 bytes"),
        (
            vec![message(&json!({"say": "hello", "version": 2}))],
            false,
            "speaks version 2",
        ),
        (
            vec![message(&json!({"say": "hello"}))],
            false,
            "missing field `version`",
        ),
        (
            vec![message(&json!("hello"))],
            false,
            "does not keep to what was agreed",
        ),
        (
            vec![message(&json!({"say": "farewell"}))],
            false,
            "unknown variant",
        ),
        (vec![ready.clone()], false, "it said Ready out of turn"),
        (vec![hello.clone()], false, "the other process is gone"),
        (vec![hello.clone(), hello.clone()], false, "it said Hello"),
        (
            vec![hello.clone(), ready.clone()],
            true,
            "the other process is gone",
        ),
        (
            vec![hello, ready.clone(), ready],
            true,
            "it said Ready out of turn",
        ),
    ] {
        let (old, mut new) = UnixStream::pair().unwrap();
        new.write_all(&said.concat()).unwrap();
        new.shutdown(std::net::Shutdown::Write).unwrap();
        let was_released = Cell::new(false);
        let release = || {
            was_released.set(true);
            Ok(())
        };
        let given = give(old, &sockets(&[2]), release, || panic!("nothing retires"));
        let found = given.unwrap_err().to_string();
        assert!(found.contains(error), "{found:?} does not say {error:?}");
        assert_eq!(was_released.get(), released, "{error}");
    }
}

#[test]
fn a_conversation_that_breaks_off_at_any_byte_ends_in_order() {
    let said = [
        message(&json!({"say": "hello", "version": 1})),
        message(&json!({"say": "ready"})),
    ]
    .concat();
    let handed_on = sockets(&[2]);
    for end in 0..=said.len() {
        let (old, mut new) = UnixStream::pair().unwrap();
        new.write_all(&said[..end]).unwrap();
        drop(new);
        let given = give(old, &handed_on, || Ok(()), || panic!("nothing retires"));
        assert!(
            matches!(given, Err(Failed::Wire(wire::Broken::Gone))),
            "{end}: {given:?}"
        );
    }
    let said = message(&json!({"say": "sockets", "groups": [described("admin", 1)]}));
    for end in 0..=said.len() {
        let (mut old, new) = UnixStream::pair().unwrap();
        old.write_all(&said[..end]).unwrap();
        drop(old);
        let taken = Taking::begin_over(new);
        assert!(
            matches!(taken, Err(Failed::Wire(wire::Broken::Gone))),
            "{end}: {taken:?}"
        );
    }
}

#[test]
fn who_says_nothing_is_not_waited_for_long() {
    let (old, new) = UnixStream::pair().unwrap();
    let given = give(old, &sockets(&[1]), || Ok(()), || ());
    let error = given.unwrap_err().to_string();
    assert_eq!(error, "the other process said nothing for 2s");
    drop(new);
}

/// What an old process says and hands on, and what the new one thinks of it.
fn begin(groups: &Value, batches: &[(u8, usize)]) -> String {
    let (mut old, new) = UnixStream::pair().unwrap();
    let taking = thread::spawn(move || Taking::begin_over(new).map(drop));
    assert_eq!(hear(&mut old), json!({"say": "hello", "version": 1}));
    // It may have given up before the last is sent.
    let _ = old.write_all(&message(&json!({"say": "sockets", "groups": groups})));
    let socket = TcpListener::bind(ANY).unwrap();
    for (said, handed_on) in batches {
        let _ = wire::hand_on_as(&old, &socket, *said, *handed_on);
    }
    drop(old);
    let taken = taking.join().unwrap();
    taken.map_or_else(|failed| failed.to_string(), |()| "taken".to_owned())
}

fn described(role: &str, sockets: u64) -> Value {
    json!({"role": role, "name": "x", "configured": "127.0.0.1:0", "sockets": sockets})
}

#[test]
fn counts_are_not_believed() {
    let one = || json!([described("admin", 1), described("listener", 1)]);
    for (groups, batches, error) in [
        (one(), &[(2, 2)][..], "taken"),
        (one(), &[(2, 1)], "1 of 2 sockets came through"),
        (one(), &[(2, 3)], "3 of 2 sockets came through"),
        (one(), &[(1, 1), (1, 1)], "1 sockets instead of 2"),
        (one(), &[(3, 3)], "3 sockets instead of 2"),
        (one(), &[(0, 0)], "0 sockets instead of 2"),
        (one(), &[(100, 100)], "of 100 sockets came through"),
        (one(), &[], "the other process is gone"),
        (
            json!([described("listener", 2)]),
            &[(2, 2)],
            "no admin server",
        ),
        (
            json!([described("admin", 1), described("admin", 1)]),
            &[(2, 2)],
            "two admin servers",
        ),
        (
            json!([described("admin", 2), described("listener", 0)]),
            &[(2, 2)],
            "there is no socket",
        ),
        (
            json!([described("admin", 20_000)]),
            &[],
            "20000 sockets, allowed are 16384",
        ),
        (
            json!([
                described("admin", u64::MAX),
                described("listener", u64::MAX)
            ]),
            &[],
            "18446744073709551615 sockets",
        ),
        (
            json!([{"role": "admin", "name": "x", "configured": "nowhere", "sockets": 1}]),
            &[],
            "invalid socket address",
        ),
        (json!([described("janitor", 1)]), &[], "unknown variant"),
    ] {
        let found = begin(&groups, batches);
        assert!(
            found.contains(error),
            "{groups} with {batches:?}: {found:?} does not say {error:?}"
        );
    }
}

#[test]
fn the_new_one_goes_on_alone_only_when_the_old_one_was_killed() {
    // After how many words the old one goes, what it says at last, and what the new one does.
    for (words, last, expected) in [
        (0, None, Ok(true)),
        (1, None, Ok(true)),
        (0, Some(json!({"say": "refused", "why": "no"})), Err("no")),
        (1, Some(json!({"say": "refused", "why": "no"})), Err("no")),
        (
            0,
            Some(json!({"say": "goodbye"})),
            Err("the other process does not keep to what was agreed: it said Goodbye out of turn"),
        ),
        (1, Some(json!({"say": "goodbye"})), Ok(false)),
    ] {
        let (mut old, new) = UnixStream::pair().unwrap();
        let taking = thread::spawn(move || {
            let (mut taking, _) = Taking::begin_over(new)?;
            taking.release()?;
            let is_alone = taking.is_alone();
            taking.finish().map(|()| is_alone)
        });
        hear(&mut old);
        let groups = json!([described("admin", 1)]);
        old.write_all(&message(&json!({"say": "sockets", "groups": groups})))
            .unwrap();
        let socket = TcpListener::bind(ANY).unwrap();
        wire::hand_on_as(&old, &socket, 1, 1).unwrap();
        if words == 1 {
            assert_eq!(hear(&mut old), json!({"say": "ready"}));
            old.write_all(&message(&json!({"say": "released"})))
                .unwrap();
        }
        if let Some(last) = &last {
            old.write_all(&message(last)).unwrap();
        }
        drop(old);
        let taken = taking.join().unwrap().map_err(|failed| failed.to_string());
        match expected {
            // Whether it noticed before it served, or after.
            Ok(alone) => assert_eq!(taken, Ok(alone && words == 0), "{words} {last:?}"),
            Err(why) => assert_eq!(taken, Err(why.to_owned()), "{words} {last:?}"),
        }
    }
}

#[test]
fn nobody_to_take_over_from_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder.path().join("state.json"));
    assert!(path.ends_with("state.json.takeover"));
    let nobody = || Taking::begin(&path).unwrap_err().to_string();
    assert!(nobody().contains("No such file"), "{}", nobody());
    drop(listen(&path).unwrap());
    assert!(nobody().contains("Connection refused"), "{}", nobody());
    let listener = listen(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = listen(&path).unwrap();
    UnixStream::connect(&path).unwrap();
    assert!(listener.accept().is_err(), "it was replaced");
    again.accept().unwrap();
}
