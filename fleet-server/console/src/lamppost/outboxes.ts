// The outboxes of a lamppost of which somebody has to decide, or has decided, in words.

import type { Schemas } from "../api/client";
import { formatCount } from "../format/counts";
import { formatBytes } from "../format/numbers";
import { formatTime } from "../format/times";
import { t } from "../messages/index.svelte";
import { shortened } from "./alarms";

type Outboxes = Pick<Schemas["OutboxesDocument"], "outboxes" | "decisions">;
type Outbox = Schemas["OutboxDocument"];
export type Decision = Schemas["DecisionDocument"];

export type Choice = Decision["decision"];

/** An outbox beside the one that the lamppost speaks from. */
export type Beside = {
  readonly id: string;
  readonly name: string;
  readonly standing: Outbox["standing"];
  /** Whose it is, why it is not the lamppost's own, how much it has. */
  readonly lines: readonly string[];
  /** What can be decided of it now. */
  readonly choices: readonly Choice[];
  /** What was decided of it last; null if nothing was. */
  readonly decision: Decision | null;
  /** Whether its records are on the lamppost's disk. */
  readonly aside: boolean;
};

/** All but the one that speaks, and those whose records have all come. */
export function besideOf({ outboxes, decisions }: Outboxes): Beside[] {
  const shown = outboxes.filter(
    ({ speaks, set_aside, records, standing }) =>
      !speaks && (set_aside !== null || records > 0 || standing === "living"),
  );
  return shown.map((outbox) => {
    const decision = decisions.find((one) => one.outbox === outbox.outbox) ?? null;
    return {
      id: outbox.outbox,
      name: shortened(outbox.outbox),
      standing: outbox.standing,
      lines: linesOf(outbox),
      choices: decision !== null && isPending(decision) ? [] : choicesOf(outbox),
      decision,
      aside: outbox.set_aside !== null,
    };
  });
}

/** Whether the lamppost has still to say what became of it. */
export function isPending({ state }: Decision): boolean {
  return state === "waiting" || state === "sent" || state === "expired" || state === "acknowledged";
}

/** Whether it came to nothing: whoever wanted it has to decide again. */
export function isInVain({ state }: { state: string }): boolean {
  return state === "failed";
}

/** `Release: waits for the lamppost` */
export function decisionText(decision: Decision): string {
  const what = t(`lamppost.decision.${decision.decision}`);
  return t("lamppost.decision", {
    what,
    state: stateText(decision),
    time: formatTime(Date.parse(decision.decided)),
  });
}

function stateText({ state, reason }: Decision): string {
  const text = t(`lamppost.decision.${state}`);
  return reason === null ? text : t("lamppost.decision.why", { state: text, reason });
}

/** What will happen, for whoever is asked to confirm it. */
export function consequenceOf({ aside }: Beside, choice: Choice): string {
  if (choice === "release") return t(aside ? "lamppost.release.aside" : "lamppost.release.elsewhere");
  return t(aside ? "lamppost.close.aside" : "lamppost.close.elsewhere");
}

function choicesOf({ set_aside, standing }: Outbox): Choice[] {
  if (set_aside !== null) return set_aside.releasable ? ["release", "close"] : ["close"];
  if (standing === "closed") return ["release"];
  return standing === "silent" ? ["release", "close"] : ["close"];
}

function linesOf(outbox: Outbox): string[] {
  const aside = outbox.set_aside;
  const heard =
    outbox.last_heard === null
      ? []
      : [
          t("lamppost.outbox.heard", {
            time: formatTime(Date.parse(outbox.last_heard)),
            records: formatCount(outbox.records),
          }),
        ];
  if (aside === null) {
    return [t("lamppost.outbox.hardware", { serial: serialOf(outbox.hardware_serial) }), ...heard];
  }
  const whose =
    aside.lamppost === null
      ? t("lamppost.outbox.nobody")
      : t("lamppost.outbox.whose", { lamppost: aside.lamppost, serial: serialOf(aside.hardware_serial) });
  const from = aside.first === null ? t("lamppost.unknown") : formatTime(Date.parse(aside.first));
  const to = aside.last === null ? t("lamppost.unknown") : formatTime(Date.parse(aside.last));
  return [
    t(`lamppost.aside.${aside.reason}`),
    whose,
    t("lamppost.outbox.size", { bytes: formatBytes(aside.bytes), runs: formatCount(aside.runs), from, to }),
    t("lamppost.outbox.since", { time: formatTime(Date.parse(aside.since)) }),
    ...heard,
  ];
}

function serialOf(serial: string | null): string {
  return serial ?? t("lamppost.serial.none");
}
