import { afterEach, beforeEach, expect, test, vi } from "vitest";

vi.mock("svelte", () => ({ mount: vi.fn() }));
vi.mock("./shell/App.svelte", () => ({ default: "App" }));
vi.mock("./shell/theme.svelte", () => ({ applyTheme: () => undefined }));
vi.mock("./messages/index.svelte", () => ({ loadMessages: vi.fn() }));

import { mount } from "svelte";

import { loadMessages } from "./messages/index.svelte";

let target: Part;
const reload = vi.fn();

beforeEach(() => {
  vi.resetModules();
  vi.clearAllMocks();
  target = new Part("div");
  vi.stubGlobal("document", {
    getElementById: () => target,
    createElement: (name: string) => new Part(name),
  });
  vi.stubGlobal("location", { reload });
});

afterEach(() => void vi.unstubAllGlobals());

test("a console whose texts do not come is no blank page: it says so in both languages, and tries again", async () => {
  const missing = new TypeError("Failed to fetch dynamically imported module");
  vi.mocked(loadMessages).mockRejectedValue(missing);
  await expect(import("./main")).rejects.toBe(missing);
  expect(mount).not.toHaveBeenCalled();
  expect(target.texts).toEqual([
    "The console could not be started",
    "Not all of it came from the server. See whether the server is running, then try again.",
    "Try again",
    "控制台未能啟動",
    "未能從伺服器取得全部內容。請確認伺服器正在運行，然後再試一次。",
    "再試一次",
  ]);
  const buttons = target.all.filter(({ name }) => name === "button");
  for (const button of buttons) button.dispatchEvent(new Event("click"));
  expect([buttons.length, reload.mock.calls.length]).toEqual([2, 2]);
});

test("a console that fails while it is built says so as well", async () => {
  const broken = new Error("no WeakRef");
  vi.mocked(mount).mockImplementationOnce(() => {
    throw broken;
  });
  vi.mocked(loadMessages).mockResolvedValue();
  await expect(import("./main")).rejects.toBe(broken);
  expect(target.texts).toContain("The console could not be started");
});

test("a console that starts says nothing of the kind", async () => {
  vi.mocked(loadMessages).mockResolvedValue();
  await import("./main");
  expect(mount).toHaveBeenCalledWith("App", { target });
  expect(target.texts).toEqual([]);
});

/** As much of an element as is needed. */
class Part extends EventTarget {
  textContent = "";
  #parts: Part[] = [];

  constructor(readonly name: string) {
    super();
  }

  append(...parts: Part[]): void {
    this.#parts.push(...parts);
  }

  replaceChildren(...parts: Part[]): void {
    this.#parts = parts;
  }

  get all(): Part[] {
    return [this, ...this.#parts.flatMap((part) => part.all)];
  }

  get texts(): string[] {
    return this.all.map(({ textContent }) => textContent).filter((text) => text !== "");
  }
}
