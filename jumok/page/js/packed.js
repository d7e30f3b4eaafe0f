// Data of the page: compressed by zlib and written in base 85, with characters that mean nothing in HTML (build.py writes it).

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%,()*+-;.=/?@^_:{|}~";
const VALUES = new Uint8Array(128);
for (let i = 0; i < DIGITS.length; i++) VALUES[DIGITS.charCodeAt(i)] = i;

// Five digits are four bytes, the most significant first; a last group of n + 1 digits is n bytes.
export function fromBase85(text) {
  const missing = (5 - (text.length % 5)) % 5, whole = text + "~".repeat(missing);
  const bytes = new Uint8Array((whole.length / 5) * 4);
  for (let i = 0, at = 0; i < whole.length; i += 5, at += 4) {
    let value = 0;
    for (let k = i; k < i + 5; k++) value = value * 85 + VALUES[whole.charCodeAt(k)];
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
  }
  return bytes.subarray(0, bytes.length - missing);
}

export async function unpacked(text) {
  const stream = new Blob([fromBase85(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
