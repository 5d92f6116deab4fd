//! A server with registered lampposts, and the strangers' programs set up to talk to it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hil_tests::fleet::{Api, Binaries, Certificates, ServerProcess};
use tempfile::TempDir;

/// A server of its own for one test, with some lampposts registered.
pub(crate) struct Stage {
    pub(crate) server: ServerProcess,
    certificates: Certificates,
    // The last field: its files go after the server has ended.
    directory: TempDir,
}

/// What a program said, and how it ended.
pub(crate) struct Said {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Stage {
    pub(crate) fn with_lampposts(numbers: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let binaries = Binaries::beside_this_program().unwrap();
        let server = ServerProcess::start(&binaries, directory.path()).unwrap();
        let certificates = server.enrol(numbers).unwrap();
        Self { server, certificates, directory }
    }

    pub(crate) fn api(&self) -> &Api {
        self.server.api()
    }

    /// A directory for files of the test.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file of this length.
    pub(crate) fn file_of(&self, bytes: u64) -> PathBuf {
        let path = self.directory().join(format!("{bytes}-bytes"));
        std::fs::File::create(&path).unwrap().set_len(bytes).unwrap();
        path
    }

    /// The lamppost's certificate, key, and the CA's certificate.
    pub(crate) fn certificates_of(&self, number: &str) -> PathBuf {
        self.certificates.0.join(number)
    }

    /// `mosquitto_pub` or `mosquitto_sub` for the gateway, which tells all that it does; it shows no certificate.
    pub(crate) fn stranger(&self, program: &str, number: &str) -> Command {
        let (host, port) = (self.server.mqtt().ip().to_string(), self.server.mqtt().port().to_string());
        let mut command = Command::new("timeout");
        command.args(["30", program, "-d", "-h", &host, "-p", &port]);
        command.arg("--cafile").arg(self.certificates_of(number).join("ca.pem"));
        command
    }

    /// The same with the certificate of this lamppost.
    pub(crate) fn mosquitto(&self, program: &str, number: &str) -> Command {
        let mut command = self.stranger(program, number);
        show_certificate(&mut command, &self.certificates_of(number), number);
        command
    }

    /// `lamppost.py` or `position.py` as this lamppost.
    pub(crate) fn python(&self, program: &str, number: &str) -> Command {
        let mut command = python(program);
        command.args(["--number", number, "--server", &self.server.mqtt().to_string()]);
        command.arg("--proto").arg(proto_dir()).arg("--certificates").arg(self.certificates_of(number));
        command
    }
}

/// Lets a mosquitto program show the certificate `NUMBER.pem` in this folder.
pub(crate) fn show_certificate(command: &mut Command, folder: &Path, number: &str) {
    command.arg("--cert").arg(folder.join(format!("{number}.pem")));
    command.arg("--key").arg(folder.join(format!("{number}.key")));
}

/// A program of `third-party/`.
pub(crate) fn python(program: &str) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = here.join("../target/venv/bin/python");
    assert!(python.is_file(), "{} is missing: `cargo xtask test` makes it", python.display());
    let mut command = Command::new(python);
    // -B: no compiled files in the source tree.
    command.arg("-B").arg(here.join("third-party").join(program));
    command
}

/// Where the `.proto` is published.
pub(crate) fn proto_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/proto")
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Said {
    let program = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask test` installs it"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

impl Said {
    /// Its output, after it succeeded.
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }
}
