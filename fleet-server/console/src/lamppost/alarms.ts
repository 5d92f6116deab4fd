// What of a lamppost's outboxes somebody has to look at.

import type { Schemas } from "../api/client";
import { formatCount } from "../format/counts";
import { formatTime } from "../format/times";
import { t, tCount } from "../messages/index.svelte";

type Outboxes = Pick<Schemas["OutboxesDocument"], "outboxes" | "forks">;
type Outbox = Schemas["OutboxDocument"];

export type Alarm = {
  readonly key: string;
  /** Whether something is wrong, or only worth knowing. */
  readonly grave: boolean;
  readonly title: string;
  readonly help: string;
  readonly details: readonly string[];
};

/** The gravest first. */
export function alarmsOf({ outboxes, forks }: Outboxes): Alarm[] {
  // The one that was heard last is the one that is there.
  const others = outboxes.slice(1);
  const copied = outboxes
    .filter((outbox) => outbox.standing === "living" && outbox.lives > 1)
    .map(copiedAlarm);
  const elsewhere = others.filter((outbox) => outbox.standing === "living");
  const aside = outboxes.filter((outbox) => outbox.set_aside !== null && outbox.standing !== "closed");
  const gone = outboxes.filter(
    ({ standing, records, set_aside }) =>
      records > 0 && (standing === "closed" || (standing === "silent" && set_aside === null)),
  );
  return [
    ...forks.map(forkAlarm),
    ...copied,
    ...aside.map(asideAlarm),
    ...gone.map(goneAlarm),
    ...elsewhere.map(elsewhereAlarm),
  ];
}

function forkAlarm(fork: Schemas["ForkDocument"]): Alarm {
  return {
    key: `fork ${fork.run_before}`,
    grave: true,
    title: tCount("lamppost.alarm.fork", fork.runs.length, { before: shortened(fork.run_before) }),
    help: t("lamppost.alarm.fork.help"),
    details: fork.runs.map(({ run, opened, received }) =>
      t("lamppost.alarm.run", {
        run: shortened(run),
        opened: formatTime(Date.parse(opened)),
        received: formatTime(Date.parse(received)),
      }),
    ),
  };
}

function copiedAlarm({ outbox, lives }: Outbox): Alarm {
  return {
    key: `copied ${outbox}`,
    grave: true,
    title: tCount("lamppost.alarm.copied", lives, { outbox: shortened(outbox) }),
    help: t("lamppost.alarm.copied.help"),
    details: [],
  };
}

function asideAlarm({ outbox, standing }: Outbox): Alarm {
  const help = standing === "silent" ? "lamppost.alarm.aside.late.help" : "lamppost.alarm.aside.help";
  return {
    key: `aside ${outbox}`,
    grave: true,
    title: t("lamppost.alarm.aside", { outbox: shortened(outbox) }),
    help: t(help),
    details: [],
  };
}

function goneAlarm(outbox: Outbox): Alarm {
  const help = outbox.standing === "closed" ? "lamppost.alarm.closed.help" : "lamppost.alarm.silent.help";
  return {
    key: `gone ${outbox.outbox}`,
    grave: true,
    title: t("lamppost.alarm.gone", { outbox: shortened(outbox.outbox) }),
    help: t(help, heard(outbox)),
    details: [],
  };
}

function elsewhereAlarm(outbox: Outbox): Alarm {
  return {
    key: `elsewhere ${outbox.outbox}`,
    grave: false,
    title: t("lamppost.alarm.elsewhere", { outbox: shortened(outbox.outbox) }),
    help: t("lamppost.alarm.elsewhere.help", heard(outbox)),
    details: [],
  };
}

function heard(outbox: Outbox): { time: string; serial: string; records: string } {
  return {
    time: outbox.last_heard === null ? t("lamppost.unknown") : formatTime(Date.parse(outbox.last_heard)),
    serial: outbox.hardware_serial ?? t("lamppost.serial.none"),
    records: formatCount(outbox.records),
  };
}

/** The first digits of an id: enough to tell those of one lamppost apart. */
export function shortened(id: string): string {
  return id.slice(0, 8);
}
