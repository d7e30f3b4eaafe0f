// The heat map as a picture that stands alone: an SVG in the look of `jumok explain`, on a light panel.

import { hexOf, rgbOf, textOn } from "./color.js";
import { isSpecial, label } from "./labels.js";
import { coverage, entropy, margin } from "./spread.js";

const CELL = 28, MARGIN = 24, FONT = 14, LONGEST = 24;
const INK = "#10242c", MUTED = "#5b6f77";

// Text safe inside XML.
export function safe(text) {
  const allowed = Array.from(text, (c) => (/[\t\n\r\x20-\ud7ff\ue000-\ufffd]/.test(c) || c.codePointAt(0) > 0xffff ? c : "\ufffd")).join("");
  return allowed.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

const short = (text) => (Array.from(text).length > LONGEST ? Array.from(text).slice(0, LONGEST - 1).join("") + "…" : text);
const columns = (text) => Array.from(text).reduce((n, c) => n + (/[\u1100-\u11ff\u2e80-\uffdc\u{1f000}-\u{1ffff}]/u.test(c) ? 2 : 1), 0);

// translation: as `translationOf` of take.js gives it, with weights. words: {title, weight} for people.
export function toSvg(translation, words) {
  const { source_tokens: tokens, tokens: out, weights } = translation;
  const heads = tokens.map((x) => short(label(x))), sides = out.map((x) => short(label(x)));
  const longest = (list) => Math.max(0, ...list.map(columns));
  const turned = longest(heads) > 3, left = MARGIN + 8.8 * longest(sides) + 12;
  const top = 62 + (turned ? 8.8 * longest(heads) * 0.87 + 12 : 24);
  const width = Math.max(360, left + CELL * tokens.length + MARGIN + (turned ? 8.8 * longest(heads) * 0.5 : 0)), height = top + CELL * out.length + 52 + MARGIN;
  const sums = coverage(weights, tokens.length), parts = [];
  heads.forEach((text, i) => {
    const x = left + CELL * (i + 0.5), fill = isSpecial(tokens[i]) ? MUTED : INK, tip = `<title>${safe(`${words.coverage} ${sums[i].toFixed(2)}`)}</title>`;
    const place = turned ? `transform="translate(${x + 4} ${top - 8}) rotate(-60)"` : `x="${x}" y="${top - 10}" text-anchor="middle"`;
    parts.push(`<text ${place} fill="${fill}">${tip}${safe(text)}</text>`);
  });
  weights.forEach((row, t) => {
    const y = top + CELL * t, numbers = `${words.entropy} ${entropy(row).toFixed(2)}, ${words.margin} ${(100 * margin(row)).toFixed(0)} %`;
    parts.push(`<text x="${left - 10}" y="${y + 19}" text-anchor="end" fill="${isSpecial(out[t]) ? MUTED : INK}"><title>${safe(numbers)}</title>${safe(sides[t])}</text>`);
    Array.from(row).forEach((w, s) => {
      const x = left + CELL * s, tip = `${label(out[t])} ← ${label(tokens[s])}: ${(100 * w).toFixed(2)} %`;
      const number = w >= 0.095 ? `<text x="${x + CELL / 2}" y="${y + 18}" text-anchor="middle" font-size="11" fill="${textOn(rgbOf(w))}">${(100 * w).toFixed(0)}</text>` : "";
      parts.push(`<g><title>${safe(tip)}</title><rect x="${x + 1}" y="${y + 1}" width="${CELL - 2}" height="${CELL - 2}" rx="3" fill="${hexOf(w)}"/>${number}</g>`);
    });
  });
  const y = top + CELL * out.length + 22;
  for (let k = 0; k < 20; k++) parts.push(`<rect x="${left + 8 * k}" y="${y}" width="8" height="8" fill="${hexOf(k / 19)}" shape-rendering="crispEdges"/>`);
  for (const at of [0, 50, 100]) parts.push(`<text x="${left + 1.6 * at}" y="${y + 23}" font-size="11" text-anchor="middle" fill="${MUTED}">${at}</text>`);
  parts.push(`<text x="${left + 178}" y="${y + 9}" font-size="11" fill="${MUTED}">% ${safe(translation.weights_kind)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 ${Math.round(width)} ${Math.round(height)}" width="${Math.round(width)}" height="${Math.round(height)}">
<title>${safe(words.title)}</title>
<rect x="0.5" y="0.5" width="${Math.round(width) - 1}" height="${Math.round(height) - 1}" rx="10" fill="#ffffff" stroke="#d5dfe2"/>
<g font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK KR', sans-serif" font-size="${FONT}">
<text x="${MARGIN}" y="38" font-size="15" font-weight="600" fill="${INK}"><tspan unicode-bidi="isolate">${safe(short(translation.source))}</tspan> <tspan fill="${MUTED}" font-weight="400">→</tspan> <tspan unicode-bidi="isolate">${safe(short(translation.text))}</tspan></text>
${parts.join("\n")}
</g></svg>
`;
}

// An SVG as a PNG, at twice its size.
export function toPng(svg) {
  return new Promise((done, fail) => {
    const image = new Image();
    image.onerror = () => fail(new Error("the picture could not be drawn"));
    image.onload = () => {
      const canvas = document.createElement("canvas"), scale = Math.min(2, 8000 / Math.max(image.width, image.height));
      canvas.width = Math.ceil(image.width * scale);
      canvas.height = Math.ceil(image.height * scale);
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("the picture could not be drawn"))), "image/png");
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svg);
  });
}
