// Installs what the lock file names, runs a Node.js project's tests and leaves their JUnit report.
// It ends with the tests' exit code; its last line is the headline.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

const BAD_INPUT = 2;
const NO_TESTS = 5;
const NO_REPORT = 70;
const LONGEST_MESSAGE = 200;
const LOCKS = ["package-lock.json", "npm-shrinkwrap.json"];

const OPTIONS = {
  report: { type: "string" }, // the JUnit file to write
  runner: { type: "string", default: "auto" }, // auto, node (`node --test`) or npm (`npm run SCRIPT`)
  "npm-script": { type: "string", default: "test" },
  install: { type: "string", default: "true" },
  paths: { type: "string", default: "[]" }, // a JSON list, for `node --test`
  "name-pattern": { type: "string", default: "" },
  "own-report": { type: "string", default: "" }, // where the project's own runner leaves its JUnit report
  extra: { type: "string", default: "[]" }, // a JSON list of further arguments
};

class Refused extends Error {}

function main() {
  const { values: options } = parseArgs({ options: OPTIONS });
  const description = readDescription();
  const script = description.scripts?.[options["npm-script"]];
  const runner = chooseRunner(options, script);
  requirePaths(JSON.parse(options.paths));
  if (options.install === "true" && !install(description)) return 1;

  mkdirSync(path.dirname(options.report), { recursive: true });
  const [command, environment] = runner === "npm" ? npmCommand(options, script) : nodeCommand(options);
  const code = run(command, environment);
  const own = options["own-report"];
  if (own && existsSync(own)) copyFileSync(own, options.report);
  return conclude(options.report, runner, command, code);
}

function readDescription() {
  if (!existsSync("package.json")) return {};
  try {
    return JSON.parse(readFileSync("package.json", "utf8"));
  } catch (error) {
    throw new Refused(`package.json cannot be read: ${error.message}`);
  }
}

function chooseRunner(options, script) {
  if (options.runner === "npm" && !script) {
    throw new Refused(`package.json has no script ${options["npm-script"]}: name another with npm_script.`);
  }
  // What `npm init` writes is no test.
  const runsTests = script && !script.includes("no test specified");
  return options.runner === "auto" ? (runsTests ? "npm" : "node") : options.runner;
}

function requirePaths(paths) {
  const missing = paths.filter((each) => !/[*?[\]{}]/.test(each) && !existsSync(each));
  if (missing.length) throw new Refused(`The source folder has no ${missing.join(", ")}.`);
}

function install(description) {
  if (!LOCKS.some((name) => existsSync(name))) {
    if (Object.keys({ ...description.dependencies, ...description.devDependencies }).length) {
      console.log(`There is no ${LOCKS[0]}, so no dependencies are installed.`);
    }
    return true;
  }
  const code = run(["npm", "ci", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline"], {});
  if (code) console.error(`npm ci ended with ${code}: the dependencies could not be installed (its lines are above).`);
  return code === 0;
}

function nodeCommand(options) {
  const pattern = options["name-pattern"] ? [`--test-name-pattern=${options["name-pattern"]}`] : [];
  const wanted = [...pattern, ...JSON.parse(options.extra), ...JSON.parse(options.paths)];
  return [[process.execPath, "--test", ...reporters(options.report), ...wanted], {}];
}

function npmCommand(options, script) {
  const environment = { JEST_JUNIT_OUTPUT_FILE: options.report, MOCHA_FILE: options.report };
  // Where the script is `node --test`, it reports as without npm; reporters of its own must not be joined by others.
  if (/\bnode\b.*--test\b/.test(script) && !script.includes("--test-reporter")) {
    const given = process.env.NODE_OPTIONS ? [process.env.NODE_OPTIONS] : [];
    environment.NODE_OPTIONS = [...given, ...reporters(options.report)].join(" ");
  }
  const extra = JSON.parse(options.extra);
  return [["npm", "run", "--silent", options["npm-script"], ...(extra.length ? ["--", ...extra] : [])], environment];
}

function reporters(report) {
  return [
    "--test-reporter=junit",
    `--test-reporter-destination=${report}`,
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
  ];
}

function run([program, ...given], environment) {
  const done = spawnSync(program, given, { stdio: "inherit", env: { ...process.env, ...environment } });
  if (done.error) throw new Refused(`${program} cannot be started: ${done.error.message}`);
  return done.status ?? 128;
}

function conclude(report, runner, command, code) {
  const shown = [path.basename(command[0]), ...command.slice(1, 2), ...(runner === "npm" ? [command[3]] : [])].join(" ");
  if (!existsSync(report)) {
    console.error(`${shown} ended with ${code} and wrote no JUnit report.`);
    return runner === "npm" ? code : code || NO_REPORT;
  }
  const text = relative(readFileSync(report, "utf8"));
  writeFileSync(report, text);
  const cases = testCases(text);
  if (!cases.length && code === 0) {
    console.error("No tests were found");
    return NO_TESTS;
  }
  for (const each of cases.filter((one) => one.outcome === "failed")) console.log(failureLine(each));
  console.log(headline(cases));
  return code;
}

// Places within the source folder, as people know them.
function relative(text) {
  const folder = `${process.cwd()}/`;
  return text.replaceAll(`file://${folder}`, "").replaceAll(folder, "");
}

const ATTRIBUTES = String.raw`(?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*`;

function testCases(text) {
  const pattern = new RegExp(String.raw`<testcase(${ATTRIBUTES})\s*(?:/>|>([^]*?)</testcase>)`, "g");
  return [...text.matchAll(pattern)].map(([, attributes, content = ""]) => {
    const failure = content.match(new RegExp(`<(?:failure|error)(${ATTRIBUTES})`));
    const skipped = /<skipped[\s/>]/.test(content);
    return {
      name: attribute(attributes, "name"),
      file: attribute(attributes, "file"),
      outcome: failure ? "failed" : skipped ? "skipped" : "passed",
      message: failure ? attribute(failure[1], "message") : "",
    };
  });
}

function attribute(attributes, name) {
  const found = attributes.match(new RegExp(String.raw`\s${name}\s*=\s*(?:"([^"]*)"|'([^']*)')`));
  const entities = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", "#10": "\n" };
  const value = found?.[1] ?? found?.[2] ?? "";
  return value.replace(/&(amp|lt|gt|quot|apos|#10);/g, (_, entity) => entities[entity]);
}

function failureLine({ file, name, message }) {
  const reason = message.split(/\s+/).join(" ").trim().slice(0, LONGEST_MESSAGE);
  return `FAILED ${file ? `${file}: ` : ""}${name}${reason ? ` - ${reason}` : ""}`;
}

function headline(cases) {
  const count = (outcome) => cases.filter((each) => each.outcome === outcome).length;
  const skipped = count("skipped") ? `, ${count("skipped")} skipped` : "";
  return `${count("passed")} passed, ${count("failed")} failed${skipped}`;
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  console.error(error.message);
  process.exitCode = BAD_INPUT;
}
