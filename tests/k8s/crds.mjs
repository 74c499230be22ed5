// Asks the published schemas of the Prometheus operator about objects: JSON on standard input, one complaint a line on
// standard output. Run from the folder whose node_modules has them.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const found = createRequire(join(process.cwd(), "package.json")).resolve.paths("")[0];
const at = join(found, "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/index.js");
const kinds = await import(pathToFileURL(at));

for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    new kinds[object.kind](object).validate();
  } catch (error) {
    console.log(`${object.kind} ${object.metadata?.name}: ${error.message}`);
  }
}
