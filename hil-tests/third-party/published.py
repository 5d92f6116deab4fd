"""The messages of the published .proto, compiled by Google's own compiler when a program starts; and the hello."""

import importlib
import pathlib
import secrets
import sys
import tempfile

from grpc_tools import protoc

PROTO = "lamplighter/v1/delivery.proto"

# Limits of the language: protocol/src/limits.rs.
VERSION = 1
MAX_PAYLOAD_BYTES = 32 * 1024
MAX_RECORDS_PER_FRAME = 1024


def messages(proto_dir: pathlib.Path):
    """Compiles delivery.proto, found below proto_dir, and returns the module of its messages."""
    with tempfile.TemporaryDirectory() as compiled:
        if protoc.main(["protoc", f"-I{proto_dir}", f"--python_out={compiled}", PROTO]) != 0:
            sys.exit(f"{PROTO} below {proto_dir} cannot be compiled")
        sys.path.insert(0, compiled)
        return importlib.import_module("lamplighter.v1.delivery_pb2")


def hello(messages, outbox: bytes, run: bytes, samples: int, events: int):
    """The hello of a new connection, of an outbox that holds one run with so many records in its logs."""

    def held(records: int):
        return messages.LogHeld(pieces=[messages.Piece(first=0, last=records - 1)])

    return messages.Hello(
        version=VERSION,
        nonce=secrets.token_bytes(16),
        count=1,
        outbox=outbox,
        run=run,
        runs=[messages.RunHeld(run=run, samples=held(samples), events=held(events))],
        agent_version="third-party",
        generation=1,
    )
