// Where the user is: the fragment of the address, so that every view has a link of its own and the server serves one page.
//
//   #/                       the city: map and table
//   #/lampposts/KB0001       one lamppost
//   #/departments            who may listen to what
//   #/enrolment              tokens, imports, and who was refused
//   #/certificates           which certificates there are, and which end soon
//   #/connections            who is connected
//   #/system                 how the server is
// Each may be followed by ?key=value…, which a page reads and replaces by itself (filters, ranges).

/** Pages of which there is one each. */
const PLAIN = ["enrolment", "certificates", "connections", "departments", "system"] as const;
type Plain = (typeof PLAIN)[number];

export type Route =
  | { page: "city" }
  | { page: "lamppost"; number: string }
  | { page: Plain }
  | { page: "unknown"; path: string };

export function parseRoute(fragment: string): { route: Route; query: URLSearchParams } {
  const [path = "", query = ""] = fragment.replace(/^#/, "").split("?", 2);
  return { route: route(path), query: new URLSearchParams(query) };
}

function route(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  const [first, second] = parts;
  if (first === undefined) return { page: "city" };
  const plain = PLAIN.find((page) => page === first);
  if (plain !== undefined && parts.length === 1) return { page: plain };
  if (first === "lampposts" && parts.length === 2 && second !== undefined) {
    return { page: "lamppost", number: decodeOr(second) };
  }
  return { page: "unknown", path };
}

function decodeOr(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const state = $state(parseRoute(location.hash));

addEventListener("hashchange", () => {
  const { route, query } = parseRoute(location.hash);
  state.route = route;
  state.query = query;
});

export const here = {
  get route(): Route {
    return state.route;
  },
  get query(): URLSearchParams {
    return state.query;
  },
  /** Replaces what follows the `?`, without a new entry in the browser's history. Empty and null values are left out. */
  replaceQuery(values: Record<string, string | null>): void {
    const query = new URLSearchParams(state.query);
    for (const [key, value] of Object.entries(values)) {
      if (value === null || value === "") query.delete(key);
      else query.set(key, value);
    }
    const [path = "#/"] = (location.hash || "#/").split("?", 1);
    const text = query.toString();
    history.replaceState(null, "", text === "" ? path : `${path}?${text}`);
    state.query = query;
  },
};

export const linkTo = {
  city: "#/",
  departments: "#/departments",
  enrolment: "#/enrolment",
  certificates: "#/certificates",
  connections: "#/connections",
  system: "#/system",
  certificatesOf: (lamppost: string): string =>
    `#/certificates?show=all&lamppost=${encodeURIComponent(lamppost)}`,
  lamppost: (number: string): string => `#/lampposts/${encodeURIComponent(number)}`,
};
