//! What a caller has to tell apart, whatever the part: each driver's own error says which of these it is.

/// What kind of failure it was, hence what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The transport failed: not acknowledged, timed out, damaged on the line. Trying again may help, and the part
    /// has to be identified again first, because it may have been exchanged meanwhile.
    Bus,
    /// What answers is not, or no longer, the part that was identified. Identify again; reading on cannot help.
    Identity,
    /// The right part answers, and what it says is no measurement. Trying again may help; if it lasts, the part is
    /// broken.
    SensorFault,
}
