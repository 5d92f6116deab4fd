// An outbox that belongs to other hardware: told of on the lamppost's page, and decided of there.

import assert from "node:assert/strict";

import { axe, scene, shot, tell, until } from "./stage.mjs";

const PAGE = "/#/lampposts/KB0003";
const OUTBOXES = "/api/v1/lampposts/KB0003/outboxes";

/** Sets aside what KB0003 has written so far. */
async function rehouse() {
  await tell("kill KB0003");
  await tell("rehouse KB0003");
  await tell("start KB0003");
}

async function told(page) {
  return (await page.request.get(OUTBOXES)).json();
}

scene(
  "an outbox of other hardware is released by the keyboard, and says so until it is done",
  { timeout: 150_000 },
  async ({ page }) => {
    await rehouse();
    await page.goto(PAGE);
    const card = page.getByRole("region", { name: "Other outboxes" });
    await card.getByText("set aside", { exact: true }).waitFor({ timeout: 60_000 });
    await card.getByText("Belongs to lamppost KB0003, hardware other hardware").waitFor();
    await page.getByText("and waits for a decision").waitFor();
    await axe(page);
    await shot(page, "lamppost-set-aside");

    const release = card.getByRole("button", { name: /^Release outbox/ });
    await release.focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: /^Release outbox .*\?$/ });
    await dialog.getByText("Nothing is stored twice").waitFor();
    await axe(page);
    await shot(page, "lamppost-release");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    assert.deepEqual((await told(page)).decisions, [], "nothing is decided by looking");
    assert.ok(
      await release.evaluate((button) => button === document.activeElement),
      "the focus is where it was",
    );

    await page.keyboard.press("Enter");
    await dialog.getByRole("button", { name: "Release", exact: true }).focus();
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    await page.getByText("Release: done").waitFor({ timeout: 60_000 });
    await until("the outbox is adopted", async () => (await told(page)).outboxes.length === 1);
    await page.getByText("and waits for a decision").waitFor({ state: "hidden", timeout: 60_000 });
    assert.equal((await told(page)).records.lost, 0);
  },
);

scene(
  "a lamppost that is not there is waited for, in either language",
  { timeout: 200_000, locale: "zh-HK" },
  async ({ page }) => {
    await rehouse();
    await page.goto(PAGE);
    const card = page.getByRole("region", { name: "其他寄件箱" });
    const outbox = card.getByRole("listitem").filter({ hasText: "屬於燈柱 KB0003" });
    const release = outbox.getByRole("button", { name: /^放行寄件箱/ });
    await release.waitFor({ timeout: 60_000 });
    await tell("kill KB0003");
    await until("it is gone", async () => {
      const lamppost = await (await page.request.get("/api/v1/lampposts/KB0003")).json();
      return lamppost.connection === null;
    });
    await outbox.getByRole("button", { name: /^關閉寄件箱/ }).click();
    const close = page.getByRole("dialog", { name: /^關閉寄件箱 .*？$/ });
    await close.getByText("視為遺失").waitFor();
    await close.getByRole("button", { name: "取消" }).click();
    await release.click();
    const dialog = page.getByRole("dialog", { name: /^放行寄件箱 .*？$/ });
    await dialog.getByRole("button", { name: "放行", exact: true }).click();
    await outbox.getByText("放行：等候燈柱").waitFor();
    await axe(page);
    await shot(page, "lamppost-release-waits");
    assert.equal(await outbox.getByRole("button").count(), 0, "there is nothing more to decide");
    await tell("start KB0003");
    await page.getByText("放行：完成").first().waitFor({ timeout: 90_000 });
    await until("the outbox is adopted", async () => (await told(page)).outboxes.length === 1);
  },
);
