const { writeFileSync } = require("node:fs");

const failure = '<failure message="2 &lt; 1">at check.js:1</failure>';
writeFileSync(
  "report.xml",
  `<testsuite name="own"><testcase name="fine"/><testcase name="compares" file="check.js">${failure}</testcase></testsuite>`,
);
process.exit(3);
