//! From where clients call: each from an address of its own, as lampposts of a city do. The gateway bounds what one address may
//! try, and a city behind a single one is not what is measured.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, ensure};
use tokio::net::{TcpSocket, TcpStream};

/// The first address. Those below it are left to servers, which listen on 127.0.0.1.
const FIRST: u32 = Ipv4Addr::new(127, 16, 0, 0).to_bits();

/// So many addresses are called from; then the first one again.
const ADDRESSES: u64 = Ipv4Addr::new(127, 240, 0, 0).to_bits() as u64 - FIRST as u64;

/// A connection to a server on this machine, from the address of this caller. On Linux all of 127.0.0.0/8 is this machine.
pub(super) async fn call(caller: u64, server: SocketAddr) -> anyhow::Result<TcpStream> {
    ensure!(server.ip().is_loopback(), "{server} is not on this machine");
    let (from, socket) = (address_of(caller), TcpSocket::new_v4()?);
    socket.bind(SocketAddr::from((from, 0))).with_context(|| format!("cannot call from {from}"))?;
    let stream = socket.connect(server).await.with_context(|| format!("cannot connect from {from}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn address_of(caller: u64) -> Ipv4Addr {
    let place = u32::try_from(caller % ADDRESSES).unwrap_or_default();
    Ipv4Addr::from_bits(FIRST + place)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_caller_has_an_address_of_its_own_on_this_machine_and_none_has_a_servers() {
        let addresses: HashSet<Ipv4Addr> = (0..100_000).map(address_of).collect();
        assert_eq!(addresses.len(), 100_000);
        let all = addresses.into_iter().chain([address_of(ADDRESSES - 1), address_of(u64::MAX)]);
        assert!(all.into_iter().all(|address| address.is_loopback() && address.octets()[1] >= 16));
        assert_eq!(address_of(ADDRESSES), address_of(0));
    }

    #[tokio::test]
    async fn a_server_sees_who_calls() {
        let server = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let _stream = call(5_000, server.local_addr().unwrap()).await.unwrap();
        let (_, from) = server.accept().await.unwrap();
        assert_eq!(from.ip(), address_of(5_000));
    }
}
