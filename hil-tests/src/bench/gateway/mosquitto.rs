//! Mosquitto, measured beside the server: the broker that a city would take if it wrote no gateway.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::lamppost::Gateway;
use crate::fleet::wait_for;

/// Where Debian has it: not on everybody's search path.
const PROGRAMS: [&str; 2] = ["mosquitto", "/usr/sbin/mosquitto"];

/// A running broker. It is killed when this is dropped.
pub(super) struct Broker {
    child: Child,
    address: SocketAddr,
    departments: SocketAddr,
}

impl Broker {
    /// Starts one with the server's own certificate: for clients with one of the same CA, as the server demands, and on another
    /// port for those without one. It writes nothing to disk: persistence, which it would save now and then, is off. It drops
    /// nothing that waits for a client. None: it is not installed.
    pub(super) fn start(directory: &Path, data: &Path) -> anyhow::Result<Option<Self>> {
        std::fs::create_dir_all(directory)?;
        // Taken and given back: the broker takes no port that it is not told.
        let free = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let [address, departments] = free.map(|free| free?.local_addr());
        let (address, departments) = (address?, departments?);
        let config = directory.join("mosquitto.conf");
        let (ca, tls) = (data.join("ca/ca.pem"), data.join("tls"));
        let tls = format!(
            "certfile {}\nkeyfile {}\ntls_version tlsv1.3\nmax_connections -1\n",
            tls.join("server.pem").display(),
            tls.join("server.key").display(),
        );
        write!(
            File::create(&config)?,
            "allow_anonymous true\npersistence false\nset_tcp_nodelay true\nmax_inflight_messages 0\n\
             max_queued_messages 0\nlog_dest stderr\nlog_type error\nlog_type warning\nuser root\n\
             listener {} {}\n{tls}cafile {}\nrequire_certificate true\nuse_identity_as_username true\n\
             listener {} {}\n{tls}",
            address.port(),
            address.ip(),
            ca.display(),
            departments.port(),
            departments.ip(),
        )?;
        let log = directory.join("mosquitto.log");
        for program in PROGRAMS {
            let mut command = Command::new(program);
            command
                .arg("-c")
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&log)?);
            match command.spawn() {
                Ok(child) => {
                    let broker = Self { child, address, departments };
                    let open = || TcpStream::connect(address).ok();
                    wait_for("mosquitto to listen", Duration::from_secs(20), open)
                        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
                    return Ok(Some(broker));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).context("cannot start mosquitto"),
            }
        }
        Ok(None)
    }

    /// Where clients without a certificate connect.
    pub(super) fn departments(&self) -> SocketAddr {
        self.departments
    }

    pub(super) fn gateway(&self) -> Gateway {
        Gateway { address: self.address, process: self.child.id() }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Fails if it has ended.
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}
