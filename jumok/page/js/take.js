// An output as data: the JSON of `jumok explain` (schema jumok.translation/1) and its CSV.

import { coverage, entropy, LEAST, margin } from "./spread.js";

const six = (x) => Math.round(x * 1e6) / 1e6;
// as few digits as give the same float32 again
const short = (w) => {
  for (let digits = 1; digits < 10; digits++) if (Math.fround(Number(w.toPrecision(digits))) === w) return Number(w.toPrecision(digits));
  return w;
};

// What the page shows, with the keys of the schema.
export function translationOf(result, source) {
  const rows = result.rows.map((row) => Array.from(row, short));
  const S = result.tokens.length, each = result.steps.map((step) => step.logp);
  const known = each.length > 0 && each.every(Number.isFinite), weakest = each.indexOf(Math.min(...each));
  return {
    schema: "jumok.translation/1",
    source,
    text: result.text,
    source_tokens: result.tokens,
    tokens: result.steps.map((step) => step.token),
    weights_kind: result.weightsKind,
    weights: rows.length ? rows : null,
    attention: rows.length ? {
      entropy_bits: result.rows.map((row) => six(entropy(row))),
      margin: result.rows.map((row) => six(margin(row))),
      coverage: coverage(result.rows, S).map(six),
      unseen_share: six(result.tokens.filter((_, s) => result.rows.every((row) => row[s] < LEAST)).length / S),
    } : null,
    copied: null,
    token_log_probabilities: known ? each.map(short) : null,
    confidence: known ? { probability: Number(Math.exp(result.logp).toPrecision(6)), weakest, weakest_probability: Number(Math.exp(each[weakest]).toPrecision(6)) } : null,
    log_probability: result.logp,
    score: result.steps.length ? result.logp / result.steps.length : 0,
    finished: result.finished,
    unknown: result.unknown,
    alternatives: [],
    replaced: [],
    problem: "",
  };
}

// JSON with a line for each key, and one for each row of weights.
export function toJson(translation) {
  const laid = (value) => (Array.isArray(value) && Array.isArray(value[0]) ? `[\n${value.map((row) => "  " + JSON.stringify(row)).join(",\n")}\n ]` : JSON.stringify(value));
  return `{\n${Object.entries(translation).map(([key, value]) => ` ${JSON.stringify(key)}: ${laid(value)}`).join(",\n")}\n}\n`;
}

// RFC 4180, as `jumok explain --out x.csv` writes it.
export function toCsv({ source_tokens: tokens, tokens: out, weights, attention, token_log_probabilities: each }) {
  const cell = (value) => (/[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  const line = (cells) => cells.map(cell).join(",") + "\r\n";
  const more = each ? ["probability"] : [], chances = each?.map((x) => [short(Math.fround(Math.exp(x)))]) ?? [];
  return line(["", ...tokens, "entropy (bits)", "margin", ...more])
    + out.map((token, t) => line([token, ...weights[t], attention.entropy_bits[t], attention.margin[t], ...(chances[t] ?? [])])).join("")
    + line(["coverage", ...attention.coverage, "", "", ...more.map(() => "")]);
}
