//! An MQTT connection in a test's own hands: packet by packet, and also half a packet. MQTT 3.1.1 is written out here,
//! so that the gateway's codec is not tested by itself.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lamplighter_protocol::{LamppostNumber, Leaf, Topic};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Longer than every time limit of the gateway, of which the longest met here is 20 s.
const PATIENCE: Duration = Duration::from_secs(45);

/// One connection of one lamppost.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    number: LamppostNumber,
    received: Vec<u8>,
    inbox: VecDeque<Packet>,
    last_packet_id: u16,
}

/// What the gateway says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Acknowledgement(u16),
    Publish { topic: String, payload: Vec<u8> },
    Pong,
    Other(u8, Vec<u8>),
}

/// Why a connection gave nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The gateway closed it.
    Closed,
    /// The gateway neither answered nor closed for as long as the test waits.
    Silent,
}

/// The TLS side of a lamppost whose certificate, key and CA are in this folder.
pub(crate) fn tls(certificates: &Path, number: &LamppostNumber) -> Arc<ClientConfig> {
    let file = |name: String| certificates.join(number.as_str()).join(name);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("ca.pem".to_owned())).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_file(file(format!("{number}.pem"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file(format!("{number}.key"))).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key);
    Arc::new(config.unwrap())
}

/// A PUBLISH at `QoS` 1, whole.
pub(crate) fn publish(topic: &Topic, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = text(&topic.to_string());
    body.extend(packet_id.to_be_bytes());
    body.extend(payload);
    packet(0x32, &body)
}

impl Connection {
    /// Past TLS; nothing of MQTT is said yet.
    pub(crate) fn open(at: SocketAddr, tls: Arc<ClientConfig>, number: LamppostNumber) -> Self {
        let tcp = TcpStream::connect(at).unwrap();
        tcp.set_nodelay(true).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_write_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(tls, name).unwrap(), tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        Self { stream, number, received: Vec::new(), inbox: VecDeque::new(), last_packet_id: 0 }
    }

    /// The port of this end.
    pub(crate) fn port(&self) -> u16 {
        self.stream.sock.local_addr().unwrap().port()
    }

    /// From now on the gateway is given this time to answer or to close.
    pub(crate) fn wait_for_at_most(&self, patience: Duration) {
        self.stream.sock.set_read_timeout(Some(patience)).unwrap();
    }

    /// CONNECT and its answer.
    pub(crate) fn log_in(&mut self) {
        self.send(&connect(&self.number)).unwrap();
        assert_eq!(
            self.next(|packet| matches!(packet, Packet::Other(0x20, _))),
            Ok(Packet::Other(0x20, vec![0, 0]))
        );
    }

    /// Listens to what is sent down, at `QoS` 0.
    pub(crate) fn listen(&mut self) {
        let mut body = 1_u16.to_be_bytes().to_vec();
        body.extend(text(&Topic::down_filter(&self.number)));
        body.push(0);
        self.send(&packet(0x82, &body)).unwrap();
        assert_eq!(
            self.next(|packet| matches!(packet, Packet::Other(0x90, _))),
            Ok(Packet::Other(0x90, vec![0, 1, 0]))
        );
    }

    /// Sends a publish; its packet id.
    pub(crate) fn publish(&mut self, leaf: Leaf, payload: &[u8]) -> Result<u16, End> {
        self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        let topic = Topic::new(self.number.clone(), leaf);
        self.send(&publish(&topic, self.last_packet_id, payload))?;
        Ok(self.last_packet_id)
    }

    /// Waits for the acknowledgement of a publish.
    pub(crate) fn acknowledged(&mut self, packet_id: u16) -> Result<(), End> {
        self.next(|packet| *packet == Packet::Acknowledgement(packet_id)).map(drop)
    }

    /// Waits for the next that is sent down on this topic.
    pub(crate) fn sent_down(&mut self, leaf: Leaf) -> Vec<u8> {
        let on = Topic::new(self.number.clone(), leaf).to_string();
        match self.next(|packet| matches!(packet, Packet::Publish { topic, .. } if *topic == on)) {
            Ok(Packet::Publish { payload, .. }) => payload,
            other => panic!("nothing came on {on}, but {other:?}"),
        }
    }

    /// Asks for a sign of life, and has it.
    pub(crate) fn ping(&mut self) {
        self.send(&PING).unwrap();
        self.next(|packet| *packet == Packet::Pong).unwrap();
    }

    /// Waits until the gateway closes the connection, whatever it says before.
    pub(crate) fn wait_until_closed(&mut self) {
        assert_eq!(self.next(|_| false), Err(End::Closed));
    }

    /// The next packet, whatever it is.
    pub(crate) fn packet(&mut self) -> Result<Packet, End> {
        self.next(|_| true)
    }

    /// The next packet that begins with this byte.
    pub(crate) fn answer(&mut self, first: u8) -> Result<Packet, End> {
        self.next(|packet| matches!(packet, Packet::Other(byte, _) if *byte == first))
    }

    /// All that still comes until the gateway closes, as it is.
    pub(crate) fn bytes_until_closed(&mut self) -> Vec<u8> {
        // Also if it is cut without a word of TLS.
        self.stream.read_to_end(&mut self.received).ok();
        std::mem::take(&mut self.received)
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).map_err(|_| End::Closed)
    }

    /// The first packet that is meant, of those that have come and those that will; the others stay for later.
    fn next(&mut self, meant: impl Fn(&Packet) -> bool) -> Result<Packet, End> {
        if let Some(place) = self.inbox.iter().position(&meant) {
            return self.inbox.remove(place).ok_or(End::Closed);
        }
        loop {
            let packet = self.read()?;
            if meant(&packet) {
                return Ok(packet);
            }
            self.inbox.push_back(packet);
        }
    }

    fn read(&mut self) -> Result<Packet, End> {
        loop {
            if let Some(packet) = take_packet(&mut self.received) {
                return Ok(packet);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(End::Closed),
                Ok(length) => self.received.extend(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(End::Silent),
                // Also reset, if the gateway left something of ours unread, and cut without a word of TLS.
                Err(_) => return Err(End::Closed),
            }
        }
    }
}

/// PINGREQ
pub(crate) const PING: [u8; 2] = [0xc0, 0];

/// A CONNECT of this lamppost, with a keep-alive of a minute.
pub(crate) fn connect(number: &LamppostNumber) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x04\x02\x00\x3c".to_vec();
    body.extend(text(number.as_str()));
    packet(0x10, &body)
}

/// A packet of this first byte and body.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let more = if length > 0x7f { 0x80 } else { 0 };
        packet.push(u8::try_from(length & 0x7f).unwrap() | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// A text with its length before it.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.bytes());
    bytes
}

/// Takes a whole packet from the front, if one is there.
fn take_packet(received: &mut Vec<u8>) -> Option<Packet> {
    let (mut length, mut header) = (0, 1);
    loop {
        let byte = *received.get(header)?;
        length |= usize::from(byte & 0x7f) << (7 * (header - 1));
        header += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let body = received.get(header..header + length)?.to_vec();
    let first = received[0];
    received.drain(..header + length);
    Some(match first {
        0x40 => Packet::Acknowledgement(u16::from_be_bytes(body.try_into().unwrap())),
        0xd0 => Packet::Pong,
        0x30 => {
            let topic_end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            let topic = String::from_utf8(body[2..topic_end].to_vec()).unwrap();
            Packet::Publish { topic, payload: body[topic_end..].to_vec() }
        }
        _ => Packet::Other(first, body),
    })
}
