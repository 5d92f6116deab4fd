// What only values need: loaded with the first of them, for most who open the page look at states.

export { secondsIn } from "../format/units";
export { DIRECTIONS, scaleOf } from "./scale";
export { default as ValueText } from "./ValueText.svelte";
