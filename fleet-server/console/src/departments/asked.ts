// What was asked of the server, and what it said.

import { Problem } from "../api/client";
import { t } from "../messages/index.svelte";

/** Why something was not done, in words; null if it was. */
export async function refusalOf(asked: Promise<unknown>): Promise<string | null> {
  try {
    await asked;
    return null;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    return problem.status === 0 ? t("problem.unreachable") : problem.message || t("problem.title");
  }
}
