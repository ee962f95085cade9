// Copying and downloading a build's log, as plain text; used by the launch page, the spawn form and the build's page.

import { plainText } from "./ansi.js";
import { element } from "./build-view.js";
import { ServiceError } from "./client.js";

const SHOWN_MS = 2000;

/** Return the address of a build's log as plain text. */
export function plainLog(client, id) {
  return `${client.service}api/builds/${encodeURIComponent(id)}/log?plain=1`;
}

/** Let `button` copy a build's log; `onProblem({message, hint})` hears why it cannot. */
export function letCopy(button, client, id, onProblem) {
  button.addEventListener("click", async () => {
    try {
      const text = (await client.log(id)).split("\n").map(plainText).join("\n");
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch (problem) {
      // A page that came without TLS has no clipboard; the person can still download.
      const hint = "Use Download instead.";
      onProblem(problem instanceof ServiceError ? problem : { message: "The browser does not let this page copy.", hint });
    }
    setTimeout(() => (button.textContent = "Copy"), SHOWN_MS);
  });
  return button;
}

/** Return a button that copies a build's log and a link that downloads it. */
export function logTools(client, id, onProblem) {
  const copy = element("button", "btn btn-sm btn-outline-contrast", "Copy");
  copy.type = "button";
  const download = element("a", "btn btn-sm btn-outline-contrast", "Download");
  download.href = plainLog(client, id);
  download.download = `${id}.log`;
  return [letCopy(copy, client, id, onProblem), download];
}
