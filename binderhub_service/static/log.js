// A growing log on a page: lines as text, never as markup.

import { parseLine } from "./ansi.js";

const LIMIT_LINES = 5000;
const NEAR_PX = 24;

/** Shows lines in `element`, the newest `limit` of them, and follows the end unless the person has scrolled up. */
export class Log {
  #element;
  #note;
  #lines;
  #limit;
  #waiting = [];
  #scheduled = false;
  #following = true;
  #style = undefined;
  #dropped = 0;

  constructor(element, { wholeLog, limit = LIMIT_LINES } = {}) {
    this.#element = element;
    this.#limit = limit;
    this.#note = noteAbout(wholeLog);
    this.#lines = document.createElement("div");
    element.classList.add("binder-log");
    element.tabIndex = 0;
    element.setAttribute("role", "log");
    // A build says a hundred lines in a second; its phases are announced instead (build-view.js).
    element.setAttribute("aria-live", "off");
    element.setAttribute("aria-label", "Build log");
    element.replaceChildren(this.#note, this.#lines);
    element.addEventListener("scroll", () => {
      this.#following = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    });
  }

  /** Add a line; it appears with the next frame, together with others. */
  append(line) {
    this.#waiting.push(line);
    if (this.#waiting.length > 2 * this.#limit) {
      this.#dropped += this.#waiting.length - this.#limit;
      this.#waiting = this.#waiting.slice(-this.#limit);
    }
    if (!this.#scheduled) {
      this.#scheduled = true;
      requestAnimationFrame(() => this.#show());
    }
  }

  #show() {
    this.#scheduled = false;
    const waiting = this.#waiting.splice(0);
    const fresh = document.createDocumentFragment();
    for (const line of waiting) {
      fresh.append(this.#render(line));
    }
    this.#lines.append(fresh);
    while (this.#lines.childElementCount > this.#limit) {
      this.#lines.firstElementChild.remove();
      this.#dropped += 1;
    }
    this.#note.hidden = this.#dropped === 0;
    if (this.#following) {
      this.#element.scrollTop = this.#element.scrollHeight;
    }
  }

  #render(line) {
    const { pieces, style } = parseLine(line, this.#style);
    this.#style = style;
    const element = document.createElement("div");
    element.className = "binder-line";
    element.append(...pieces.map(renderPiece));
    return element;
  }
}

function renderPiece({ text, style }) {
  const span = document.createElement("span");
  span.textContent = text;
  for (const name of ["bold", "dim", "italic", "underline"]) {
    if (style[name]) {
      span.classList.add(`binder-${name}`);
    }
  }
  paint(span, "fg", "--binder-color", style.color);
  paint(span, "bg", "--binder-background", style.background);
  return span;
}

// The style sheet sees to it that every color can be read in light and dark.
function paint(span, name, property, color) {
  if (color === null) {
    return;
  }
  span.classList.add(`binder-${name}-${typeof color === "number" ? color : "other"}`);
  if (typeof color === "string") {
    span.style.setProperty(property, color);
  }
}

function noteAbout(wholeLog) {
  const note = document.createElement("p");
  note.className = "binder-log-note";
  note.hidden = true;
  note.append("Earlier lines are not shown. ");
  if (wholeLog) {
    const link = document.createElement("a");
    link.href = wholeLog;
    link.textContent = "See the whole log.";
    note.append(link);
  }
  return note;
}
