// A build's page: its event log from the beginning, and on as it happens.

import { saysDrops } from "./ask.js";
import { BuildView, showError } from "./build-view.js";
import { Client, ServiceError } from "./client.js";
import { showState, took } from "./format.js";
import { letCopy, plainLog } from "./log-tools.js";

const root = document.getElementById("binder-build");
const part = (name) => root.querySelector(`[data-binder=${name}]`);
const { service, build: id, state, started } = root.dataset;
const client = new Client(service, { "X-XSRFToken": window.jhdata.xsrf_token });
const wasUnfinished = state === "queued" || state === "running";
const view = new BuildView(part("view"), { showsPhases: wasUnfinished, collapsible: false, error: errorArea() });

letCopy(part("copy"), client, id, (problem) => showError(errorArea(), problem));
follow();

async function follow() {
  view.begin(plainLog(client, id));
  const clock = wasUnfinished && started ? setInterval(() => showTook(started, null), 1000) : null;
  try {
    const end = await client.follow(id, { onEvent: show, onDrop: saysDrops(view) });
    clearInterval(clock);
    if (wasUnfinished) {
      showEnd(end);
      const build = await client.build(id);
      showTook(build.started, build.finished);
    }
  } catch (problem) {
    if (!(problem instanceof ServiceError)) {
      throw problem;
    }
    clearInterval(clock);
    view.fail(problem);
  }
}

function show(event) {
  if (wasUnfinished && event.kind === "phase" && event.data.phase !== "queued") {
    part("queue")?.remove();
    showState(document.querySelector("[data-binder=state]"), "running");
  }
  if (wasUnfinished || event.kind === "log") {
    view.show(event);
  }
}

function showEnd({ state: ended, error }) {
  showState(document.querySelector("[data-binder=state]"), ended);
  part("cancel")?.remove();
  part("queue")?.remove();
  const launch = part("launch");
  if (launch) {
    launch.hidden = false;
    launch.textContent = ended === "ready" ? "Launch" : "Build again";
  }
  if (ended === "cancelled") {
    view.stop("This build was cancelled.");
  } else if (error) {
    view.fail(error);
  }
}

function showTook(from, to) {
  part("took").textContent = took(from, to);
}

function errorArea() {
  const there = part("error");
  if (there) {
    return there;
  }
  const made = document.createElement("div");
  made.hidden = true;
  made.dataset.binder = "error";
  root.prepend(made);
  return made;
}
