// Who may join: a token that is shown once, a list of lampposts with its errors, a certificate that is revoked.

import assert from "node:assert/strict";

import { axe, fits, scene, shot, tell, until } from "./stage.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const HEADER = "number,latitude,longitude,road,district\n";

async function tokens(page) {
  return (await (await page.request.get("/api/v1/tokens?lamppost=KB0005")).json()).tokens;
}

function csv(text) {
  return { name: "lampposts.csv", mimeType: "text/csv", buffer: Buffer.from(HEADER + text) };
}

scene("a token is made by the keyboard, shown once with its code, listed, and ended", async ({ page }) => {
  await page.goto("/#/enrolment");
  const number = page.getByRole("combobox", { name: "Number of the lamppost" });
  await number.fill("KB00");
  await until("numbers to be offered", () => page.locator("datalist option").count());
  await number.fill("KB9999");
  await page.getByText("No lamppost of this number is registered").waitFor();
  assert.ok(await page.getByRole("button", { name: "Make token" }).isDisabled());
  await number.fill("KB0005");
  await page.locator("#new-token-found").getByText("Kwun Tong").waitFor();
  await number.press("Enter");

  const dialog = page.getByRole("dialog", { name: "Token for KB0005" });
  const secret = await dialog.locator("[data-secret] code").innerText();
  assert.match(secret, /^([0-9A-Z]{4}-){12}[0-9A-Z]{4}$/);
  await dialog.getByText(/edge-agent enrol .* --ca-sha256 [0-9a-f]{64}/).waitFor();
  const code = dialog.getByRole("img", { name: /^Code for the installer/ });
  const { width, height } = await code.boundingBox();
  assert.ok(width > 200 && Math.abs(width - height) < 2, "the code is a square that a phone can read");
  await axe(page);
  await shot(page, "enrolment-token");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  await until("what was shown once to be gone", async () => !(await page.content()).includes(secret));

  const row = page.locator("tr[data-token]").filter({ hasText: "KB0005" }).first();
  await row.getByText("waiting").waitFor();
  await row.getByRole("button", { name: /^End token \d+ of KB0005$/ }).focus();
  await page.keyboard.press("Enter");
  await row.getByText("ended").waitFor();
  assert.equal((await tokens(page))[0].state, "ended");
  await axe(page);
});

scene("a token can be read on a phone in the dark", { ...PHONE, colorScheme: "dark" }, async ({ page }) => {
  await page.goto("/#/lampposts/KB0005");
  const access = page.getByRole("region", { name: "Access" });
  await access.getByText(/^good, until/).waitFor();
  await access.getByRole("button", { name: "New token for three days" }).click();
  const dialog = page.getByRole("dialog", { name: "Token for KB0005" });
  await dialog.locator("[data-qr]").waitFor();
  await axe(page);
  await fits(page);
  await shot(page, "enrolment-token-phone");
  await dialog.getByRole("button", { name: "Close" }).click();
  await access.getByText(/^one waits, until/).waitFor();
  await shot(page, "lamppost-access-phone");
});

scene("a list with bad rows names each of them, and a good one is imported", async ({ page, allow }) => {
  allow(/422 \(Unprocessable/);
  const count = async () => (await (await page.request.get("/api/v1/city")).json()).numbers.length;
  const before = await count();
  await page.goto("/#/enrolment");
  const file = page.getByLabel("File");
  await file.setInputFiles(csv("XX0001,95,114.2,,Kwun Tong\nX/2,22.3,114.2,Hoi Bun Road,Kwun Tong\n"));
  await page.getByText("3 problems; nothing was stored").waitFor();
  const errors = page.locator("tr[data-error]");
  const said = await errors.allInnerTexts();
  assert.equal(said.length, 3);
  for (const [place, part] of ["latitude", "road", "number"].entries()) {
    assert.ok(said[place].includes(part), said[place]);
  }
  await axe(page);
  await page.locator("#import").evaluate((title) => title.scrollIntoView());
  await shot(page, "enrolment-import-errors");

  await file.setInputFiles(csv("XX0001,22.32,114.21,Hoi Bun Road,Kwun Tong\n"));
  await page.getByText("1 would be added").waitFor();
  assert.equal(await errors.count(), 0);
  assert.equal(await count(), before, "nothing is stored by looking");
  await page.getByRole("button", { name: "Import", exact: true }).click();
  await page.getByText("Imported: 1 added").waitFor();
  await until("the register to have it", async () => (await count()) === before + 1);
  await shot(page, "enrolment-imported");
  // The scenes that follow count the lampposts of the city.
  const retired = await page.request.post("/api/v1/lampposts/XX0001/retirement?reason=a+scene+is+over");
  assert.equal(retired.status(), 200, await retired.text());
  await until("the city to be as before", async () => (await count()) === before);
});

scene(
  "a lamppost whose certificate is revoked is thrown out, and the pages say so",
  { timeout: 150_000 },
  async ({ page, allow }) => {
    try {
      await page.goto("/#/connections");
      const connected = page.locator('tr[data-lamppost="KB0003"]');
      await connected.getByText("127.0.0.1:").waitFor();
      await axe(page);
      await shot(page, "connections");
      await connected.locator("code").last().click();
      await page.waitForURL(/certificates\?show=all&lamppost=KB0003/);
      const certificate = page.locator('tr[data-state="good"]').first();
      await certificate.getByRole("button", { name: /^Revoke certificate \w+ of KB0003$/ }).click();
      const dialog = page.getByRole("dialog", { name: "Revoke the certificate of KB0003?" });
      await axe(page);
      await shot(page, "certificates-revoke");
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
      await certificate.getByText("good").waitFor();

      await certificate.getByRole("button", { name: /^Revoke/ }).click();
      await dialog.getByLabel("Why (for the audit)").fill("stolen from the street");
      await dialog.getByRole("button", { name: "Revoke" }).click();
      await page.locator('tr[data-state="revoked"]').waitFor();
      await until("it is thrown out", async () => {
        const lamppost = await (await page.request.get("/api/v1/lampposts/KB0003")).json();
        return lamppost.connection === null;
      });
      await page.getByRole("link", { name: "Connections" }).click();
      await page.getByText("49 lampposts are connected.").waitFor();
      await connected.waitFor({ state: "detached" });
      await page.goto("/#/lampposts/KB0003");
      const access = page.getByRole("region", { name: "Access" });
      await access.getByText(/^revoked on/).waitFor();
      await access.getByText("not connected").waitFor();
      await axe(page);
      await shot(page, "lamppost-revoked");
      await page.goto("/#/enrolment");
      const refused = page.locator('tr[data-reason="revoked"]').filter({ hasText: "KB0003" });
      await refused.first().waitFor({ timeout: 90_000 });
      await page.locator("#refused").evaluate((title) => title.scrollIntoView());
      await shot(page, "enrolment-refused");
    } finally {
      await tell("certify KB0003");
    }
  },
);
