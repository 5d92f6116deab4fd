// A lamppost's life, told by an operator on its page: its controller is replaced, it is moved, it is retired.

import assert from "node:assert/strict";

import { axe, fits, scene, shot, tell, until } from "./stage.mjs";

const PHONE = {
  viewport: { width: 390, height: 844 },
  hasTouch: true,
  isMobile: true,
};

/** Registers a lamppost that nobody has ever seen: no scene that follows misses it. */
async function imported(page, number) {
  const data = `number,latitude,longitude,road,district,feeder\n${number},22.32,114.21,Hoi Bun Road,Kwun Tong,KB-F09\n`;
  const answer = await page.request.post("/api/v1/import", {
    data,
    headers: { "content-type": "text/csv" },
  });
  assert.equal(answer.status(), 200, await answer.text());
}

/** Whether it is in the city is for other scenes to count. */
async function retired(page, number) {
  await page.request.post(`/api/v1/lampposts/${number}/retirement?reason=a+scene+is+over`);
  await until("the city to be as before", async () => {
    return !(await (await page.request.get("/api/v1/city")).json()).numbers.includes(number);
  });
}

async function told(page, number) {
  return (await page.request.get(`/api/v1/lampposts/${number}`)).json();
}

/** The server refused this field, which says so and has the keyboard. */
async function refused(field, what) {
  const dialog = field.page().getByRole("dialog");
  await dialog.getByRole("alert").getByText(what).waitFor();
  assert.equal(await dialog.getByRole("alert").count(), 1, "it is said once");
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  assert.ok(await has(field), "it has the keyboard");
  const said = await field.evaluate((input) => {
    return document.getElementById(input.getAttribute("aria-describedby"))?.innerText;
  });
  assert.match(said, what);
}

async function has(element) {
  return element.evaluate((one) => one === document.activeElement);
}

scene(
  "a controller is replaced by the keyboard: the old one is thrown out, and the new one's token is shown once",
  { timeout: 120_000 },
  async ({ page, allow }) => {
    allow(/400 \(Bad Request\)/);
    try {
      await page.goto("/#/lampposts/KB0003");
      const life = page.getByRole("region", { name: "Replace, move or retire" });
      const access = page.getByRole("region", { name: "Access" });
      await access.getByText(/^good, until/).waitFor();
      const replace = life.getByRole("button", { name: "Replace the controller" });
      await replace.focus();
      await page.keyboard.press("Enter");
      const dialog = page.getByRole("dialog", { name: "Replace the controller of KB0003?" });
      await dialog.getByText("This cannot be undone").waitFor();
      await axe(page);
      await shot(page, "lamppost-replace");
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
      assert.ok((await told(page, "KB0003")).connection !== null, "nothing is decided by looking");
      assert.ok(await has(replace), "the focus is where it was");

      await page.keyboard.press("Enter");
      await dialog.getByLabel("The token is good for").selectOption({ label: "8 h" });
      const reason = dialog.getByLabel("Why (for the audit)");
      await reason.fill("struck by\u0007 lightning");
      await page.keyboard.press("Enter");
      await refused(reason, /a line of 1 to 200 characters/);
      await axe(page);
      await reason.fill("struck by lightning");
      await page.keyboard.press("Enter");

      const made = page.getByRole("dialog", { name: "Token for KB0003" });
      await made.getByRole("img", { name: /^Code for the installer/ }).waitFor();
      const secret = await made.locator("[data-secret] code").innerText();
      assert.match(secret, /^([0-9A-Z]{4}-){12}[0-9A-Z]{4}$/);
      await axe(page);
      await shot(page, "lamppost-replaced");
      await page.keyboard.press("Escape");
      await made.waitFor({ state: "hidden" });
      await until("what was shown once to be gone", async () => !(await page.content()).includes(secret));
      assert.ok(await has(replace), "the focus is where it was");
      await life
        .getByRole("status")
        .getByText(/Certificates revoked: [1-9]\d*; tokens ended: \d+\./)
        .waitFor();
      await access.getByText(/^revoked on/).waitFor();
      await access.getByText(/^one waits, until/).waitFor();
      await access.getByText("not connected").waitFor();
      const [token] = (await (await page.request.get("/api/v1/tokens?lamppost=KB0003")).json()).tokens;
      assert.equal(token.state, "waiting");
      assert.equal(Date.parse(token.until) - Date.parse(token.made), 8 * 3_600_000);
      await axe(page);
      // What was in its card stays readable, and is told of.
      await page.getByRole("heading", { name: "History" }).waitFor();
    } finally {
      await tell("certify KB0003");
    }
  },
);

