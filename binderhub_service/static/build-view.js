// A build as it goes on: phases, place in the queue, log, error. Used by the launch page, the build's page and the spawn form.

import { queued } from "./format.js";
import { Log } from "./log.js";

const PHASES = ["queued", "fetching", "building", "pushing", "done"];
const TITLES = { queued: "Waiting", fetching: "Fetching", building: "Building", pushing: "Storing", done: "Ready" };
const SENTENCES = {
  queued: "Waiting for its turn.",
  fetching: "Fetching the repository.",
  building: "Building the environment.",
  pushing: "Storing the result.",
  done: "The environment is ready.",
};

/** Make an element; `content` becomes text or children, never markup. */
export function element(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}

/** Show an error in `area`, which is made an alert, and move the focus there. */
export function showError(area, { message, hint }) {
  area.className = "alert alert-danger";
  area.setAttribute("role", "alert");
  area.tabIndex = -1;
  area.replaceChildren(element("p", "binder-problem-message", message));
  if (hint) {
    area.append(element("p", "binder-problem-hint", hint));
  }
  area.hidden = false;
  area.focus();
}

/** Shows one build in `container`; `error`, if given, is where errors go instead. */
export class BuildView {
  #bar;
  #steps;
  #status;
  #error;
  #links;
  #logBox;
  #log = null;

  constructor(container, { error = null, showsPhases = true, collapsible = true } = {}) {
    this.#steps = new Map(PHASES.map((phase) => [phase, element("li", "binder-phase", TITLES[phase])]));
    this.#bar = element("ol", "binder-phases", ...this.#steps.values());
    this.#bar.setAttribute("aria-label", "Phases of the build");
    this.#bar.hidden = !showsPhases;
    this.#status = element("p", "binder-status");
    this.#status.setAttribute("role", "status");
    this.#error = error ?? element("div", "");
    this.#error.hidden ||= !error;
    this.#links = element("p", "binder-actions");
    this.#logBox = collapsible ? element("details", "binder-log-box", element("summary", "", "Log")) : element("div", "binder-log-box");
    this.#logBox.open = true;
    this.#logBox.hidden = true;
    container.replaceChildren(...(error ? [] : [this.#error]), this.#bar, this.#status, this.#links, this.#logBox);
    container.hidden = false;
  }

  /** Begin to show a build; its whole log is at the address `wholeLog`. */
  begin(wholeLog) {
    const pane = element("div", "");
    this.#log = new Log(pane, { wholeLog });
    this.#logBox.querySelector(".binder-log")?.remove();
    this.#logBox.append(pane);
    this.#logBox.hidden = false;
  }

  /** Show an event of the build's event log. */
  show({ kind, data }) {
    if (kind === "phase") {
      this.showPhase(data.phase, data.message);
    } else if (kind === "queue") {
      this.say(queued(data));
    } else if (kind === "log") {
      this.#log.append(data.text);
    } else if (kind === "end" && data.state === "ready") {
      this.showPhase("done");
    }
  }

  showPhase(phase, message) {
    const current = PHASES.indexOf(phase);
    PHASES.forEach((name, index) => {
      const step = this.#steps.get(name);
      step.classList.toggle("binder-phase-past", index < current || phase === "done");
      step.removeAttribute("aria-current");
    });
    if (current >= 0) {
      this.#steps.get(phase).setAttribute("aria-current", "step");
    }
    this.say(message || SENTENCES[phase] || "");
  }

  /** What was said last. */
  get sentence() {
    return this.#status.textContent;
  }

  /** Say one sentence, which screen readers announce. */
  say(sentence) {
    if (this.#status.textContent !== sentence) {
      this.#status.textContent = sentence;
    }
  }

  /** Mark the bar as stopped and show why. */
  fail(error) {
    this.#bar.classList.add("binder-phases-stopped");
    this.say("");
    showError(this.#error, error);
  }

  /** Mark the bar as stopped, because somebody wanted that; no error. */
  stop(message) {
    this.#bar.classList.add("binder-phases-stopped");
    this.say(message);
  }

  /** Show buttons and links under the phases. */
  offer(...elements) {
    this.#links.replaceChildren(...elements);
  }
}
