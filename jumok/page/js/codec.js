// Text to tokens and ids and back, as jumok/text does it: the tokenizers char, space, word and bpe, and the vocabularies.

export const PAD = 0;
export const START = 1;
export const END = 2;
export const UNK = 3;
export const SPECIALS = ["<pad>", "<s>", "</s>", "<unk>"];
const FORMS = { none: (text) => text, NFC: form("NFC"), NFD: form("NFD"), NFKC: form("NFKC"), NFKD: form("NFKD") };
const WORD = /▁?(?:[\p{L}\p{N}_\p{M}\u200c\u200d\u{e0100}-\u{e01ef}]+|[^▁])|▁/gu;
// what Python's str.strip takes off
const BLANK = /^[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*$/;

function form(name) {
  return (text) => text.normalize(name);
}

const swapped = (text) => text.replace(/[ ▁]/g, (c) => (c === " " ? "▁" : " "));
const unmarked = (tokens) => swapped(tokens.join("").replace(/^▁/, ""));

const TOKENIZERS = {
  char: () => ({ cut: (text) => Array.from(text), join: (tokens) => tokens.join(""), unknown: "\ufffd" }),
  space: () => ({ cut: (text) => text.split(" ").filter(Boolean), join: (tokens) => tokens.join(" "), unknown: "<unk>" }),
  word: () => ({ cut: (text) => (text ? swapped(" " + text).match(WORD) : []), join: unmarked, unknown: "▁<unk>" }),
  bpe: (values) => ({ cut: subwords(values.merges), join: unmarked, unknown: "\ufffd" }),
};

// Merges of a page are [left, right] in the order in which they were learned.
function subwords(merges) {
  const ranks = new Map(merges.map(([a, b], rank) => [a + "\n" + b, rank]));
  const known = new Map();
  const word = (text) => {
    const cached = known.get(text);
    if (cached) return cached;
    const tokens = merge(Array.from("▁" + text.replaceAll("▁", " ")), ranks);
    if (text.length <= 100) known.set(text, tokens);
    if (known.size > 4096) known.clear();
    return tokens;
  };
  return (text) => (text ? text.split(" ").flatMap(word) : []);
}

// Of all neighbouring pairs the one learned first is joined, of equals the leftmost, until none is left. One pass joins all pairs
// of the best rank, unless a new pair is better still (the same token can come of several merges).
function merge(tokens, ranks) {
  const rank = (a, b) => (a === undefined || b === undefined ? Infinity : ranks.get(a + "\n" + b) ?? Infinity);
  for (;;) {
    let best = Infinity;
    for (let i = 0; i + 1 < tokens.length; i++) best = Math.min(best, rank(tokens[i], tokens[i + 1]));
    if (best === Infinity) return tokens;
    const next = [];
    for (let i = 0; i < tokens.length; i++) {
      if (rank(tokens[i], tokens[i + 1]) !== best) {
        next.push(tokens[i]);
        continue;
      }
      const joined = tokens[i] + tokens[++i];
      const better = Math.min(rank(next[next.length - 1], joined), rank(joined, tokens[i + 1])) < best;
      next.push(joined);
      if (better) {
        next.push(...tokens.slice(i + 1));
        break;
      }
    }
    tokens = next;
  }
}

function openSide(values) {
  const tokenizer = TOKENIZERS[values.tokenizer.name](values.tokenizer);
  const normalize = FORMS[values.tokenizer.form];
  const composed = values.tokenizer.form === "NFD" || values.tokenizer.form === "NFKD";
  const tokens = [...SPECIALS, ...values.tokens];
  const ids = new Map(values.tokens.map((token, i) => [token, i + SPECIALS.length]));
  return {
    size: tokens.length,
    tokens,
    cut: (text) => tokenizer.cut(normalize(text)),
    id: (token) => ids.get(token) ?? UNK,
    text: (list) => {
      const joined = tokenizer.join(list.map((i) => (i === UNK ? tokenizer.unknown : tokens[i])));
      return composed ? joined.normalize("NFC") : joined;
    },
  };
}

// The codec of a model of the page: text, features and target strings to ids, ids to tokens and text.
export function openCodec(values) {
  const source = openSide(values.source);
  const target = values.target ? openSide(values.target) : source;
  return {
    source,
    target,
    isBlank: (text) => BLANK.test(text),
    // tokens of features and text, END last, with their ids; unknown: positions that are read as <unk>
    readSource(text, features = []) {
      const tokens = [...features.map((f) => `‹${f}›`), ...source.cut(text)];
      const ids = tokens.map(source.id);
      const unknown = ids.flatMap((id, i) => (id === UNK ? [i] : []));
      return { tokens: [...tokens, "</s>"], ids: [...ids, END], unknown };
    },
    // ids of a target text, END last
    readTarget: (text) => [...target.cut(text).map(target.id), END],
    // ids of what a reader types in place of one token; several where it is several tokens
    readTokens: (text) => (text === "</s>" ? [END] : target.cut(text).map(target.id)),
    text: (ids) => {
      const end = ids.indexOf(END);
      return target.text((end < 0 ? ids : ids.slice(0, end)).filter((i) => i !== PAD && i !== START));
    },
  };
}
