//! How a scene asks for something: a Unix socket, a connection for each action. The scene writes the action as one
//! line; the answer is one line of JSON, `{"link":…,"lampposts":…,"certificates":…}` or
//! `{"error":…}`, and the end of the connection.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) struct Prompt {
    listener: UnixListener,
    path: PathBuf,
}

/// Where the server is.
pub(crate) struct Whereabouts {
    /// What lets a browser in; it changes with every start of the server, and there is none while it is down.
    pub(crate) link: Option<String>,
    /// Where lampposts connect.
    pub(crate) lampposts: SocketAddr,
    /// A folder with a folder for each lamppost: its certificate, its key, and the CA's certificate.
    pub(crate) certificates: PathBuf,
}

/// Bytes of an action.
const LONGEST: u64 = 200;

/// An action is written at once; whoever hesitates holds up all others.
const HESITATES_FOR: Duration = Duration::from_secs(5);

impl Prompt {
    pub(crate) fn listen(path: &Path) -> anyhow::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Where scenes ask.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Answers those who have asked so far.
    pub(crate) fn answer(
        &self,
        mut perform: impl FnMut(&str) -> anyhow::Result<Whereabouts>,
    ) -> anyhow::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let answer = match heard(&stream).map_err(anyhow::Error::from).and_then(|action| perform(&action))
            {
                Ok(Whereabouts { link, lampposts, certificates }) => {
                    json!({ "link": link, "lampposts": lampposts, "certificates": certificates })
                }
                Err(error) => json!({ "error": format!("{error:#}") }),
            };
            // A scene that was cut short does not wait for it any more.
            say(&mut stream, &answer).ok();
        }
    }
}

fn heard(stream: &UnixStream) -> io::Result<String> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(HESITATES_FOR))?;
    stream.set_write_timeout(Some(HESITATES_FOR))?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn say(stream: &mut UnixStream, answer: &Value) -> io::Result<()> {
    writeln!(stream, "{answer}")
}
