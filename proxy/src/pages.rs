//! How the kernel gives memory.

/// Has the kernel give this process, from now on, memory in small pages only, whatever the system's setting for
/// transparent huge pages is. To be called before anything is served.
///
/// All of a huge page (2 MiB) is resident as soon as a byte of it is used, room in buffers that nothing is ever written to
/// included. An idle connection of HTTP/2 takes 47 KB with them and 30 KB without, the whole program 33 MB and 19 MB under
/// load, and CPU time is the same (`bench/README.md`).
///
/// Processes that this one begins inherit it (`prctl(2)`, `PR_SET_THP_DISABLE`). Elsewhere than on Linux nothing is done.
pub fn use_small_pages() {
    // A kernel that does not know it, or that forbids it, gives memory as before.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
