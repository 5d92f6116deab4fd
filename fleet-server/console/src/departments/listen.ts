// What a department types to listen.

/** A command that works once the server's name and the certificate of its CA are put in. */
export function listenWith(name: string, key: string, filter: string): string {
  // A single quote ends what a shell takes as it is.
  const quoted = filter.replaceAll("'", "'\\''");
  return `mosquitto_sub -h SERVER -p 8883 --cafile ca.pem -u ${name} -P ${key} -t '${quoted}' -v`;
}
