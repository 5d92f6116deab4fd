"""Says hello in the name of an outbox, on the connection that listens, and prints the position that answers it.

mosquitto's programs either publish or listen, and a position is the answer to a hello of the same connection (D8): so this
one speaks the few packets of MQTT 3.1.1 that it takes itself.
"""

import argparse
import json
import pathlib
import socket
import ssl

from google.protobuf import json_format

import published

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 8, 9, 14
QOS_1 = 1

PATIENCE_S = 30


def main() -> None:
    arguments = parse_arguments()
    messages = published.messages(arguments.proto)
    outbox, run = bytes.fromhex(arguments.outbox), bytes.fromhex(arguments.run)
    hello = published.hello(messages, outbox, run, arguments.samples, arguments.events)
    with connect(arguments) as connection:
        payload = ask(connection, arguments.number, hello.SerializeToString())
    position = messages.Position.FromString(payload)
    if position.nonce != hello.nonce:
        raise SystemExit("the position answers another hello")
    print(json.dumps(json_format.MessageToDict(
        position, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--proto", type=pathlib.Path, required=True, help="folder of the published .proto")
    parser.add_argument("--server", required=True, metavar="HOST:PORT")
    parser.add_argument("--certificates", type=pathlib.Path, required=True, help="folder of NUMBER.pem, NUMBER.key, ca.pem")
    parser.add_argument("--number", required=True, help="whose certificate it is, and the client id")
    parser.add_argument("--outbox", required=True, help="hexadecimal")
    parser.add_argument("--run", required=True, help="hexadecimal")
    parser.add_argument("--samples", type=int, required=True, help="records that the run's samples hold")
    parser.add_argument("--events", type=int, required=True, help="records that the run's events hold")
    return parser.parse_args()


def connect(arguments: argparse.Namespace) -> ssl.SSLSocket:
    """TLS with both certificates checked, as strictly as RFC 5280 asks."""
    folder, number = arguments.certificates, arguments.number
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(folder / f"{number}.pem", folder / f"{number}.key")
    host, _, port = arguments.server.rpartition(":")
    return context.wrap_socket(socket.create_connection((host, int(port)), PATIENCE_S), server_hostname=host)


def ask(connection: ssl.SSLSocket, number: str, hello: bytes) -> bytes:
    """Listens, says hello, and returns the payload that comes down. Section numbers are those of MQTT 3.1.1."""
    # 3.1: level 4, clean session, keep-alive 60 s.
    send(connection, CONNECT, 0, text("MQTT") + bytes([4, 0b10]) + number_16(60) + text(number))
    expect(connection, CONNACK, bytes([0, 0]))
    # 3.8, 3.9: what is granted is at least once.
    send(connection, SUBSCRIBE, 0b10, number_16(1) + text(f"lampposts/{number}/down/position") + bytes([QOS_1]))
    expect(connection, SUBACK, number_16(1) + bytes([QOS_1]))
    # 3.3: at least once, not retained.
    send(connection, PUBLISH, QOS_1 << 1, text(f"lampposts/{number}/up/hello") + number_16(2) + hello)
    # The acknowledgement and the position come in either order.
    payload, acknowledged = None, False
    while payload is None or not acknowledged:
        kind, body = receive(connection)
        if kind == PUBACK and body == number_16(2):
            acknowledged = True
        elif kind == PUBLISH:
            length = int.from_bytes(body[:2], "big")
            topic, packet_id, payload = body[2 : 2 + length], body[2 + length : 4 + length], body[4 + length :]
            if topic.decode() != f"lampposts/{number}/down/position":
                raise SystemExit(f"a message of {topic} came")
            send(connection, PUBACK, 0, packet_id)
        else:
            raise SystemExit(f"packet {kind} came: {body.hex()}")
    send(connection, DISCONNECT, 0, b"")
    return payload


def text(of: str) -> bytes:
    return number_16(len(of.encode())) + of.encode()


def number_16(of: int) -> bytes:
    return of.to_bytes(2, "big")


def send(connection: ssl.SSLSocket, kind: int, flags: int, body: bytes) -> None:
    # 2.2.3: seven bits of the remaining length in a byte, the least first.
    length, rest = bytearray(), len(body)
    while rest >= 0x80:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    connection.sendall(bytes([kind << 4 | flags]) + length + body)


def expect(connection: ssl.SSLSocket, kind: int, body: bytes) -> None:
    came = receive(connection)
    if came != (kind, body):
        raise SystemExit(f"packet {kind} {body.hex()} was due, {came[0]} {came[1].hex()} came")


def receive(connection: ssl.SSLSocket) -> tuple[int, bytes]:
    kind = exactly(connection, 1)[0] >> 4
    length, shift = 0, 0
    while True:
        byte = exactly(connection, 1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return kind, exactly(connection, length)


def exactly(connection: ssl.SSLSocket, length: int) -> bytes:
    taken = b""
    while len(taken) < length:
        more = connection.recv(length - len(taken))
        if not more:
            raise SystemExit("the server closed the connection")
        taken += more
    return taken


main()
