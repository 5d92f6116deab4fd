import { mount } from "svelte";

import { loadMessages } from "./messages/index.svelte";
import App from "./shell/App.svelte";
import "./shell/base.css";
import { applyTheme } from "./shell/theme.svelte";

applyTheme();
// The texts come first: nothing is shown in no language.
await loadMessages("shell");
const target = document.getElementById("console");
if (target === null) throw new Error("index.html has no #console");
mount(App, { target });
