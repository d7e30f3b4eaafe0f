// The colours of weights: one hue from paper to ink, safe for readers who see no colours, for light and dark pages.

export const LIGHT = ["#f1f7f8", "#cbdfe2", "#a0c8d1", "#75b1c1", "#4d99af", "#2d7f9a", "#186682", "#0d4d67", "#08354b"];
const DARK = ["#14232b", "#16303c", "#174152", "#1b566d", "#25708b", "#3f8fa9", "#6fb0c4", "#a5d0dc", "#e2f1f5"];

const parse = (color) => [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
const ramps = { light: table(LIGHT), dark: table(DARK) };

function table(anchors) {
  const stops = anchors.map(parse);
  return Array.from({ length: 256 }, (_, level) => {
    const x = (level / 255) * (stops.length - 1), k = Math.min(Math.floor(x), stops.length - 2);
    return stops[k].map((low, i) => Math.round(low + (x - k) * (stops[k + 1][i] - low)));
  });
}

// The colour of a weight from 0 to 1, as [r, g, b].
export function rgbOf(weight, theme = "light") {
  return ramps[theme][Math.round(255 * Math.min(Math.max(weight, 0), 1))];
}

// The colour of a difference from −1 to 1: the hue of weights where it is positive, orange where it is negative.
const LESS = { light: table(["#f2f5f5", "#f6dcc0", "#eebb85", "#dd9650", "#c27326", "#9c550f", "#713a05"]), dark: table(["#1a2226", "#38270f", "#5b3a12", "#8a551a", "#b8752a", "#dd9f5c", "#f3cfa6"]) };
const MORE = { light: table(["#f2f5f5", "#cbdfe2", "#a0c8d1", "#4d99af", "#2d7f9a", "#186682", "#0d4d67"]), dark: table(["#1a2226", "#16303c", "#174152", "#25708b", "#3f8fa9", "#6fb0c4", "#a5d0dc"]) };

export function divergingOf(difference, theme = "light") {
  return (difference < 0 ? LESS : MORE)[theme][Math.round(255 * Math.min(Math.abs(difference), 1) ** 0.7)];
}

export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

export const hexOf = (weight) => "#" + rgbOf(weight).map((x) => x.toString(16).padStart(2, "0")).join("");

// Black or white, whichever reads better on this colour.
export function textOn(color) {
  const [r, g, b] = color.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}
