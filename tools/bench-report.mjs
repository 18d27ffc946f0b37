/**
 * Results of benchmarks as a page: docs/performance.md between its two marks, one chart for each result under docs/performance/, and the results
 * themselves beside them, so that a bench that is run again replaces its own and leaves the others.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./prepare.mjs";

const folder = join(root, "docs/performance");
const page = join(root, "docs/performance.md");
const resultsFile = join(folder, "results.json");
const [begin, end] = ["<!-- results: written by `npm run bench -- report` -->", "<!-- end of results -->"];

export async function writeReport(files) {
  mkdirSync(folder, { recursive: true });
  const known = new Map(Object.entries(read(resultsFile, "{}")));
  for (const file of files) {
    const last = readFileSync(file, "utf8").trim().split("\n").at(-1);
    const { bench, machine, results } = JSON.parse(last);
    for (const result of results) known.set(result.name, { bench, machine, ...result });
  }
  const results = [...known.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
  writeFileSync(resultsFile, `${JSON.stringify(Object.fromEntries(results.map((result) => [result.name, result])), null, 2)}\n`);
  for (const result of results) if (chartOf(result) !== null) writeFileSync(join(folder, `${fileOf(result)}.svg`), chartOf(result));
  const text = readFileSync(page, "utf8");
  const [before, after] = [text.slice(0, text.indexOf(begin)), text.slice(text.indexOf(end))];
  writeFileSync(page, `${before}${begin}\n\n${table(results)}\n\n${charts(results)}\n\n${after}`);
  console.error(`${results.length} results in docs/performance.md`);
}

function read(file, otherwise) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return JSON.parse(otherwise);
  }
}

const fileOf = ({ name }) => name.replace(/[^a-z0-9]+/gi, "-");

function table(results) {
  const rows = results.map(({ name, bench, ratio, min, max, target, met, isLimit, machine, note }) => {
    const aim = `${isLimit ? "≤" : "≥"} ${target}`;
    return `| ${name}${note === undefined ? "" : `: ${note}`} | \`npm run bench -- ${commandOf(bench, name)}\` | ${ratio} | ${min}–${max} | ${aim} | ${met ? "met" : "missed"} | ${machine?.load ?? ""} on ${machine?.cpus ?? ""} |`;
  });
  return ["| result | command | median | range | target | | load, cores |", "|---|---|---|---|---|---|---|", ...rows].join("\n");
}

/** `drain/mariadb` and `into/kafka` are each one of several that a bench can be asked for. */
function commandOf(bench, name) {
  const [what, which] = name.split("/");
  if (what === "end-to-end") return `${bench} --database ${which.split("-")[0]} --broker ${which.split("-")[1]}`;
  if (what === "idle-source") return `${bench} --broker ${which}`;
  if (what === "into") return `${bench} --broker ${which.split("-")[0]}`;
  return /^(mariadb|mysql)/.test(which) ? `${bench} --database ${which.split("-")[0]}` : bench;
}

function charts(results) {
  return results
    .filter((result) => chartOf(result) !== null)
    .map((result) => `![${result.name}](performance/${fileOf(result)}.svg)`)
    .join("\n");
}

/** Bars of the figures that are rates; null where a result has none to compare. */
function chartOf({ name, figures = {} }) {
  const bars = Object.entries(figures).filter(([label]) => label.endsWith(" per s"));
  if (bars.length < 2) return null;
  const most = Math.max(...bars.map(([, value]) => value));
  const [left, width, step] = [190, 360, 26];
  const lines = bars.map(([label, value], place) => {
    const y = 34 + place * step;
    const long = most === 0 ? 0 : Math.max(1, Math.round((width * value) / most));
    return [
      `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${escape(label.replace(/ per s$/, ""))}</text>`,
      `<rect x="${left}" y="${y}" width="${long}" height="18" fill="${place === 0 ? "#2563eb" : "#94a3b8"}"/>`,
      `<text x="${left + long + 6}" y="${y + 13}">${value.toLocaleString("en-US")}/s</text>`,
    ].join("\n");
  });
  const height = 44 + bars.length * step;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="660" height="${height}" font-family="sans-serif" font-size="12">
<rect width="660" height="${height}" fill="#ffffff"/>
<text x="10" y="20" font-weight="bold">${escape(name)}: messages per second, median</text>
${lines.join("\n")}
</svg>
`;
}

const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
