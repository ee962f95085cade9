// The launch page: build first, with the log in sight, then the server. Without this module its form does the same, less visibly.

import { askAndFollow } from "./ask.js";
import { Client, ServiceError } from "./client.js";

const form = document.getElementById("binder-launch");
const button = form.querySelector("button");
const view = document.querySelector("[data-binder=view]");
const { service, repo, ref, path, provider } = form.dataset;
const client = new Client(service, { "X-XSRFToken": window.jhdata.xsrf_token });

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!button.disabled) {
    launch();
  }
});

// The browser shows this page as it was when the person comes back from the server.
window.addEventListener("pageshow", (event) => event.persisted && rest("Launch"));

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
    const launched = await client.launch({ repo, ref, path, provider });
    window.location.assign(new URL(launched.pending_url, window.location.origin));
  } catch (problem) {
    if (!(problem instanceof ServiceError)) {
      throw problem;
    }
    shown.fail(problem);
    rest("Try again");
  }
}

function rest(label) {
  button.disabled = false;
  button.textContent = label;
}
