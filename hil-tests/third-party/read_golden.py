"""Reads the golden payloads with Google's protobuf and prints what it sees in them.

usage: read_golden.py PROTO_DIR GOLDEN_DIR

The output is one JSON object: for each payload its name and its content, in the form that GOLDEN_DIR/README.md
describes. It fails if writing a message again does not give the same bytes.
"""

import json
import pathlib
import sys

from google.protobuf import json_format

import published


def main() -> None:
    proto_dir, golden_dir = (pathlib.Path(argument) for argument in sys.argv[1:3])
    messages = published.messages(proto_dir)
    seen = {}
    for name, kind in [
        ("hello", messages.Hello),
        ("description", messages.Description),
        ("frame", messages.Frame),
        ("dropped", messages.Frame),
        ("position", messages.Position),
        ("position-clock", messages.Position),
    ]:
        message = read(kind, (golden_dir / f"{name}.bin").read_bytes(), name)
        seen[name] = as_json(message)
        if kind is messages.Frame:
            records = [read(messages.Record, record, "a record") for record in message.records]
            seen[name]["records"] = [as_json(record) for record in records]
    print(json.dumps(seen))


def read(kind, payload: bytes, name: str):
    message = kind.FromString(payload)
    if message.SerializeToString(deterministic=True) != payload:
        sys.exit(f"{name} is written with other bytes than it was read from")
    return message


def as_json(message) -> dict:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


main()
