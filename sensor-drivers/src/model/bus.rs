//! An I2C bus within the process, with models on it.

use std::fmt;
use std::time::Duration;

use embedded_hal::i2c::{Error, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use super::{Ack, I2cTarget, ModelTime};

/// An I2C bus whose targets are models. An address without a target is not acknowledged.
#[derive(Default)]
pub struct ModelBus {
    targets: Vec<(u8, Box<dyn I2cTarget + Send>)>,
    time: ModelTime,
}

/// What a transfer failed of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelBusError {
    /// Nobody answered at the address.
    #[error("address not acknowledged")]
    AddressNotAcknowledged,
    /// A byte after the address was not acknowledged.
    #[error("data not acknowledged")]
    DataNotAcknowledged,
}

impl ModelBus {
    /// An empty bus at world time zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a target on the bus, in place of the one that had this address.
    pub fn attach(&mut self, address: u8, target: Box<dyn I2cTarget + Send>) {
        self.detach(address);
        self.targets.push((address, target));
    }

    /// Takes the target at this address off the bus, if there is one.
    pub fn detach(&mut self, address: u8) {
        self.targets.retain(|(taken, _)| *taken != address);
    }

    /// Sets the world time that targets are given.
    pub fn set_now(&mut self, now: Duration) {
        self.time.set(now);
    }

    /// A handle on the world time that targets are given, also usable as a driver's delay.
    pub fn time(&self) -> ModelTime {
        self.time.clone()
    }
}

impl fmt::Debug for ModelBus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<u8> = self.targets.iter().map(|(address, _)| *address).collect();
        formatter.debug_struct("ModelBus").field("addresses", &addresses).field("time", &self.time).finish()
    }
}

impl Error for ModelBusError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::NoAcknowledge(match self {
            Self::AddressNotAcknowledged => NoAcknowledgeSource::Address,
            Self::DataNotAcknowledged => NoAcknowledgeSource::Data,
        })
    }
}

impl ErrorType for ModelBus {
    type Error = ModelBusError;
}

impl I2c for ModelBus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), <Self as ErrorType>::Error> {
        let now = self.time.now();
        let found = self.targets.iter_mut().find(|(taken, _)| *taken == address);
        let (_, target) = found.ok_or(ModelBusError::AddressNotAcknowledged)?;
        // embedded-hal: neighbours of one direction are one transfer, without a start between them.
        let runs = operations.chunk_by_mut(|one, next| is_read(one) == is_read(next));
        for run in runs {
            if run.first().is_some_and(is_read) {
                read(target.as_mut(), now, run)?;
            } else {
                write(target.as_mut(), now, run)?;
            }
        }
        Ok(())
    }
}

const fn is_read(operation: &Operation<'_>) -> bool {
    matches!(operation, Operation::Read(_))
}

fn write(target: &mut dyn I2cTarget, now: Duration, run: &[Operation<'_>]) -> Result<(), ModelBusError> {
    let mut bytes = Vec::new();
    for operation in run {
        if let Operation::Write(part) = operation {
            bytes.extend_from_slice(part);
        }
    }
    checked(target.write(now, &bytes))
}

fn read(target: &mut dyn I2cTarget, now: Duration, run: &mut [Operation<'_>]) -> Result<(), ModelBusError> {
    let mut parts: Vec<&mut u8> = Vec::new();
    for operation in run {
        if let Operation::Read(part) = operation {
            parts.extend(part.iter_mut());
        }
    }
    let mut buffer = vec![0; parts.len()];
    checked(target.read(now, &mut buffer))?;
    for (byte, value) in parts.into_iter().zip(buffer) {
        *byte = value;
    }
    Ok(())
}

const fn checked(ack: Ack) -> Result<(), ModelBusError> {
    match ack {
        Ack::Acknowledged => Ok(()),
        Ack::AddressRefused => Err(ModelBusError::AddressNotAcknowledged),
        Ack::DataRefused => Err(ModelBusError::DataNotAcknowledged),
    }
}
