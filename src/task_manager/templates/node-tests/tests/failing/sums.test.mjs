import assert from "node:assert/strict";
import { describe, it, test } from "node:test";

test("passes", () => {});

describe("sums", () => {
  it("are <exact>", () => assert.equal(1 + 2, 4));
});

test("throws", () => {
  throw new TypeError("no such thing");
});
