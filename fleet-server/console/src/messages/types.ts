// What a catalogue of messages is: every key of English, and no other, with a text that names the same parameters.

import type { en } from "./en";

export type English = typeof en;
export type MessageKey = keyof English;

/** Names in braces: "{age} ago" has the parameter "age". */
type Parameters<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Parameters<Rest>
  : never;

export type ParametersOf<Key extends MessageKey> = Parameters<English[Key]>;

type StemOf<Key> = Key extends `${infer Stem}.one`
  ? `${Stem}.other` extends MessageKey
    ? Stem
    : never
  : never;

/** Keys that come in a pair: one and many. */
export type CountKey = StemOf<MessageKey>;

export type Messages = { readonly [Key in MessageKey]: string };

/** The part of a catalogue that one file of English has. */
export type Part<EnglishPart> = { readonly [Key in keyof EnglishPart]: string };
