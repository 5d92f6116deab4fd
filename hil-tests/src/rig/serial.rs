//! Serial instruments behind pseudo-terminals: the agent opens the slave's path as it opens any port.
//!
//! All of a process's instruments share one thread: a task for each, which hands the model what the agent sent, and the
//! agent what the model transmits. **Nothing is paced**: bytes arrive as fast as the system moves them, and a
//! pseudo-terminal knows neither baud nor parity. What a slow line does to an agent cannot be seen here.
//!
//! The rig keeps the slave open as well. Otherwise the master would be hung up until the agent comes, and the runtime
//! would take it for readable ever after. (The agent's claim to the port alone ends when it closes it: `serialport`
//! gives it back.)

use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use sensor_drivers::model::SerialTarget as _;
use sensor_drivers::pms5003::model::{Fault, Pms5003Model};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_serial::{SerialPort as _, SerialStream};
use tokio_util::sync::CancellationToken;

use super::Scene;

/// The instruments of a process. Dropping it unplugs them.
#[derive(Debug)]
pub struct SerialInstruments {
    handle: Handle,
    talking: JoinSet<()>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// Why an instrument cannot be plugged in.
#[derive(Debug, thiserror::Error)]
pub enum SerialRigError {
    /// The thread of all instruments cannot be started.
    #[error("cannot start the thread of the serial instruments")]
    Thread(#[source] io::Error),
    /// There is no pseudo-terminal to be had.
    #[error("cannot make a pseudo-terminal: check that /dev/pts is mounted and has one left")]
    Pair(#[source] tokio_serial::Error),
    /// The pseudo-terminal does not say what it is called.
    #[error("the pseudo-terminal has no name")]
    Nameless,
}

/// How often an instrument that sends unasked is looked at.
const LOOKS_EVERY: Duration = Duration::from_millis(50);

impl SerialInstruments {
    /// None yet.
    ///
    /// # Errors
    /// [`SerialRigError::Thread`].
    pub fn start() -> Result<Self, SerialRigError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(SerialRigError::Thread)?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("serial".to_owned())
            .spawn(move || runtime.block_on(stopped.cancelled()))
            .map_err(SerialRigError::Thread)?;
        Ok(Self { handle, talking: JoinSet::new(), stop, thread: Some(thread) })
    }

    /// Plugs in a PMS5003 that has just been given power. Returns the path of its port.
    ///
    /// # Errors
    /// [`SerialRigError::Pair`], [`SerialRigError::Nameless`].
    pub fn plug_in_pms5003(&mut self, scene: Scene) -> Result<PathBuf, SerialRigError> {
        let (name, named) = mpsc::sync_channel(1);
        self.talking.spawn_on(
            async move {
                // Within the runtime that waits for its bytes.
                let plugged = plug_in(scene);
                let (instrument, answer) = match plugged {
                    Ok((instrument, path)) => (Some(instrument), Ok(path)),
                    Err(error) => (None, Err(error)),
                };
                if let (Ok(()), Some(instrument)) = (name.send(answer), instrument) {
                    instrument.talk().await;
                }
            },
            &self.handle,
        );
        // The task ends without an answer only if the thread is gone.
        named.recv().unwrap_or_else(|_| Err(SerialRigError::Thread(io::ErrorKind::BrokenPipe.into())))
    }
}

impl Drop for SerialInstruments {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported where it happened.
            drop(thread.join());
        }
    }
}

struct Instrument {
    line: SerialStream,
    /// The agent's end, kept open: see the module.
    _port: SerialStream,
    model: Pms5003Model,
    scene: Scene,
}

fn plug_in(scene: Scene) -> Result<(Instrument, PathBuf), SerialRigError> {
    let (line, port) = SerialStream::pair().map_err(SerialRigError::Pair)?;
    let path = port.name().ok_or(SerialRigError::Nameless)?;
    Ok((Instrument { line, _port: port, model: Pms5003Model::new(), scene }, PathBuf::from(path)))
}

impl Instrument {
    async fn talk(mut self) {
        let mut buffer = [0; 64];
        loop {
            let heard = match self.model.next_at() {
                // In passive mode it only answers.
                None => Some(read(&mut self.line, &mut buffer).await),
                Some(_) => timeout(LOOKS_EVERY, read(&mut self.line, &mut buffer)).await.ok(),
            };
            let now = self.show_the_world();
            match heard {
                None => {}
                Some(Ok(heard)) => self.model.receive(now, heard),
                Some(Err(error)) => {
                    tracing::error!(%error, lamppost = self.scene.lamppost, "a pseudo-terminal broke");
                    return;
                }
            }
            let sent = self.model.transmit(now);
            // What nobody takes is lost, as on a line.
            if let Ok(Err(error)) = timeout(LOOKS_EVERY, write_all(&mut self.line, &sent)).await {
                tracing::error!(%error, lamppost = self.scene.lamppost, "a pseudo-terminal broke");
                return;
            }
        }
    }

    fn show_the_world(&mut self) -> Duration {
        let moment = self.scene.look();
        self.model.set_environment(moment.truth.pm1, moment.truth.pm2_5, moment.truth.pm10);
        let before = self.model.fault();
        if before != moment.particles {
            self.model.set_fault(moment.particles);
            let (lamppost, sensor) = (self.scene.lamppost, "pms5003");
            match moment.particles {
                Fault::None => tracing::info!(lamppost, sensor, fault = ?before, "the fault is over"),
                Fault::Silent
                | Fault::BadSum
                | Fault::Cut
                | Fault::Noise
                | Fault::AllZero
                | Fault::ErrorCode => {
                    tracing::info!(lamppost, sensor, fault = ?moment.particles, "a fault begins");
                }
            }
        }
        moment.now
    }
}

/// Waits for bytes and takes what fits.
async fn read<'a>(line: &mut SerialStream, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut unfilled = ReadBuf::new(buffer);
    poll_fn(|context| Pin::new(&mut *line).poll_read(context, &mut unfilled)).await?;
    let length = unfilled.filled().len();
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(&buffer[..length])
}

async fn write_all(line: &mut SerialStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|context| Pin::new(&mut *line).poll_write(context, bytes)).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}
