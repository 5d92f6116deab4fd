import { mount } from "svelte";

import { loadMessages } from "./messages/index.svelte";
import App from "./shell/App.svelte";
import "./shell/base.css";
import { applyTheme } from "./shell/theme.svelte";
import { sayUnstarted } from "./shell/unstarted";

const target = document.getElementById("console");
if (target === null) throw new Error("index.html has no #console");
applyTheme();
try {
  // The texts come first: nothing is shown in no language.
  await loadMessages("shell");
  mount(App, { target });
} catch (problem) {
  sayUnstarted(target);
  throw problem;
}
