// A line of a terminal's output as pieces of text with a style; pure. Everything but colours and emphasis is dropped.

const PLAIN = Object.freeze({ color: null, background: null, bold: false, dim: false, italic: false, underline: false });
// In this order: control sequences, strings for the terminal (title, links ...), other escapes, one control character,
// and the characters that turn the direction of text around and so can make it look like what it is not.
const CONTROLS = new RegExp(
  [
    "(?:\\x1b\\[|\\x9b)([0-?]*)[ -/]*([@-~]?)",
    "(?:\\x1b[\\]PX^_]|[\\x90\\x98\\x9d-\\x9f])[^\\x07\\x1b\\x9c]*(?:\\x07|\\x1b\\\\|\\x9c)?",
    "\\x1b[ -/]*[0-~]?",
    "[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f]",
    "[\\u202a-\\u202e\\u2066-\\u2069]",
  ].join("|"),
  "g",
);
const FLAGS = { 1: ["bold", true], 2: ["dim", true], 3: ["italic", true], 4: ["underline", true], 23: ["italic", false], 24: ["underline", false] };
const CUBE = [0, 95, 135, 175, 215, 255];

/**
 * Return `{pieces, style}`: the pieces `{text, style}` of a line that begins in `style`, and the style it ends in.
 * A color is null, 0..15 (the terminal's own), or `rgb(r, g, b)`. After a carriage return, text begins the line anew.
 */
export function parseLine(line, style = PLAIN) {
  let pieces = [];
  let overwrite = false;
  let at = 0;
  const add = (text) => {
    if (text) {
      if (overwrite) {
        pieces = [];
        overwrite = false;
      }
      pieces.push({ text, style });
    }
  };
  for (const match of line.matchAll(CONTROLS)) {
    add(line.slice(at, match.index));
    at = match.index + match[0].length;
    overwrite ||= match[0] === "\r";
    if (match[2] === "m" && /^[0-9;]*$/.test(match[1])) {
      style = restyle(style, match[1].split(";").map(Number));
    }
  }
  add(line.slice(at));
  return { pieces, style };
}

/** Return a line's text alone. */
export function plainText(line) {
  return parseLine(line)
    .pieces.map((piece) => piece.text)
    .join("");
}

function restyle(style, codes) {
  const next = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 38 || code === 48) {
      const [color, used] = extendedColor(codes.slice(at + 1));
      at += used;
      if (color !== null) {
        next[code === 38 ? "color" : "background"] = color;
      }
    } else {
      apply(next, code);
    }
  }
  return next;
}

function apply(style, code) {
  if (code === 0) {
    Object.assign(style, PLAIN);
  } else if (code === 22) {
    Object.assign(style, { bold: false, dim: false });
  } else if (FLAGS[code]) {
    style[FLAGS[code][0]] = FLAGS[code][1];
  } else if (code === 39 || code === 49) {
    style[code === 39 ? "color" : "background"] = null;
  } else {
    const tens = Math.floor(code / 10);
    const digit = code % 10;
    if (digit <= 7 && [3, 4, 9, 10].includes(tens)) {
      style[tens === 3 || tens === 9 ? "color" : "background"] = digit + (tens >= 9 ? 8 : 0);
    }
  }
}

/** Return the color that `5;n` or `2;r;g;b` names, or null, and how many codes that took. */
function extendedColor([kind, ...values]) {
  const inRange = (value) => Number.isInteger(value) && value >= 0 && value <= 255;
  if (kind === 5) {
    return [inRange(values[0]) ? indexedColor(values[0]) : null, 2];
  }
  if (kind === 2) {
    const rgb = values.slice(0, 3);
    return [rgb.length === 3 && rgb.every(inRange) ? `rgb(${rgb.join(", ")})` : null, 4];
  }
  return [null, 1];
}

function indexedColor(index) {
  if (index < 16) {
    return index;
  }
  if (index >= 232) {
    const grey = 8 + 10 * (index - 232);
    return `rgb(${grey}, ${grey}, ${grey})`;
  }
  const cube = index - 16;
  return `rgb(${CUBE[Math.floor(cube / 36)]}, ${CUBE[Math.floor(cube / 6) % 6]}, ${CUBE[cube % 6]})`;
}
