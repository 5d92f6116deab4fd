// Light, dark, or as the system says.

export type Theme = "light" | "dark";
export type ThemeChoice = Theme | "auto";

const KEY = "lamplighter.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const isChoice = (text: string | null): text is ThemeChoice => ["light", "dark", "auto"].includes(text ?? "");

const stored = localStorage.getItem(KEY);
const state = $state({
  choice: isChoice(stored) ? stored : ("auto" as ThemeChoice),
  systemIsDark: system.matches,
});

system.addEventListener("change", () => {
  state.systemIsDark = system.matches;
  applyTheme();
});

export const theme = {
  get choice(): ThemeChoice {
    return state.choice;
  },
  /** What is shown. */
  get current(): Theme {
    if (state.choice !== "auto") return state.choice;
    return state.systemIsDark ? "dark" : "light";
  },
  choose(choice: ThemeChoice): void {
    state.choice = choice;
    localStorage.setItem(KEY, choice);
    applyTheme();
  },
};

export function applyTheme(): void {
  document.documentElement.dataset["theme"] = theme.current;
}
