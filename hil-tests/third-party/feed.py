"""A department by somebody else: listens over WebSocket, with Eclipse's MQTT client.

The output is one JSON object: the codes that answered the subscription, and the messages, each with its topic, whether it
was retained, and what it says. It ends when so many have come, or with 1 when the server refuses the login.
"""

import argparse
import json
import ssl
import sys

import paho.mqtt.client as mqtt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="address:port")
    parser.add_argument("--ca", required=True, help="the fleet's CA certificate")
    parser.add_argument("--name", required=True, help="the department")
    parser.add_argument("--key", required=True, help="its API key")
    parser.add_argument("--filter", required=True, help="what it asks to hear")
    parser.add_argument("--count", type=int, required=True, help="messages that it waits for")
    arguments = parser.parse_args()

    host, port = arguments.server.rsplit(":", 1)
    said = {"codes": [], "messages": []}
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id="browser", protocol=mqtt.MQTTv311, transport="websockets"
    )
    client.ws_set_options(path="/mqtt")
    client.tls_set(ca_certs=arguments.ca, cert_reqs=ssl.CERT_REQUIRED)
    client.username_pw_set(arguments.name, arguments.key)

    def on_connect(client, _userdata, _flags, reason, _properties):
        if reason.is_failure:
            print(reason, file=sys.stderr)
            sys.exit(1)
        client.subscribe(arguments.filter, qos=1)

    def on_subscribe(client, _userdata, _mid, reasons, _properties):
        said["codes"] = [reason.value for reason in reasons]
        if all(reason.is_failure for reason in reasons):
            client.disconnect()

    def on_message(client, _userdata, message):
        said["messages"].append(
            {"topic": message.topic, "retained": bool(message.retain), "says": json.loads(message.payload)}
        )
        if len(said["messages"]) == arguments.count:
            client.disconnect()

    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    client.connect(host, int(port))
    client.loop_forever()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
