// Writes FILE.br and FILE.gz beside every file of dist/: the server embeds these and never compresses the console itself.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const dist = new URL("../dist", import.meta.url).pathname;
const entries = await readdir(dist, { recursive: true, withFileTypes: true });
let [plain, small] = [0, 0];
for (const entry of entries.filter((entry) => entry.isFile() && !/\.(br|gz)$/.test(entry.name))) {
  const file = join(entry.parentPath, entry.name);
  const bytes = await readFile(file);
  const br = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  await writeFile(`${file}.br`, br);
  await writeFile(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  plain += bytes.length;
  small += br.length;
}
console.log(`compressed ${plain} bytes to ${small} (brotli)`);
