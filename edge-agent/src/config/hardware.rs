//! The serial number of the machine that the agent runs on.

use std::io;
use std::path::Path;

/// Where it stands, best first: the board's own, which moves with the board (proc(5), device tree), else the
/// installation's (machine-id(5)), which moves with the card.
const SOURCES: [&str; 2] = ["/sys/firmware/devicetree/base/serial-number", "/etc/machine-id"];

/// A hello carries no more.
const MAX_BYTES: usize = 64;

/// The machine has no serial number that the agent can use.
#[derive(Debug, thiserror::Error)]
pub enum HardwareError {
    /// A file that should have it cannot be read; the source says why.
    #[error(
        "the hardware's serial number cannot be read from {path}; set hardware_serial in the configuration"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// No file has one.
    #[error(
        "this machine has no serial number in {}; set hardware_serial in the configuration", SOURCES.join(" or ")
    )]
    Nowhere,
}

/// The machine's serial number: of the board, else of the installation.
///
/// # Errors
/// [`HardwareError`], if there is none: `hardware_serial` of the configuration has to say it.
pub fn hardware_serial() -> Result<String, HardwareError> {
    first_of(&SOURCES)
}

fn first_of(sources: &[impl AsRef<Path>]) -> Result<String, HardwareError> {
    for source in sources {
        let path = source.as_ref();
        match std::fs::read(path) {
            Ok(bytes) => {
                if let Some(serial) = readable(&bytes) {
                    return Ok(serial);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(HardwareError::Unreadable { path: path.display().to_string(), source });
            }
        }
    }
    Err(HardwareError::Nowhere)
}

/// Strings of the device tree end with a zero byte, lines of files with a newline.
fn readable(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim_matches(['\0', '\n', ' ']);
    // What machine-id(5) puts there until the first boot is over.
    let text = Some(text).filter(|text| *text != "uninitialized")?;
    let usable = !text.is_empty() && text.len() <= MAX_BYTES && !text.contains(char::is_control);
    usable.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_comes_before_the_installation_and_an_empty_number_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let [board, machine] = ["board", "machine"].map(|name| folder.path().join(name));
        let sources = [&board, &machine];
        assert!(matches!(first_of(&sources), Err(HardwareError::Nowhere)));
        write(&machine, b"uninitialized\n");
        assert!(matches!(first_of(&sources), Err(HardwareError::Nowhere)));
        write(&machine, b"0123456789abcdef\n");
        assert_eq!(first_of(&sources).unwrap(), "0123456789abcdef");
        write(&board, b"10000000a1b2c3d4\0");
        assert_eq!(first_of(&sources).unwrap(), "10000000a1b2c3d4");
        write(&board, b"\0\0");
        assert_eq!(first_of(&sources).unwrap(), "0123456789abcdef");
        write(&board, b"10\x1b[2J");
        assert_eq!(first_of(&sources).unwrap(), "0123456789abcdef");
    }

    fn write(path: &Path, bytes: &[u8]) {
        use std::io::Write as _;
        std::fs::File::create(path).unwrap().write_all(bytes).unwrap();
    }
}
