//! Constants of the language: what a payload may hold, and how much may be under way.

/// Version of the language that this crate writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// Largest payload of one publish, in bytes. A tick of 20 series takes about 200.
pub const MAX_PAYLOAD_BYTES: usize = 32 * 1024;

/// Largest MQTT packet, in bytes: a payload, the longest topic (68 bytes) and the headers.
pub const MAX_PACKET_BYTES: usize = MAX_PAYLOAD_BYTES + 128;

/// Most records in one frame.
pub const MAX_RECORDS_PER_FRAME: usize = 1024;

/// The window (D6): payload bytes of frames that one lamppost may have sent and not yet had acknowledged.
pub const WINDOW_BYTES: usize = 128 * 1024;

/// The window (D6) in records.
pub const WINDOW_RECORDS: usize = 8 * 1024;

/// The window in publishes: what the MQTT client keeps track of.
pub const WINDOW_PUBLISHES: usize = 64;

/// Payload bytes that the gateway reads of one connection without waiting for a commit: the window, and a hello and a
/// description that may go beside it. So pings are answered while acknowledgements wait.
pub const GATEWAY_BYTES: usize = WINDOW_BYTES + 2 * MAX_PAYLOAD_BYTES;

/// The same in publishes.
pub const GATEWAY_PUBLISHES: usize = WINDOW_PUBLISHES + 2;

/// Most runs that one hello names, and a position answers for.
pub const MAX_RUNS_PER_HELLO: usize = 256;

/// Most outboxes that one hello names as set aside; the others are told of once these are dealt with.
pub const MAX_SET_ASIDE_PER_HELLO: usize = 16;

/// Longest serial number of hardware, in bytes.
pub const MAX_SERIAL_BYTES: usize = 64;

/// Longest text of a command's report, in bytes.
pub const MAX_DETAIL_BYTES: usize = 256;

/// Most pieces of one log of a run that a hello or a position names; the farthest are left out.
pub const MAX_PIECES_PER_LOG: usize = 64;

/// Most devices of one description.
pub const MAX_DEVICES: usize = 64;

/// Most series of one device.
pub const MAX_SERIES_PER_DEVICE: usize = 64;

/// No lamppost has this number: the server's own messages bear it, which ask whether the path to its disk works.
pub const RESERVED_NUMBER: &str = "_healthz";
