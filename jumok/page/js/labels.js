// A token as people can see it: blanks and control characters made visible, marks given something to stand on.

const SHORT_SPACES = { " ": "␣", "\u00a0": "⍽" };
const INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ";
const FINALS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ";
const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

const hex = (c) => `U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
const joins = (c) => c !== undefined && /[\p{L}\p{M}\p{S}]/u.test(c);

// The token for the eye: never empty, without control and format characters, and beginning with a character of its own width.
export function label(token) {
  if (!token) return "∅";
  const jamo = letter(token);
  if (jamo) return jamo;
  const points = Array.from(token);
  const text = points.map((c, k) => visible(c, points[k - 1], points[k + 1])).join("");
  return /^[\p{M}\u1160-\u11ff\u200c\u200d]/u.test(text) ? "◌" + text : text;
}

function letter(token) {
  const c = token.charCodeAt(0);
  if (token.length !== 1 || c < 0x1100 || c > 0x11ff) return null;
  if (c <= 0x1112) return INITIALS[c - 0x1100];
  if (c >= 0x1161 && c <= 0x1175) return String.fromCharCode(c - 0x1161 + 0x314f);
  return c >= 0x11a8 && c <= 0x11c2 ? FINALS[c - 0x11a8] : null;
}

function visible(c, before, after) {
  const code = c.codePointAt(0);
  if (/\p{Zs}/u.test(c)) return SHORT_SPACES[c] ?? hex(c);
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return "␡";
  if ((c === "\u200d" || c === "\u200c") && joins(before) && joins(after)) return c;
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/u.test(c)) return hex(c);
  return c;
}

// Whether the model put the token there, rather than the text.
export function isSpecial(token) {
  return ["</s>", "<s>", "<unk>", "<pad>"].includes(token) || /^‹.+›$/u.test(token);
}

export const isRtl = (text) => RTL.test(text);

const segmenter = typeof Intl !== "undefined" && Intl.Segmenter ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;

// The characters as readers count them: a letter with its marks, an emoji joined of several.
export function graphemes(text) {
  return segmenter ? Array.from(segmenter.segment(text), (part) => part.segment) : Array.from(text);
}

// For tokens that are parts of characters: whether each goes on with the grapheme of the token before it.
export function continuing(tokens) {
  const starts = new Set();
  let at = 0;
  for (const part of graphemes(tokens.join(""))) {
    starts.add(at);
    at += part.length;
  }
  at = 0;
  return tokens.map((token, i) => {
    const goes = i > 0 && !starts.has(at);
    at += token.length;
    return goes;
  });
}
