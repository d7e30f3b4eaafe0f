// Text on a canvas: cut where it is too long, and turned where columns are narrower than their names.

export const TURN = Math.PI / 3.2;

// The text, or as much of its beginning as fits into so many pixels, with "…".
export function fitted(context, text, most) {
  if (context.measureText(text).width <= most) return text;
  const points = Array.from(text);
  let low = 0, high = points.length;
  while (low < high) {
    const half = Math.ceil((low + high) / 2);
    if (context.measureText(points.slice(0, half).join("") + "…").width <= most) low = half;
    else high = half - 1;
  }
  return points.slice(0, low).join("") + "…";
}

export const widest = (context, texts, most) => Math.min(most, Math.max(0, ...texts.map((text) => context.measureText(text).width)));

// Names over columns of `cell` pixels, from `left` on, their feet at `y`.
export function columnHeads(context, names, { left, cell, y, turned, most, color }) {
  names.forEach((name, s) => {
    context.fillStyle = color(s);
    context.save();
    context.translate(left + cell * (s + 0.5) + (turned ? 3 : 0), y);
    if (turned) context.rotate(-TURN);
    context.textAlign = turned ? "left" : "center";
    context.fillText(fitted(context, name, most), 0, 0);
    context.restore();
  });
}