scene("a lamppost is moved, with every mistake named at its field, and retired", async ({ page, allow }) => {
  allow(/400 \(Bad Request\)|409 \(Conflict\)/);
  await imported(page, "XX0002");
  try {
    await page.goto("/#/lampposts/XX0002");
    const life = page.getByRole("region", { name: "Replace, move or retire" });
    const move = life.getByRole("button", { name: "Move it" });
    await move.click();
    const dialog = page.getByRole("dialog", { name: "Where does XX0002 stand now?" });
    const field = (name) => dialog.getByLabel(name);
    assert.equal(await field("Road").inputValue(), "Hoi Bun Road");
    assert.ok(await has(field("Latitude")), "what is there first has the keyboard");
    await axe(page);
    await shot(page, "lamppost-move");

    await page.keyboard.press("Enter");
    await dialog.getByRole("alert").getByText("nothing would be different").waitFor();
    await field("Longitude").fill("181");
    await page.keyboard.press("Enter");
    await refused(field("Longitude"), /181/);
    await shot(page, "lamppost-move-refused");
    await field("Longitude").fill("114.2222");
    await field("Since").fill("2126-07-01T08:00");
    await page.keyboard.press("Enter");
    await refused(field("Since"), /still to come/);
    await field("Since").fill("");
    await field("Road").fill("Wai Yip Street");
    await field("Switching pillar").fill("KB-P2");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    assert.ok(await has(move), "the focus is where it was");
    await page.getByText("Wai Yip Street, Kwun Tong").waitFor();
    await life.getByRole("status").getByText("It is moved.").waitFor();
    const before = life.locator("tr[data-place]");
    await before.getByText("Hoi Bun Road, Kwun Tong").waitFor();
    assert.match(await before.innerText(), /22\.32000, 114\.21000\s+KB-F09/);
    const { longitude_deg, latitude_deg, feeder, pillar } = await told(page, "XX0002");
    assert.deepEqual([latitude_deg, longitude_deg, feeder, pillar], [22.32, 114.2222, "KB-F09", "KB-P2"]);
    await axe(page);
    await shot(page, "lamppost-moved", { fullPage: true });

    await life.getByRole("button", { name: "Retire it" }).click();
    const question = page.getByRole("dialog", { name: "Retire XX0002?" });
    await axe(page);
    await question.getByLabel("Why (for the audit)").fill("the road is gone");
    await shot(page, "lamppost-retire");
    await page.keyboard.press("Enter");
    await question.waitFor({ state: "hidden" });
    await page.getByText("the road is gone").waitFor();
    const revive = life.getByRole("button", { name: "Revive it" });
    await revive.waitFor();
    assert.equal(await life.getByRole("button").count(), 1, "nothing else can be done about it");
    assert.ok(await has(life.getByRole("heading", { level: 2 })), "the keyboard is not lost");
    const access = page.getByRole("region", { name: "Access" });
    assert.equal(await access.getByRole("button").count(), 0, "it is given no token");
    await axe(page);
    await shot(page, "lamppost-retired", { fullPage: true });

    await revive.focus();
    await page.keyboard.press("Enter");
    const again = page.getByRole("dialog", { name: "Revive XX0002?" });
    await axe(page);
    await page.keyboard.press("Escape");
    await again.waitFor({ state: "hidden" });
    assert.ok((await told(page, "XX0002")).retired, "nothing is decided by looking");
    assert.ok(await has(revive), "the focus is where it was");
    await page.keyboard.press("Enter");
    await again.getByRole("button", { name: "Revive", exact: true }).click();
    await again.waitFor({ state: "hidden" });
    await life.getByRole("status").getByText("It is one of the city again.").waitFor();
    await life.getByRole("button", { name: "Retire it" }).waitFor();
    await access.getByRole("button", { name: "New token for three days" }).waitFor();
    assert.equal((await told(page, "XX0002")).retired, null);
  } finally {
    await retired(page, "XX0002");
  }
});

for (const [size, options] of Object.entries({
  "on a phone in the dark": { ...PHONE, colorScheme: "dark" },
  "at 200 %": { viewport: { width: 640, height: 400 } },
  "at 400 %": { viewport: { width: 320, height: 256 } },
})) {
  scene(`what is asked of a lamppost's life can be read in Chinese ${size}`, options, async ({ page }) => {
    await page.goto("/#/lampposts/KB0004");
    await page.getByRole("button", { name: "中文", exact: true }).click();
    const life = page.getByRole("region", { name: "更換、遷移或停用" });
    for (const [name, title] of [
      ["更換控制器", "更換 KB0004 的控制器？"],
      ["遷移", "KB0004 現時位於何處？"],
      ["停用", "停用 KB0004？"],
    ]) {
      await life.getByRole("button", { name, exact: true }).click();
      const dialog = page.getByRole("dialog", { name: title });
      await dialog.waitFor();
      await axe(page);
      await fits(page);
      await shot(
        page,
        `lamppost life ${name === "遷移" ? "move" : name === "停用" ? "retire" : "replace"} ${size}`,
      );
      await dialog.locator("button[type=submit]").scrollIntoViewIfNeeded();
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "hidden" });
    }
    await fits(page);
  });
}
