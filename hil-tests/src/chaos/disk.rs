//! A disk that fails: strace makes system calls of a process fail before they do anything.
//!
//! A call that fails so has written, synced or renamed nothing, which is what a full disk and a lost device do. While a
//! process runs, strace is attached to the one thread that owns its files (the outbox's, the journal's); at a start it
//! follows all threads. What was injected is counted in what strace writes down, not in what was asked for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::plan::Injection;
use crate::fleet::{signal, wait_for};

/// How a disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The system calls, as strace names them.
    pub(super) calls: &'static str,
    /// What strace does to them.
    pub(super) effect: &'static str,
    pub(super) files: Files,
}

/// Which files it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// All that the thread uses.
    All,
    /// The logs that are open, and the position while it is replaced: other calls of this name are not for files.
    Written,
    /// The segments of the last runs: the loader of programs reads files by the same call.
    Recovered,
}

const fn failure(calls: &'static str, effect: &'static str) -> Failure {
    Failure { calls, effect, files: Files::All }
}

/// While agents run.
pub(super) static OF_AGENTS: [Failure; 9] = [
    Failure { calls: "write", effect: "error=ENOSPC", files: Files::Written },
    Failure { calls: "write", effect: "error=EIO", files: Files::Written },
    failure("fdatasync", "error=EIO"),
    failure("fdatasync", "error=ENOSPC"),
    failure("fdatasync", "delay_enter=400000"),
    failure("rename", "error=EIO"),
    failure("openat", "error=ENOSPC"),
    failure("unlink", "error=EIO"),
    failure("pread64", "error=EIO"),
];

/// From the start of agents on.
pub(super) static AT_START_OF_AGENTS: [Failure; 6] = [
    failure("fdatasync", "error=EIO"),
    failure("rename", "error=EIO"),
    failure("rename", "error=ENOSPC"),
    failure("mkdir", "error=ENOSPC"),
    failure("ftruncate", "error=EIO"),
    Failure { calls: "pread64", effect: "error=EIO", files: Files::Recovered },
];

/// While the server runs.
pub(super) static OF_SERVER: [Failure; 7] = [
    failure("pwrite64", "error=ENOSPC"),
    failure("pwrite64", "error=EIO"),
    failure("fdatasync", "error=EIO"),
    failure("fdatasync,fsync", "error=EIO"),
    failure("fdatasync", "delay_enter=400000"),
    failure("openat", "error=ENOSPC"),
    failure("pwrite64,fdatasync,ftruncate,openat", "error=EIO"),
];

/// From the start of the server on.
pub(super) static AT_START_OF_SERVER: [Failure; 5] = [
    failure("pwrite64", "error=ENOSPC"),
    failure("fdatasync", "error=EIO"),
    failure("fdatasync,fsync", "error=EIO"),
    failure("ftruncate", "error=EIO"),
    failure("rename", "error=EIO"),
];

/// What was injected: how often, by who it befell, call and error.
pub(super) type Injected = BTreeMap<(String, String, String), u64>;

/// Starts strace, and keeps what it writes down.
#[derive(Debug)]
pub(super) struct Saboteur {
    notes: PathBuf,
    /// Of notes that were taken.
    taken: u64,
}

/// A disk that is failing. It fails no longer when this is dropped.
#[derive(Debug)]
pub(super) struct Burst {
    strace: Child,
}

impl Saboteur {
    /// Keeps notes in a folder that it makes.
    pub(super) fn new(notes: PathBuf) -> anyhow::Result<Self> {
        let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
        strace.context("strace is missing; on Debian: sudo apt-get install -y strace")?;
        fs::create_dir_all(&notes)?;
        Ok(Self { notes, taken: 0 })
    }

    /// Makes calls of one of the threads of this name fail in a process: of the one at place `which` of them. None if
    /// there is no such thread: the process is just ending.
    pub(super) fn attach(
        &mut self,
        process: u32,
        thread: &str,
        injection: Injection,
        whose: &str,
        which: usize,
    ) -> anyhow::Result<Option<Burst>> {
        let threads = threads(process, thread);
        let Some(thread) = threads.get(which) else { return Ok(None) };
        let mut strace = Command::new("strace");
        strace.arg("-p").arg(thread.to_string()).args(self.words(injection, whose));
        if injection.failure.files == Files::Written {
            strace.args(paths(&written(process)));
        }
        // It complains of threads that end while it attaches.
        let strace = strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Some(Burst { strace }))
    }

    /// The command under which a process is started whose calls fail. The process is the one that was started, and
    /// strace a grandchild of it that ends with it. `recovered` are the files that it reads first.
    pub(super) fn start_under(
        &mut self,
        injection: Injection,
        whose: &str,
        recovered: &[PathBuf],
    ) -> Vec<OsString> {
        let mut command: Vec<OsString> = ["strace", "-D", "-f", "--seccomp-bpf"].map(OsString::from).into();
        command.extend(self.words(injection, whose));
        if injection.failure.files == Files::Recovered {
            command.extend(paths(recovered));
        }
        command
    }

    /// What was injected so far.
    pub(super) fn injected(&self) -> anyhow::Result<Injected> {
        let mut injected = Injected::new();
        for entry in fs::read_dir(&self.notes)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let whose = name.split('-').next().unwrap_or_default();
            // What strace notes of file names need not be UTF-8.
            for line in String::from_utf8_lossy(&fs::read(&path)?).lines() {
                if let Some((call, error)) = injected_in(line) {
                    *injected.entry((whose.to_owned(), call.to_owned(), error.to_owned())).or_default() += 1;
                }
            }
        }
        Ok(injected)
    }

    fn words(&mut self, injection: Injection, whose: &str) -> Vec<OsString> {
        self.taken += 1;
        let Injection { failure: Failure { calls, effect, .. }, first, step } = injection;
        let when = step.map_or(format!("{first}"), |step| format!("{first}+{step}"));
        let notes = self.notes.join(format!("{whose}-{:05}", self.taken));
        let trace = format!("trace={calls}");
        let inject = format!("inject={calls}:{effect}:when={when}");
        let words = ["-qq", "-e", "signal=none", "-e", &trace, "-e", &inject, "-o"];
        words.into_iter().map(OsString::from).chain([notes.into_os_string()]).collect()
    }
}

