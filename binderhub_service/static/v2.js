// The launch page: build first, with the log in sight, then the server. Without this module its form does the same, less visibly.

import { askAndFollow } from "./ask.js";
import { element } from "./build-view.js";
import { Client, ServiceError } from "./client.js";
import { onlyDeliberate } from "./deliberate.js";

const form = document.getElementById("binder-launch");
const button = form.querySelector("button");
const view = document.querySelector("[data-binder=view]");
const PLACE_WAIT_MS = 10_000;
const { service, repo, ref, path, provider, link } = form.dataset;
const token = window.pageConfig.buildToken;
const client = new Client(service, { "X-XSRFToken": window.jhdata.xsrf_token });

onlyDeliberate(form);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!button.disabled) {
    launch();
  }
});

// The browser shows this page as it was when the person comes back from the server.
window.addEventListener("pageshow", (event) => event.persisted && rest("Launch"));

// On a public hub the service says whether a person has opened the page; back and reload are no wish for another server.
if ("launches" in form.dataset && performance.getEntriesByType("navigation")[0]?.type === "navigate") {
  launch();
}

async function launch() {
  button.disabled = true;
  button.textContent = "Launching…";
  const shown = await askAndFollow(client, { repo, ref, provider }, view);
  if (!shown) {
    rest("Try again");
    return;
  }
  shown.say("Starting your server.");
  try {
    const launched = await launchInAPlace(shown);
    if (launched === null) {
      shown.stop("Nothing was launched.");
      rest("Launch");
    } else if (launched.already_running && !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(ref)) {
      sayRunning(shown, launched.url);
    } else {
      window.location.assign(new URL(launched.pending_url, window.location.origin));
    }
  } catch (problem) {
    if (!(problem instanceof ServiceError)) {
      throw problem;
    }
    shown.fail(problem);
    rest("Try again");
  }
}

/** Launch; where as many servers run as may, try again until one may be started. Resolves to null if the person does not want to wait. */
async function launchInAPlace(shown) {
  const leaving = new AbortController();
  while (!leaving.signal.aborted) {
    try {
      return await client.launch({ repo, ref, path, provider, link, build_token: token });
    } catch (problem) {
      if (problem.code !== "launch_quota") {
        throw problem;
      }
      shown.say(`${problem.message} This page tries again until there is a place.`);
    }
    await pause(PLACE_WAIT_MS, shown, leaving);
  }
  return null;
}

function pause(milliseconds, shown, leaving) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const stop = element("button", "btn btn-sm btn-outline-danger", "Do not wait");
    stop.type = "button";
    stop.addEventListener("click", () => {
      clearTimeout(timer);
      leaving.abort();
      shown.offer();
      resolve();
    });
    shown.offer(stop);
  });
}

/** Let the person choose: a server that runs has the content it was started with, and only they know whether that will do. */
function sayRunning(shown, address) {
  shown.say("Your server for this repository runs already, and shows the repository as it was when the server was started.");
  const open = element("a", "btn btn-primary", "Open it as it is");
  open.href = address;
  const home = element("a", "btn btn-outline-contrast", "Stop it on the hub's home page");
  home.href = form.dataset.home;
  shown.offer(open, home);
  rest("Launch");
}

function rest(label) {
  button.disabled = false;
  button.textContent = label;
}
