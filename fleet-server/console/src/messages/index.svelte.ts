// The language of the console: English or Traditional Chinese. Only the one in use is loaded.

import type { CountKey, MessageKey, Messages, ParametersOf } from "./types";

export type { MessageKey } from "./types";

export type Language = "en" | "zh-Hant";
export const LANGUAGES: readonly { code: Language; name: string; short: string }[] = [
  { code: "en", name: "English", short: "EN" },
  { code: "zh-Hant", name: "繁體中文", short: "中文" },
];

const KEY = "lamplighter.language";
/** How dates and numbers are written: Hong Kong's ways, in either language. */
const LOCALES: Record<Language, string> = { en: "en-HK", "zh-Hant": "zh-HK" };

/** The texts of the shell and of each page, in each language: loaded when they are first needed. */
const PARTS = {
  en: {
    shell: async () => (await import("./en/shell")).shell,
    city: async () => (await import("./en/city")).city,
    departments: async () => (await import("./en/departments")).departments,
    enrolment: async () => (await import("./en/enrolment")).enrolment,
    lamppost: async () => (await import("./en/lamppost")).lamppost,
    life: async () => (await import("./en/life")).life,
    map: async () => (await import("./en/map")).map,
    system: async () => (await import("./en/system")).system,
  },
  "zh-Hant": {
    shell: async () => (await import("./zh-Hant/shell")).shell,
    city: async () => (await import("./zh-Hant/city")).city,
    departments: async () => (await import("./zh-Hant/departments")).departments,
    enrolment: async () => (await import("./zh-Hant/enrolment")).enrolment,
    lamppost: async () => (await import("./zh-Hant/lamppost")).lamppost,
    life: async () => (await import("./zh-Hant/life")).life,
    map: async () => (await import("./zh-Hant/map")).map,
    system: async () => (await import("./zh-Hant/system")).system,
  },
} as const;

/** A page, a part of one that comes after it, or the shell that all of them share. */
export type MessagePart = keyof (typeof PARTS)["en"];

const state = $state<{ language: Language; messages: Partial<Messages> }>({
  language: initial(),
  messages: {},
});
/** The language that was chosen last; it may still be on its way. */
let wanted: Language = state.language;
/** What is on the screen, or has been. */
const loaded = new Set<MessagePart>(["shell"]);

function initial(): Language {
  const stored = localStorage.getItem(KEY);
  const known = LANGUAGES.find((one) => one.code === stored);
  if (known !== undefined) return known.code;
  return navigator.languages.some((tag) => /^zh\b/i.test(tag)) && !/^en\b/i.test(navigator.language)
    ? "zh-Hant"
    : "en";
}

/** Loads the texts of a page; before it is done there are none. */
export async function loadMessages(part: MessagePart): Promise<void> {
  loaded.add(part);
  await load(wanted);
}

let choices = 0;

/** Changes the language; the old one stays until all of the new one is there. */
export async function chooseLanguage(language: Language): Promise<void> {
  choices += 1;
  const choice = choices;
  try {
    await load(language);
  } catch (problem) {
    // A later choice is not undone by an earlier one that failed.
    if (choice === choices) wanted = state.language;
    throw problem;
  }
  localStorage.setItem(KEY, language);
}

/** Loads follow one another: of two choices the later one stands, and each loads all that was asked for by then. */
let loading: Promise<void> = Promise.resolve();

function load(language: Language): Promise<void> {
  wanted = language;
  loading = loading.catch(() => undefined).then(() => loadWanted());
  return loading;
}

/** An import cannot be called off, and one that never ends would hold up all that follow it: so late it has failed. */
const PATIENCE_MS = 30_000;

async function inTime<Result>(work: Promise<Result>): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the texts did not come in time")), PATIENCE_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function loadWanted(): Promise<void> {
  const language = wanted;
  const all = Promise.all([...loaded].map((part): Promise<Partial<Messages>> => PARTS[language][part]()));
  const parts = await inTime(all);
  state.messages = Object.assign({}, ...parts);
  state.language = language;
  document.documentElement.lang = language;
}

export const locale = {
  get language(): Language {
    return state.language;
  },
  /** For `Intl`. */
  get tag(): string {
    return LOCALES[state.language];
  },
};

type Values<Names extends string> = [Names] extends [never] ? [] : [Record<Names, string | number>];

/** The text of this key, its parameters filled in. */
export function t<Key extends MessageKey>(key: Key, ...values: Values<ParametersOf<Key>>): string {
  return filled(key, values[0] ?? {});
}

/** The text for so many; `{count}` is always there. */
export function tCount(stem: CountKey, count: number, values: Record<string, string | number> = {}): string {
  const one = new Intl.PluralRules(locale.tag).select(count) === "one";
  const key = `${stem}.${one ? "one" : "other"}` as MessageKey;
  return filled(key, { ...values, count: new Intl.NumberFormat(locale.tag).format(count) });
}

function filled(key: MessageKey, values: Record<string, string | number>): string {
  const text = state.messages[key] ?? "";
  return text.replace(/\{(\w+)\}/g, (braces, name: string) => String(values[name] ?? braces));
}

/** Why an observation is less than good, in words; the set of reasons is open. */
export function reasonText(reason: string): string {
  const key = `reason.${reason}` as MessageKey;
  const known = state.messages[key];
  return known !== undefined && reason !== "other" ? known : t("reason.other", { reason });
}