impl Burst {
    /// The disk is well again.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        signal(&self.strace, "INT");
        wait_for("strace to let go", Duration::from_secs(30), || self.strace.try_wait().ok().flatten())?;
        Ok(())
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        // After an orderly end there is nothing left to kill. The kernel lets go of the process then.
        self.strace.kill().and_then(|()| self.strace.wait()).ok();
    }
}

/// The threads of a process that have this name.
fn threads(process: u32, name: &str) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let named = |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|is| is.trim_end() == name);
    let tasks = tasks.map(|task| task.path()).filter(named);
    let mut tasks: Vec<u32> = tasks.filter_map(|task| task.file_name()?.to_str()?.parse().ok()).collect();
    tasks.sort_unstable();
    tasks
}

/// The logs that a process of agents has open, and where each of them replaces its position.
fn written(process: u32) -> Vec<PathBuf> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let open: Vec<PathBuf> = open.filter_map(|file| fs::read_link(file.path()).ok()).collect();
    let logs = open.iter().filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let logs = logs.filter(|path| path.ancestors().any(|folder| folder.ends_with("outbox/runs"))).cloned();
    let locks = open.iter().filter(|path| path.ends_with("outbox/lock"));
    logs.chain(locks.map(|lock| lock.with_file_name("position.new"))).collect()
}

fn paths(paths: &[PathBuf]) -> impl Iterator<Item = OsString> {
    paths.iter().flat_map(|path| [OsString::from("-P"), path.into()])
}

/// The newest files of the last `most` runs of an outbox.
pub(super) fn last_segments(outbox: &Path, most: usize) -> Vec<PathBuf> {
    let entries = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut entries: Vec<PathBuf> = entries.collect();
        entries.sort();
        entries
    };
    entries(&outbox.join("runs")).iter().rev().take(most).flat_map(|run| entries(run)).collect()
}

/// Call and error of a line of strace's that says that it injected one; a delay counts as one.
fn injected_in(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_end();
    let delayed = line.ends_with("(DELAYED)");
    if !(delayed || line.ends_with("(INJECTED)")) {
        return None;
    }
    let call = line.trim_start_matches(|one: char| one.is_ascii_digit()).trim_start();
    let call = call.strip_prefix("<... ").unwrap_or(call);
    let call = call.split(|one: char| !(one.is_ascii_alphanumeric() || one == '_')).next()?;
    let error = line.rsplit_once("= -1 ").and_then(|(_, error)| error.split_whitespace().next());
    Some((call, if delayed { "delay" } else { error? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_injected_counts() {
        let injected = "fdatasync(12)   = -1 EIO (Input/output error) (INJECTED)";
        assert_eq!(injected_in(injected), Some(("fdatasync", "EIO")));
        let of_a_thread = "4711  <... write resumed>) = -1 ENOSPC (No space left on device) (INJECTED)";
        assert_eq!(injected_in(of_a_thread), Some(("write", "ENOSPC")));
        assert_eq!(injected_in("fdatasync(3) = 0 (DELAYED)"), Some(("fdatasync", "delay")));
        assert_eq!(injected_in("unlink(\"position.new\") = -1 ENOENT (No such file or directory)"), None);
        assert_eq!(injected_in("write(3, \"(INJECTED)\", 10) = 10"), None);
    }

    #[test]
    fn calls_of_the_thread_of_that_name_fail_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let mut saboteur = Saboteur::new(directory.path().join("notes")).unwrap();
        let injection = Injection { failure: &OF_AGENTS[2], first: 1, step: Some(1) };
        let file = fs::File::create(directory.path().join("file")).unwrap();
        let theirs = file.try_clone().unwrap();
        let (finished, fails) = std::sync::mpsc::channel();
        let body = move || {
            while theirs.sync_data().is_ok() {
                std::thread::sleep(Duration::from_millis(10));
            }
            finished.send(()).ok();
        };
        let unlucky = std::thread::Builder::new().name("unlucky".to_owned()).spawn(body).unwrap();
        let (me, patience) = (std::process::id(), Duration::from_secs(30));
        let mut attach = |thread| saboteur.attach(me, thread, injection, "test", 0).unwrap();
        assert!(attach("nobody").is_none());
        // A thread takes its name after it was begun.
        let burst = wait_for("the thread", patience, || attach("unlucky")).unwrap();
        fails.recv_timeout(patience).unwrap();
        assert!(file.sync_data().is_ok());
        unlucky.join().unwrap();
        burst.end().unwrap();
        let expected = ("test".to_owned(), "fdatasync".to_owned(), "EIO".to_owned());
        assert_eq!(saboteur.injected().unwrap(), Injected::from([(expected, 1)]));
    }
}
