"""A lamppost by somebody else: publishes hello, description, opening and a recorded day of wind.

Every message is sent by mosquitto_pub at QoS 1, which ends with 0 only after the PUBACK. It makes a connection for each
message, so each has a nonce of its own, and its count is 1; and the description is sent once, not on each of them (D4),
for by then the server has it.

The output is one JSON object: the outbox and run that spoke, how many records each log of the run holds, and for each
message its topic and whether it was acknowledged.
"""

import argparse
import csv
import decimal
import hashlib
import json
import pathlib
import secrets
import subprocess
import tempfile

import published

MINUTE_MS = 60_000

# Property, unit, exponent of ten of the resolution, and the column of the recording.
WIND = [
    ("wind_direction", "deg", -1, "wind_direction_deg"),
    ("wind_speed", "m/s", -2, "wind_speed_ms"),
    ("wind_gust", "m/s", -2, "wind_gust_ms"),
]
PROBE = [("air_temperature", "Cel", -2, "probe_temperature_c")]

# Places in the description.
WIND_DEVICE, PROBE_DEVICE = 0, 1

# Nothing is colder than absolute zero, and no street than the catalogue's valid range.
ABSOLUTE_ZERO_CELSIUS = decimal.Decimal("-273.15")
COLDEST_CELSIUS = decimal.Decimal("-40")


def main() -> None:
    arguments = parse_arguments()
    messages = published.messages(arguments.proto)
    outbox, run = secrets.token_bytes(16), secrets.token_bytes(16)
    with open(arguments.measurements, newline="") as file:
        rows = list(csv.DictReader(file))
    samples = [
        record
        for minute, row in enumerate(rows)
        for record in ticks(messages, row, arguments.start_ms + minute * MINUTE_MS)
    ]
    events = [messages.Record(opening=messages.Opening(opened_ms=arguments.start_ms))]

    description = describe(messages).SerializeToString()
    digest = hashlib.sha256(description).digest()
    hello = published.hello(messages, outbox, run, len(samples), len(events)).SerializeToString()
    publishes = [("hello", hello), ("description", description)]
    publishes += [("events", frame) for frame in frames(messages, run, digest, events)]
    publishes += [("samples", frame) for frame in frames(messages, run, digest, samples)]

    speaks_for = arguments.speak_for or arguments.number
    outcomes = []
    for leaf, payload in publishes:
        topic = f"lampposts/{speaks_for}/up/{leaf}"
        outcomes.append({"topic": topic, "acknowledged": publish(arguments, topic, payload)})
    ends = {"samples": len(samples), "events": len(events)}
    print(json.dumps({"outbox": outbox.hex(), "run": run.hex(), **ends, "published": outcomes}))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--proto", type=pathlib.Path, required=True, help="folder of the published .proto")
    parser.add_argument("--server", required=True, metavar="HOST:PORT")
    parser.add_argument("--certificates", type=pathlib.Path, required=True, help="folder of NUMBER.pem, NUMBER.key, ca.pem")
    parser.add_argument("--number", required=True, help="whose certificate it is, and the client id")
    parser.add_argument("--speak-for", help="a lamppost whose topics are used in place of its own")
    parser.add_argument("--measurements", type=pathlib.Path, required=True, help="met-minute.csv")
    parser.add_argument("--start-ms", type=int, required=True, help="time that the first minute is said to be of")
    return parser.parse_args()


def describe(messages):
    def series(rows):
        return [
            messages.Series(
                property=name,
                type=messages.VALUE_TYPE_QUANTITY,
                unit=unit,
                resolution=messages.Decimal(mantissa=1, exponent=exponent),
            )
            for name, unit, exponent, _ in rows
        ]

    return messages.Description(
        version=published.VERSION,
        grids=[messages.Grid(period_ms=MINUTE_MS)],
        devices=[
            messages.Device(name="wind-1", grid=0, model="cup-and-vane", series=series(WIND)),
            messages.Device(name="probe-1", grid=0, model="thermistor", series=series(PROBE)),
        ],
    )


def ticks(messages, row: dict, time_ms: int):
    """One record for each device: what it was read to say at this minute."""
    wind = [
        messages.Observation(series=place, value=in_steps(row[column], exponent))
        for place, (_, _, exponent, column) in enumerate(WIND)
    ]
    probe = probe_observation(messages, row)
    yield messages.Record(tick=messages.Tick(device=WIND_DEVICE, time_ms=time_ms, observations=wind))
    yield messages.Record(tick=messages.Tick(device=PROBE_DEVICE, time_ms=time_ms, observations=[probe]))


def probe_observation(messages, row: dict):
    """The recorded probe is broken: bad without a value where it says what cannot be, else uncertain."""
    ((_, _, exponent, column),) = PROBE
    celsius = decimal.Decimal(row[column])
    if celsius < ABSOLUTE_ZERO_CELSIUS:
        return messages.Observation(reason=messages.REASON_SENSOR_FAULT)
    reason = messages.REASON_OUT_OF_RANGE if celsius < COLDEST_CELSIUS else messages.REASON_GOOD
    return messages.Observation(value=in_steps(row[column], exponent), reason=reason)


def in_steps(text: str, exponent: int) -> int:
    """The whole number of 10^exponent that is nearest to the decimal."""
    return int(decimal.Decimal(text).scaleb(-exponent).to_integral_value())


def frames(messages, run: bytes, description: bytes, records: list):
    """Packs records into as few frames as the limits allow, and yields their payloads."""

    def frame(first: int, last: int):
        return messages.Frame(
            version=published.VERSION,
            nonce=secrets.token_bytes(16),
            count=1,
            run=run,
            first=first,
            last=last,
            description=description,
            records=[record.SerializeToString() for record in records[first : last + 1]],
        ).SerializeToString()

    first = 0
    while first < len(records):
        last = min(first + published.MAX_RECORDS_PER_FRAME, len(records)) - 1
        while len(payload := frame(first, last)) > published.MAX_PAYLOAD_BYTES:
            last = first + (last - first) // 2
        yield payload
        first = last + 1


def publish(arguments: argparse.Namespace, topic: str, payload: bytes) -> bool:
    """Sends one message over a connection of its own. True: it was acknowledged."""
    host, _, port = arguments.server.rpartition(":")
    folder = arguments.certificates
    with tempfile.NamedTemporaryFile() as file:
        file.write(payload)
        file.flush()
        command = ["timeout", "30", "mosquitto_pub", "-h", host, "-p", port, "-V", "mqttv311", "-q", "1"]
        command += ["-i", arguments.number, "--cafile", folder / "ca.pem"]
        command += ["--cert", folder / f"{arguments.number}.pem", "--key", folder / f"{arguments.number}.key"]
        command += ["-t", topic, "-f", file.name]
        return subprocess.run(command, check=False).returncode == 0


main()
