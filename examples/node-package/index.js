/** A price in cents as people write it, such as `12.50 EUR`. */
export function format(cents, currency = "EUR") {
  if (!Number.isInteger(cents)) throw new TypeError("a price is a whole number of cents")
  const sign = cents < 0 ? "-" : ""
  const digits = String(Math.abs(cents)).padStart(3, "0")
  return `${sign}${digits.slice(0, -2)}.${digits.slice(-2)} ${currency}`
}

/** The prices of parts that add up to a whole, the first ones a cent more where they must. */
export function split(cents, parts) {
  const least = Math.floor(cents / parts)
  return Array.from({ length: parts }, (_, index) => least + (index < cents - least * parts ? 1 : 0))
}
