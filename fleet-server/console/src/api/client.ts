// The way to the server's API. Its types are generated from the server's own OpenAPI document (npm run api).

import { access } from "./access.svelte";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

/** What an operation answers with in JSON; never for one that has no JSON. */
type Answer<Path extends keyof paths> = paths[Path] extends {
  get: { responses: { 200: { content: { "application/json": infer Document } } } };
}
  ? Document
  : never;

/** Paths that answer with JSON. */
type JsonPath = { [Path in keyof paths]: [Answer<Path>] extends [never] ? never : Path }[keyof paths];

/** What an operation that decides something answers with: 201 where something was made. */
type Decided<Path extends keyof paths> = paths[Path] extends {
  post: { responses: infer Responses };
}
  ? { [Status in 200 | 201]: Responses extends Record<Status, Json<infer Document>> ? Document : never }[
      200 | 201]
  : never;

type Json<Document> = { content: { "application/json": Document } };

/** Paths at which something is decided. */
type DecidePath = { [Path in keyof paths]: [Decided<Path>] extends [never] ? never : Path }[keyof paths];

/** Paths at which something is ended. */
type RemovePath = {
  [Path in keyof paths]: paths[Path] extends { delete: { responses: { 204: unknown } } } ? Path : never;
}[keyof paths];

/** What stands in the braces of a path, and what may follow its question mark; undefined is left out. */
type Asked<Path extends keyof paths, Method extends "get" | "post" | "delete" = "get"> = paths[Path] extends {
  [One in Method]: { parameters: infer All };
}
  ? { [Kind in "path" | "query" as Kind extends keyof All ? Kind : never]?: Loose<All[Kind & keyof All]> }
  : never;

type Loose<Values> = { [Key in keyof Values]: Values[Key] | undefined };

/** What a problem tells besides what it says. */
type Told = Pick<Schemas["Problem"], "parameter" | "floor" | "errors" | "errors_count">;

/** What the server answers instead of what was asked for (RFC 9457), or that it does not answer at all. */
export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  /** Which parameter of path or query is wrong, if it is one of them. */
  readonly parameter: string | null;
  /** With "older than tail": the earliest time from which the server can answer. */
  readonly floor_ms: number | null;
  /** With a list that is not accepted: the first of what is wrong with it. */
  readonly errors: readonly Schemas["ListErrorDocument"][];
  /** And how much that is. */
  readonly errorsCount: number;

  constructor(status: number, title: string, detail: string, told: Told = {}) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.title = title;
    this.parameter = told.parameter ?? null;
    this.floor_ms = told.floor === undefined ? null : Date.parse(told.floor);
    this.errors = told.errors ?? [];
    this.errorsCount = told.errors_count ?? this.errors.length;
  }

  /** Whether asking again later may help. */
  get mayPass(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

/** Longer than any answer takes. A network that is gone without a word would hold a page for minutes otherwise. */
const PATIENCE_MS = 30_000;
/** As long as the server waits for a list of lampposts, which may come over a slow line. */
const SENDING_MS = 10 * 60_000;

/**
 * Reads a document: `await get("/api/v1/lampposts/{number}", { path: { number } })`. Without access the whole console
 * says how to get it. An answer that does not come in time counts as none.
 *
 * @throws Problem
 * @throws DOMException of the name AbortError, if the signal said so
 */
export async function get<Path extends JsonPath>(
  path: Path,
  asked: Asked<Path> & { signal?: AbortSignal } = {} as Asked<Path>,
): Promise<Answer<Path>> {
  return (await request("GET", path, asked)) as Answer<Path>;
}

/**
 * Decides something: `await post("/api/v1/…/{outbox}/close", { path: { number, outbox } })`. Whether an answer that does
 * not come in time means that it was decided has to be read. A body is for the one operation that takes one.
 *
 * @throws Problem
 */
export async function post<Path extends DecidePath>(
  path: Path,
  asked: Asked<Path, "post"> & { body?: Blob },
): Promise<Decided<Path>> {
  return (await request("POST", path, asked)) as Decided<Path>;
}

/**
 * Ends something: `await remove("/api/v1/departments/{name}", { path: { name } })`. It answers nothing.
 *
 * @throws Problem
 */
export async function remove<Path extends RemovePath>(
  path: Path,
  asked: Asked<Path, "delete">,
): Promise<void> {
  await request("DELETE", path, asked);
}

async function request(
  method: "GET" | "POST" | "DELETE",
  path: keyof paths,
  asked: object,
): Promise<unknown> {
  const {
    signal = null,
    body = null,
    ...parameters
  } = asked as {
    signal?: AbortSignal;
    body?: Blob;
    path?: Record<string, string | number>;
    query?: Query;
  };
  let response: Response;
  let document: unknown;
  try {
    const patience = AbortSignal.timeout(body === null ? PATIENCE_MS : SENDING_MS);
    response = await fetch(addressOf(path, parameters.path, parameters.query), {
      method,
      body,
      signal: signal === null ? patience : AbortSignal.any([signal, patience]),
    });
    document = response.status === 204 ? null : await response.json();
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new Problem(0, "", String(cause));
  }
  if (response.status === 401) access.lost();
  if (!response.ok) throw problemOf(response, document);
  return document;
}

type Query = Record<string, string | number | boolean | null | undefined>;

/** Where a document is, for `get` and for links. Parameters that are null or undefined are left out. */
export function addressOf(
  path: keyof paths,
  inPath: Record<string, string | number> = {},
  query: Query = {},
): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(inPath[name] ?? ""));
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const text = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  return text === "" ? filled : `${filled}?${text}`;
}

function problemOf(response: Response, document: unknown): Problem {
  const values = (typeof document === "object" && document !== null ? document : {}) as Record<
    string,
    unknown
  >;
  const of = (key: string): string | undefined => {
    const value = values[key];
    return typeof value === "string" ? value : undefined;
  };
  const told: Told = {};
  const [parameter, floor] = [of("parameter"), of("floor")];
  if (parameter !== undefined) told.parameter = parameter;
  if (floor !== undefined) told.floor = floor;
  const { errors, errors_count } = values as Told;
  if (Array.isArray(errors) && typeof errors_count === "number")
    Object.assign(told, { errors, errors_count });
  return new Problem(response.status, of("title") || response.statusText, of("detail") ?? "", told);
}
