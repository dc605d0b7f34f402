export const withTax = (price) => Math.round(price * 119) / 100;
