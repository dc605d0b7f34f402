import assert from "node:assert/strict"
import { test } from "node:test"

import { format, split } from "./index.js"

test("prices are written with two digits", () => {
  assert.equal(format(1250), "12.50 EUR")
  assert.equal(format(-5, "USD"), "-0.05 USD")
})

test("what is no price is refused", () => {
  assert.throws(() => format(1.5), TypeError)
})

test("parts add up to the whole", () => {
  assert.deepEqual(split(100, 3), [34, 33, 33])
})
