// What stands in the place of the console when it cannot be started: in both languages, for its texts may be what is
// missing, and with nothing that would have to be loaded.

const TEXTS = [
  {
    lang: "en",
    title: "The console could not be started",
    detail: "Not all of it came from the server. See whether the server is running, then try again.",
    again: "Try again",
  },
  {
    lang: "zh-Hant",
    title: "控制台未能啟動",
    detail: "未能從伺服器取得全部內容。請確認伺服器正在運行，然後再試一次。",
    again: "再試一次",
  },
] as const;

/** Says so, and offers to load the page anew. */
export function sayUnstarted(target: HTMLElement): void {
  const parts = TEXTS.map(({ lang, title, detail, again }) => {
    const part = document.createElement("section");
    part.lang = lang;
    const button = written("button", again);
    button.className = "button";
    button.addEventListener("click", () => location.reload());
    part.append(written("h1", title), written("p", detail), button);
    return part;
  });
  const notice = document.createElement("main");
  notice.className = "unstarted";
  notice.append(...parts);
  target.replaceChildren(notice);
}

function written(name: string, text: string): HTMLElement {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}
