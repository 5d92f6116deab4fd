//! Strangers at the door: programs that we did not write, with libraries that we do not use (Google's protobuf,
//! mosquitto's and Eclipse's clients, OpenSSL, curl), against the real server over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod enrolment;
mod feeds;
mod golden;
mod lamppost;
mod refusals;
mod stage;
mod tls;
