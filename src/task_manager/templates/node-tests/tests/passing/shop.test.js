import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { withTax } from "prices";

describe("prices", () => {
  it("have a tax", () => assert.equal(withTax(100), 119));
  it("are rounded", () => assert.equal(withTax(0.1), 0.12));
});

test("the level comes from the environment", { skip: process.env.LEVEL !== "1" && "LEVEL is not 1" }, () => {});
test("left out", { skip: "not here" }, () => {});
