// From "I want this repository" to "its environment is there", shown in a view; shared by the launch page and the spawn form.

import { BuildView, element } from "./build-view.js";
import { ServiceError } from "./client.js";
import { logTools, plainLog } from "./log-tools.js";

/**
 * Ask for the build of `request`, show it in `container`, and resolve to the view when its image is ready.
 * Resolves to null when it failed or the person cancelled it; the view says which. Never throws a `ServiceError`.
 */
export async function askAndFollow(client, request, container, error = null) {
  const view = new BuildView(container, { error });
  const leaving = new AbortController();
  view.showPhase("queued", "Asking for the build.");
  try {
    const build = await client.ask(request);
    if (build.state === "ready") {
      view.showPhase("done");
      return view;
    }
    view.begin(plainLog(client, build.id));
    const tools = [pageLink(client, build.id), ...logTools(client, build.id, ({ message, hint }) => view.say(`${message} ${hint ?? ""}`))];
    view.offer(cancelButton(client, build.id, leaving), ...tools);
    const shown = { onEvent: (event) => view.show(event), onDrop: saysDrops(view), signal: leaving.signal };
    const end = await client.follow(build.id, { untilMade: build.state !== "failed", ...shown });
    view.offer(...tools);
    if (end.state === "ready") {
      return view;
    }
    if (end.state === "cancelled") {
      view.stop("This build was cancelled.");
    } else {
      view.fail(end.error ?? { message: "The build failed." });
    }
  } catch (problem) {
    if (!(problem instanceof ServiceError) && !leaving.signal.aborted) {
      throw problem;
    }
    view.offer();
    if (leaving.signal.aborted) {
      view.stop("This build was cancelled.");
    } else {
      view.fail(problem);
    }
  }
  return null;
}

/** Return what tells the person, once, that the connection is gone, and what was said before as soon as it is back. */
export function saysDrops(view) {
  const sentence = "The connection is interrupted; trying again. The build goes on.";
  let before = null;
  return (dropped) => {
    if (dropped && before === null) {
      before = view.sentence;
      view.say(sentence);
    } else if (!dropped && before !== null) {
      if (view.sentence === sentence) {
        view.say(before);
      }
      before = null;
    }
  };
}

function cancelButton(client, id, leaving) {
  const button = element("button", "btn btn-sm btn-outline-danger", "Cancel");
  button.type = "button";
  button.addEventListener("click", async () => {
    button.disabled = true;
    await client.withdraw(id).catch(() => {}); // it may have ended meanwhile, and nothing waits for it any more
    leaving.abort();
  });
  return button;
}

function pageLink(client, id) {
  const link = element("a", "btn btn-sm btn-outline-contrast", "Page of this build");
  link.href = `${client.service}builds/${encodeURIComponent(id)}`;
  link.target = "_blank";
  link.rel = "noopener";
  return link;
}
