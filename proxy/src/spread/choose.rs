//! Which worker is to serve a connection.

/// A worker, and the connections that it had when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) worker: usize,
    pub(super) load: usize,
}

/// Whom a worker with `own` connections passes the next one on to: the least loaded of `others`, of those the first.
/// Nobody while it has hardly more than that one. Each worker may have `most`; one that has as many passes on whatever
/// there is room for elsewhere.
///
/// Every connection counts the same. What it costs shows only later, when those that were accepted along with it have
/// been placed already: weights would send a burst to whoever was told of its own last.
pub(super) fn choose(
    own: usize,
    most: usize,
    others: impl IntoIterator<Item = Chosen>,
) -> Option<Chosen> {
    if own == 0 && most > 0 {
        return None;
    }
    let least = others.into_iter().min_by_key(|other| other.load)?;
    let is_wanted = own >= most || own > least.load + slack(least.load);
    (least.load < most && is_wanted).then_some(least)
}

/// How many connections more than `least` are not worth passing one on: none while there are few. With many, a sixteenth
/// is what the kernel's hash does by itself (from some 256 for each worker on), and less than what one costs more than
/// another.
pub(super) fn slack(least: usize) -> usize {
    least / 16
}
