// Colours of the basemap: calm and close to each other, so that what the console draws on top stands out. A test holds
// the colours of the lampposts' states against them.

import type { Theme } from "../shell/theme.svelte";

export interface Palette {
  /** Where the map ends. */
  beyond: string;
  sea: string;
  land: string;
  shore: string;
  casing: string;
  road: string;
  /** Names of towns and roads. */
  name: string;
  /** Names of larger areas. */
  area: string;
  seaName: string;
}

export const PALETTES: Record<Theme, Palette> = {
  light: {
    beyond: "#e2e2de",
    sea: "#d6e4ec",
    land: "#f3f2ed",
    shore: "#a9bcc8",
    casing: "#d3cfc4",
    road: "#ffffff",
    name: "#4d545c",
    area: "#5f666e",
    seaName: "#45657a",
  },
  dark: {
    beyond: "#131a20",
    sea: "#0d1822",
    land: "#1c242c",
    shore: "#34444f",
    casing: "#28323b",
    road: "#36424d",
    name: "#b4bec8",
    area: "#98a5b1",
    seaName: "#7f9db2",
  },
};
