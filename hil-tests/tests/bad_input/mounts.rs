//! Disks of a test's own, where the machine allows it.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that is mounted for as long as this lives.
#[derive(Debug)]
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// A disk of this many MiB in an empty folder; or why there is none.
    pub(crate) fn small_disk(folder: &Path, mib: u32) -> Result<Self, String> {
        std::fs::create_dir_all(folder).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "lamplighter-test"], folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// A folder, as it is, but read-only; or why it is not.
    pub(crate) fn read_only(folder: &Path) -> Result<Self, String> {
        mount(&["--bind", folder.to_str().unwrap()], folder)?;
        let mounted = Self(folder.to_owned());
        mount(&["-o", "remount,bind,ro"], folder)?;
        Ok(mounted)
    }
}

fn mount(arguments: &[&str], folder: &Path) -> Result<(), String> {
    match Command::new("mount").args(arguments).arg(folder).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("mount cannot be run: {error}")),
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that a failed test left behind may hold it open a moment longer.
        Command::new("umount").arg("--lazy").arg(&self.0).status().ok();
    }
}

/// Fills a disk but for this many bytes by one file, and returns its path.
pub(crate) fn ballast(folder: &Path, but_for: u64) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = File::create(&path).unwrap();
    let mut length = 0;
    let full = loop {
        match file.write(&[0; 4096]) {
            Ok(written) => length += written as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::StorageFull);
    file.set_len(length.checked_sub(but_for).unwrap()).unwrap();
    path
}
