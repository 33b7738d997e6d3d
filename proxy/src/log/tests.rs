use super::*;
use crate::entry::samples::Sample;
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(60);

fn config(file: &Path, template: &str) -> AccessLog {
    AccessLog {
        file: Some(file.to_owned()),
        format: LogFormat::Template(template.into()),
        sample: 1.0,
        buffer: 4096,
    }
}

fn write(log: &WorkerLog, path: &str) {
    let sample = Sample {
        path: path.to_owned(),
        ..Sample::default()
    };
    log.write(&sample.entry());
}

/// Waits until `is_done`; the test fails when that takes unreasonably long.
fn until(what: &str, mut is_done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_done() {
        assert!(start.elapsed() < LONG, "{what}");
        thread::yield_now();
    }
}

fn content(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn every_worker_appends_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    fs::write(&file, "before\n").unwrap();
    let log = Log::start(&config(&file, "%{path}"), 2).unwrap();
    let workers: Vec<_> = [0, 1]
        .map(|i| {
            let worker = log.worker(i);
            thread::spawn(move || (0..100).for_each(|n| write(&worker, &format!("/{i}/{n}"))))
        })
        .into();
    for worker in workers {
        worker.join().unwrap();
    }
    let counters = log.counters();
    assert!(log.finish(LONG));
    let content = content(&file);
    let lines: Vec<&str> = content.lines().collect();
    assert_eq!((lines.len(), lines[0]), (201, "before"));
    for worker in ["/0/", "/1/"] {
        let of_it = lines.iter().filter_map(|line| line.strip_prefix(worker));
        assert!(of_it.eq((0..100).map(|n| n.to_string())), "in their order");
    }
    let expected = LogRead {
        written: 200,
        ..LogRead::default()
    };
    assert_eq!(counters.read(), expected);
}

#[test]
fn lines_reach_the_file_while_the_process_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let log = Log::start(&config(&file, "%{path}"), 1).unwrap();
    write(&log.worker(0), "/");
    until("the line is written", || content(&file) == "/\n");
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    for is_asked in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (file, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let log = Log::start(&config(&file, "%{path}"), 1).unwrap();
        // A line that meets the writer at work shows when its worker has another or, as here, ends.
        write(&log.worker(0), "/first");
        until("the first line", || content(&file) == "/first\n");
        fs::rename(&file, &moved).unwrap();
        if is_asked {
            log.reopen();
        }
        until("the file is back", || file.exists());
        write(&log.worker(0), "/second");
        until("the second line", || content(&file) == "/second\n");
        assert_eq!(content(&moved), "/first\n");
    }
}

#[test]
fn a_file_that_cannot_be_made_anew_stays_open() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    fs::create_dir(&here).unwrap();
    let log = Log::start(&config(&here.join("a.log"), "%{path}"), 1).unwrap();
    fs::rename(&here, &there).unwrap();
    log.reopen();
    let counters = log.counters();
    until("the trouble is counted", || counters.read().errors > 0);
    write(&log.worker(0), "/");
    assert!(log.finish(LONG));
    assert_eq!(content(&there.join("a.log")), "/\n");
}

#[test]
fn a_log_that_cannot_be_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none").join("access.log");
    for (config, expected) in [
        (
            config(&missing, "%{path}"),
            "none/access.log: cannot be opened for appending: ",
        ),
        (
            config(folder.path(), "%{path}"),
            "cannot be opened for appending: ",
        ),
        (
            config(&folder.path().join("a"), "%{pfad}"),
            "template: there is no field `pfad`",
        ),
    ] {
        let error = Log::start(&config, 1).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_costs_lines_that_are_counted() {
    let log = Log::start(&config(Path::new("/dev/full"), "%{path}"), 1).unwrap();
    let worker = log.worker(0);
    for _ in 0..10 {
        write(&worker, "/");
    }
    drop(worker);
    let counters = log.counters();
    assert!(log.finish(LONG));
    let read = counters.read();
    assert_eq!((read.written, read.dropped), (0, 10));
    assert!(read.errors > 0);
}

/// A pipe that nobody reads from takes some lines, and then none for ever.
#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_hangs_costs_lines_and_holds_nobody_up() {
    let (reader, writer) = io::pipe().unwrap();
    let path = {
        use std::os::fd::AsRawFd;
        format!("/proc/self/fd/{}", writer.as_raw_fd())
    };
    let config = AccessLog {
        buffer: 100,
        ..config(Path::new(&path), "%{path}")
    };
    let log = Log::start(&config, 1).unwrap();
    let worker = log.worker(0);
    let counters = log.counters();
    let path = "/".repeat(1000);
    let mut written = 0;
    while counters.read().dropped == 0 || written < 10_000 {
        write(&worker, &path);
        written += 1;
    }
    drop(worker);
    assert!(!log.finish(Duration::ZERO), "the thread is left behind");
    drop(reader);
}

#[test]
fn failures_are_written_whatever_the_share_is() {
    let folder = tempfile::tempdir().unwrap();
    for (sample, random, has_failed, expected) in [
        (0.0, 0, false, false),
        (0.0, 0, true, true),
        (0.5, u64::MAX / 4, false, true),
        (0.5, u64::MAX / 4 * 3, false, false),
        (1.0, u64::MAX, false, true),
        (f64::NAN, 0, false, false),
        (-1.0, 0, false, false),
    ] {
        let config = AccessLog {
            sample,
            ..config(&folder.path().join("a"), "%{path}")
        };
        let log = Log::start(&config, 1).unwrap();
        assert_eq!(
            log.worker(0).wants(has_failed, random),
            expected,
            "{sample}"
        );
    }
}
