// How the server is: what it takes in, how far behind and how full it is, and whom it refuses, each in words.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import * as tls from "node:tls";

import { lampposts, scene, until } from "./stage.mjs";

const LAMPPOSTS = 50;

scene("the page says what comes in, from how many, and where it is kept", async ({ page }) => {
  await visit(page);
  await page.getByText("Ready. All parts work.").waitFor();
  const { server } = await system(page);
  await page.getByText(`Version ${server.version}, running for`).waitFor();
  // Fifty lampposts that read six values every 2 s, and their agents four every 10 s.
  const rate = await until("a rate above nothing", async () => {
    const told = (await figure(page, "Observations stored").value()).match(/^([\d.,]+) \/s$/);
    return told !== null && Number(told[1].replaceAll(",", ""));
  });
  assert.ok(rate > 50 && rate < 500, `${rate} observations each second`);
  await until("bytes", async () =>
    /^[\d.,]+ (kB|byte)s? \/s$/.test(await figure(page, "Data received").value()),
  );
  assert.equal(await figure(page, "Lampposts logged in").value(), String(LAMPPOSTS));
  assert.equal(await figure(page, "Connections on the lampposts' port").value(), String(LAMPPOSTS));
  assert.match(await figure(page, "Ingest is behind by").value(), /^\d+ entries, [\d.]+ ms$/);
  assert.match(await figure(page, "Time of a commit").value(), /^[\d.]+ ms$/);
  assert.match(await figure(page, "On disk").value(), /^[\d.,]+ [kMG]B$/);
  assert.match(await figure(page, "Memory").value(), /^[\d.,]+ [kMG]B$/);
  assert.equal(await figure(page, "Series").value(), String(LAMPPOSTS * 10));
  assert.match(await figure(page, "Room on the disk").value(), /^[\d.,]+ [GT]B$/);
  const { newest } = (await system(page)).checkpoint;
  assert.match(await figure(page, "Newest checkpoint").value(), newest === null ? /^none yet$/ : / ago$/);
  assert.equal(await figure(page, "Checkpoints that failed").value(), "0");
  assert.match(await figure(page, "Time of the last start").value(), /^[\d.]+ (ms|s)$/);
  assert.equal(await figure(page, "Records in quarantine").value(), "0");
});

scene("counts grow while one looks, and say what the API says", async ({ page }) => {
  await visit(page);
  const count = async (name) => Number((await figure(page, name).value()).replaceAll(",", ""));
  for (const [name, of] of [
    ["Observations in memory", ({ store }) => store.observations],
    ["Messages received", ({ gateway }) => gateway.publishes],
    ["Entries committed", ({ journal }) => journal.entries],
    ["Frames read", ({ ingest }) => ingest.frames],
  ]) {
    const before = of(await system(page));
    const shown = await until(`more of "${name}"`, async () => {
      const now = await count(name);
      return now > before && now;
    });
    assert.ok(shown <= of(await system(page)), `${name}: never more than there are`);
  }
  const limit = (await system(page)).store.observations_limit;
  const meter = page.getByRole("meter", { name: "Observations in memory" });
  assert.equal(await meter.getAttribute("aria-valuemax"), String(limit));
  assert.ok(Number(await meter.getAttribute("aria-valuenow")) > 0);
});

