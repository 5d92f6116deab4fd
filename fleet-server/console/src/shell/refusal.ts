// Why the server did not do what it was asked, for people.

import { Problem } from "../api/client";
import { t } from "../messages/index.svelte";

export type Refusal = {
  text: string;
  /** Of what the text is: the server's are English. */
  lang: "en" | undefined;
  /** Which of the things asked for is wrong, if it is one of them. */
  parameter: string | null;
};

/** What a problem says. */
export function problemText(problem: Problem): string {
  return problem.status === 0 ? t("problem.unreachable") : problem.message || problem.title;
}

/** Why something was not done; null if it was. */
export async function refusalOf(asked: Promise<unknown>): Promise<Refusal | null> {
  try {
    await asked;
    return null;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const lang = problem.status === 0 ? undefined : "en";
    return { text: problemText(problem), lang, parameter: problem.parameter };
  }
}
