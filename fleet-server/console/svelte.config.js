import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export default {
  preprocess: vitePreprocess(),
  // Warnings of the compiler's accessibility checks fail `npm run check`.
  compilerOptions: { runes: true },
};