scene("every figure and every reason is explained", async ({ page }) => {
  await visit(page);
  const helps = await page
    .locator("main dl > div")
    .evaluateAll((all) =>
      all.map((one) => [one.querySelector("dt").innerText, one.querySelector(".help").innerText.trim()]),
    );
  assert.ok(helps.length >= 29, `${helps.length} figures`);
  assert.deepEqual(
    helps.filter(([name, help]) => name === "" || help.length < 20 || help === name),
    [],
  );

  // Those that never happened are there on demand.
  const more = page.getByRole("button", { name: /^Show \d+ more that never happened$/ });
  while ((await more.count()) > 0) await more.first().click();
  const { gateway, journal, ingest, people } = await system(page);
  for (const [caption, counts] of [
    ["Refused, by reason", gateway.refusals],
    ["TLS handshakes, by how they ended", gateway.handshakes],
    ["Connections that ended in order, by reason", gateway.endings],
    ["Failed operations on the disk", journal.failures],
    ["Observations by verdict", ingest.observations],
    ["What could not be used, by kind", ingest.malformed],
    ["Requests of people and tools", people.requests],
  ]) {
    const rows = await page
      .getByRole("table", { name: caption })
      .locator("tbody tr")
      .evaluateAll((all) =>
        all.map((row) => {
          const [words, code] = [row.cells[0].innerText, row.querySelector("code").innerText];
          return { code, words: words.replace(code, "").trim(), count: row.cells[1].innerText };
        }),
      );
    assert.deepEqual(rows.map(({ code }) => code).sort(), Object.keys(counts).sort(), caption);
    assert.deepEqual(
      rows.filter(({ words, count }) => words.length < 4 || !/^[\d,]+$/.test(count)),
      [],
      caption,
    );
  }
  await page.getByRole("button", { name: "Show only what happened" }).first().click();
});

scene("who knocks at the lampposts' port is counted by why it was refused", async ({ page }) => {
  await visit(page);
  const [strangers, unknown, newer] = [
    [
      "TLS handshakes, by how they ended",
      "failed",
      /Failed otherwise: as a rule the client does not speak TLS/,
    ],
    ["TLS handshakes, by how they ended", "no_certificate", /The client showed no certificate/],
    ["Refused, by reason", "version_5", /The client speaks MQTT 5; the gateway speaks 3\.1\.1/],
  ].map(([caption, code, words]) => ({
    row: page.getByRole("table", { name: caption }).getByRole("row").filter({ hasText: code }),
    words,
  }));
  const rises = async ({ row, words }, knock) => {
    const count = async () =>
      (await row.count()) === 0 ? 0 : Number(await row.getByRole("cell").innerText());
    const before = await count();
    await knock();
    await until(`${words} to be counted`, async () => (await count()) > before);
    assert.match(await row.getByRole("rowheader").innerText(), words);
  };
  const { host, port, certificates } = await lampposts();
  await rises(strangers, () => said(connect({ host, port }), "GET / HTTP/1.1\r\nHost: lamplighter\r\n\r\n"));
  await rises(unknown, () => said(tls.connect({ host, port, rejectUnauthorized: false }), ""));

  const of = (file) => readFile(join(certificates, "KB0049", file));
  const own = { cert: await of("KB0049.pem"), key: await of("KB0049.key"), ca: await of("ca.pem") };
  // CONNECT of MQTT 5: version 5, clean start, 60 s, no properties, its number as its name.
  const name = Buffer.from("KB0049");
  const body = Buffer.concat([
    Buffer.from([0, 4, ...Buffer.from("MQTT"), 5, 2, 0, 60, 0, 0, name.length]),
    name,
  ]);
  const login = Buffer.concat([Buffer.from([0x10, body.length]), body]);
  const unchecked = { checkServerIdentity: () => undefined };
  await rises(newer, () => said(tls.connect({ host, port, ...own, ...unchecked }), login));
  const times = (await system(page)).gateway.refusals;
  const total = Object.values(times).reduce((sum, count) => sum + count, 0);
  await page.getByText(`${total} times a client on the lampposts' port was refused something.`).waitFor();
  assert.equal(await figure(page, "Lampposts logged in").value(), String(LAMPPOSTS), "KB0049 itself stays");
});

async function visit(page) {
  await page.goto("/#/system");
  await page.getByRole("heading", { name: "System", level: 1 }).waitFor();
  await page.getByRole("heading", { name: "Refusals" }).waitFor();
}

/** One figure by its name. */
function figure(page, name) {
  const shown = page
    .locator("main dl > div")
    .filter({ has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) });
  return { value: () => shown.locator(".value").innerText() };
}

/** Says something to a server, and waits until that ends the conversation. */
async function said(socket, words) {
  socket.on("error", () => {});
  socket.resume();
  const over = new Promise((done) => socket.once("close", done));
  if (words.length > 0) socket.write(words);
  await over;
  socket.destroy();
}

async function system(page) {
  const answer = await page.request.get("/api/v1/system");
  assert.equal(answer.status(), 200);
  return answer.json();
}
