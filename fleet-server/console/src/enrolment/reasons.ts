// Why somebody was refused, in words: for the reasons that concern who may join.

import { t } from "../messages/index.svelte";

const KNOWN = [
  "login",
  "too_many_logins",
  "token_ended",
  "token_expired",
  "other_key",
  "token_used_up",
  "other_lamppost",
  "no_certificate",
  "bad_certificate",
  "unknown_certificate",
  "revoked",
  "expired",
  "ended_too_long_ago",
  "not_newest",
  "older_certificate",
  "unknown_lamppost",
  "client_id",
  "takeovers_too_often",
  "too_many_connections",
  "too_many",
] as const;

/** In words; null for a reason of which there is nothing more to say than its name. */
export function reasonOf(reason: string): string | null {
  const known = KNOWN.find((one) => one === reason);
  return known === undefined ? null : t(`enrolment.reason.${known}`);
}
