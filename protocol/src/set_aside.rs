//! Outboxes that were set aside (D14), as hellos tell of them.

use crate::id::{IdError, LamppostNumber, OutboxId};
use crate::time::UtcMillis;
use crate::wire;

/// An outbox on a lamppost's disk that does not belong to the one that speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its own id, or one that was made for it: no other outbox of the hello has it.
    pub outbox: OutboxId,
    /// The lamppost that it belongs to, if that is known.
    pub lamppost: Option<LamppostNumber>,
    /// The hardware that it belongs to; empty if that has no serial number or is not known.
    pub hardware_serial: String,
    /// Why it does not belong to the one that speaks.
    pub reason: SetAsideReason,
    /// Of its records on disk, with their framing.
    pub bytes: u64,
    /// How many runs it has.
    pub runs: u32,
    /// When its first run opened, as far as that can be read.
    pub first: Option<UtcMillis>,
    /// The last time that it is known to tell of.
    pub last: Option<UtcMillis>,
}

/// Why an outbox was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAsideReason {
    /// It belongs to a lamppost of another number.
    OtherLamppost,
    /// It belongs to this lamppost's number, and to other hardware.
    OtherHardware,
    /// Its identity is not as it was written.
    DamagedIdentity,
    /// It has records, and no identity.
    NoIdentity,
    /// For a reason that this version does not know.
    Unknown,
}

impl SetAside {
    pub(crate) fn to_wire(&self) -> wire::SetAside {
        wire::SetAside {
            outbox: self.outbox.0.to_vec(),
            lamppost: self.lamppost.as_ref().map(ToString::to_string).unwrap_or_default(),
            hardware_serial: self.hardware_serial.clone(),
            reason: self.reason.to_wire().into(),
            bytes: self.bytes,
            runs: self.runs,
            first_ms: self.first.map(|time| time.0),
            last_ms: self.last.map(|time| time.0),
        }
    }
}

impl TryFrom<wire::SetAside> for SetAside {
    type Error = IdError;

    fn try_from(message: wire::SetAside) -> Result<Self, IdError> {
        let reason = message.reason();
        let lamppost = Some(&message.lamppost).filter(|number| !number.is_empty());
        Ok(Self {
            outbox: OutboxId::from_slice(&message.outbox)?,
            lamppost: lamppost.map(|number| LamppostNumber::new(number)).transpose()?,
            reason: SetAsideReason::from_wire(reason),
            bytes: message.bytes,
            runs: message.runs,
            first: message.first_ms.map(UtcMillis),
            last: message.last_ms.map(UtcMillis),
            hardware_serial: message.hardware_serial,
        })
    }
}

impl SetAsideReason {
    /// The word that documents use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherLamppost => "other_lamppost",
            Self::OtherHardware => "other_hardware",
            Self::DamagedIdentity => "damaged_identity",
            Self::NoIdentity => "no_identity",
            Self::Unknown => "unknown",
        }
    }

    fn to_wire(self) -> wire::SetAsideReason {
        match self {
            Self::OtherLamppost => wire::SetAsideReason::OtherLamppost,
            Self::OtherHardware => wire::SetAsideReason::OtherHardware,
            Self::DamagedIdentity => wire::SetAsideReason::DamagedIdentity,
            Self::NoIdentity => wire::SetAsideReason::NoIdentity,
            Self::Unknown => wire::SetAsideReason::Unspecified,
        }
    }

    fn from_wire(reason: wire::SetAsideReason) -> Self {
        match reason {
            wire::SetAsideReason::OtherLamppost => Self::OtherLamppost,
            wire::SetAsideReason::OtherHardware => Self::OtherHardware,
            wire::SetAsideReason::DamagedIdentity => Self::DamagedIdentity,
            wire::SetAsideReason::NoIdentity => Self::NoIdentity,
            wire::SetAsideReason::Unspecified => Self::Unknown,
        }
    }
}
