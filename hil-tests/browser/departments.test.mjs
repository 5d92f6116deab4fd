// Who may listen to what: departments, the key that is shown once, and grants, made and ended by an operator.

import assert from "node:assert/strict";

import { axe, scene, shot, until } from "./stage.mjs";

scene(
  "a department is added, given a key that is shown once, and a grant; and all of it is ended",
  { permissions: ["clipboard-read", "clipboard-write"] },
  async ({ page, allow }) => {
    await page.goto("/#/departments");
    await page.getByRole("heading", { name: "Departments", level: 1 }).waitFor();
    await page.getByRole("link", { name: "Departments" }).and(page.locator("[aria-current]")).waitFor();
    const form = page.getByRole("region", { name: "Add a department" });
    await form.getByLabel("Name").fill("traffic");
    await form.getByLabel("Title").fill("Transport Department");
    await page.keyboard.press("Enter");
    const card = page.getByRole("region", { name: "traffic Transport Department" });
    await card.getByText("It has no key, so it cannot log in.").waitFor();
    await card.getByText("It hears nothing.").waitFor();
    await axe(page);

    // A name is given once, and a filter is one of the tree.
    allow(/409 \(Conflict\)|400 \(Bad Request\)/);
    await form.getByLabel("Name").fill("traffic");
    await form.getByLabel("Title").fill("Again");
    await form.getByRole("button", { name: "Add" }).click();
    await form.getByRole("alert").getByText("there is or was a department traffic").waitFor();
    await card.getByLabel("Filter").fill("traffic/#");
    await card.getByRole("button", { name: "Grant", exact: true }).click();
    await card.getByRole("alert").getByText("a filter of feeds begins with highway/").waitFor();
    await card.getByLabel("Filter").fill("highway/traffic/#");
    await card.getByRole("button", { name: "Grant", exact: true }).click();
    await card.getByRole("rowheader", { name: "highway/traffic/#" }).waitFor();
    assert.equal(await card.getByRole("alert").count(), 0);

    await card.getByLabel("Note").fill("signal control");
    await card.getByLabel("Days").fill("30");
    await card.getByRole("button", { name: "Make a key" }).click();
    const shown = page.getByRole("dialog", { name: "Key 1 of traffic" });
    await shown.getByText("shown this once").waitFor();
    const [key, command] = await shown.locator("code").allInnerTexts();
    assert.match(key, /^[0-9a-f]{64}$/);
    assert.equal(
      command,
      `mosquitto_sub -h SERVER -p 8883 --cafile ca.pem -u traffic -P ${key} -t 'highway/traffic/#' -v`,
    );
    await axe(page);
    await shot(page, "departments-key");
    await shown.getByRole("button", { name: "Copy: Key" }).click();
    await shown.getByText("Copied", { exact: true }).first().waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
    await shown.getByRole("button", { name: "I have copied it" }).click();
    await shown.waitFor({ state: "hidden" });
    await card.getByRole("row").filter({ hasText: "signal control" }).waitFor();
    assert.ok(!(await page.content()).includes(key), "it is gone from the page");
    await shot(page, "departments");

    // Nothing is ended by looking; what is ended is gone.
    const end = card.getByRole("button", { name: "End key 1" });
    await end.click();
    const dialog = page.getByRole("dialog", { name: "End key 1 of traffic?" });
    await axe(page);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    const listed = async () => (await (await page.request.get("/api/v1/departments")).json()).departments;
    assert.deepEqual(
      (await listed())[0].keys.map(({ id }) => id),
      [1],
    );
    await end.click();
    await dialog.getByRole("button", { name: "End", exact: true }).click();
    await card.getByText("It has no key, so it cannot log in.").waitFor();
    await card.getByRole("button", { name: "Withdraw highway/traffic/#" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Withdraw", exact: true }).click();
    await card.getByText("It hears nothing.").waitFor();
    await page.getByRole("button", { name: "End department traffic" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "End", exact: true }).click();
    await page.getByText("There are no departments yet.").waitFor();
    await until("the server to say the same", async () => (await listed()).length === 0);
  },
);

scene(
  "what another operator does shows by itself, and takes nothing from what is being typed",
  async ({ page }) => {
    const departments = "/api/v1/departments";
    const done = async (answer) => assert.ok(answer.ok(), await answer.text());
    await done(await page.request.post(`${departments}?name=roads&title=Highways+Department`));
    try {
      await page.goto("/#/departments");
      const roads = page.getByRole("region", { name: "roads Highways Department" });
      await page.getByRole("region", { name: "Add a department" }).getByLabel("Name").fill("parks");
      await roads.getByLabel("Note").fill("tunnel lights");
      const filter = roads.getByLabel("Filter");
      await filter.fill("highway/wea");

      const granted = new URLSearchParams({ filter: "highway/weather/#" });
      await done(await page.request.post(`${departments}/roads/grants?${granted}`));
      await done(await page.request.post(`${departments}?name=police&title=Police`));
      await roads.getByRole("rowheader", { name: "highway/weather/#" }).waitFor();
      const police = page.getByRole("region", { name: "police Police" });
      await police.waitFor();
      await page.keyboard.type("ther/+/KB0007/#");
      assert.equal(await filter.inputValue(), "highway/weather/+/KB0007/#", "the field kept the keyboard");
      assert.equal(await roads.getByLabel("Note").inputValue(), "tunnel lights");
      assert.equal(await page.getByLabel("Name").last().inputValue(), "parks");

      // A question that is open stays open, also over what has changed behind it.
      await roads.getByRole("button", { name: "Withdraw highway/weather/#" }).click();
      await done(await page.request.delete(`${departments}/police`));
      await police.waitFor({ state: "detached" });
      const dialog = page.getByRole("dialog", { name: "Withdraw highway/weather/# from roads?" });
      assert.ok(await dialog.isVisible());
      await axe(page);
    } finally {
      await page.request.delete(`${departments}/police`);
      await done(await page.request.delete(`${departments}/roads`));
    }
  },
);
