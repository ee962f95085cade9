// The hub's spawn form: the environment is built first, with its log in sight, and only then the spawn is submitted.
// The form lives in the hub's page (spawner/form.html), so it comes to the service with a token that lives for an hour.

import { askAndFollow } from "./ask.js";
import { showError } from "./build-view.js";
import { Client, errorFrom, ServiceError } from "./client.js";
import { onlyDeliberate } from "./deliberate.js";
import { filler } from "./fill.js";

const TOKEN_SECONDS = 3600;

/** Make the fields in `area` (spawner/form.html) and the hub's form around them build before they spawn. */
export function setUp(area) {
  const form = area.closest("form");
  if (!form) {
    return;
  }
  addStyle();
  const field = (name) => area.querySelector(`#binder-${name}`);
  const parts = { error: part(area, "error"), build: part(area, "log"), button: form.querySelector("[type=submit]") };
  let passing = false;

  onlyDeliberate(form);
  const locate = (pasted) => asPerson(area.dataset, (client) => client.locate(pasted));
  if (field("repo")) {
    const fill = filler(field("repo"), field("ref"), field("path"), locate);
    field("repo").addEventListener("change", fill);
    field("repo").addEventListener("paste", () => setTimeout(fill));
  }
  field("prepared")?.addEventListener("change", () => showFree(area));
  showFree(area);
  // On the way down, before the hub's own listener, which would turn the button into a spinner for good.
  document.addEventListener(
    "submit",
    async (event) => {
      if (event.target !== form || passing || isLeftOut(field)) {
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
      if (parts.button?.disabled) {
        return;
      }
      passing = await build(area.dataset, field, parts);
      if (passing) {
        form.requestSubmit();
        passing = false;
      }
    },
    true,
  );
}

/** Whether nothing is picked and no repository is named, which the browser forbids where there is nothing else to start. */
function isLeftOut(field) {
  return !field("prepared")?.value && !field("repo")?.required && !field("repo")?.value.trim();
}

/** Have fields for a repository only where no prepared environment is picked. */
function showFree(area) {
  const isPicked = Boolean(area.querySelector("#binder-prepared")?.value);
  for (const part of area.querySelectorAll("[data-binder=free]")) {
    part.hidden = isPicked;
    part.querySelector("input").disabled = isPicked;
  }
}

/** Resolve to whether the form may be submitted now. */
function build(place, field, parts) {
  parts.error.hidden = true;
  field("repo")?.removeAttribute("aria-invalid");
  return whileBusy(parts, async () => {
    try {
      return await asPerson(place, async (client) => {
        const request = await takeApart(client, field);
        return Boolean(await askAndFollow(client, request, parts.build, parts.error));
      });
    } catch (problem) {
      if (!(problem instanceof ServiceError)) {
        throw problem;
      }
      showError(parts.error, problem);
      return false;
    }
  });
}

/** Resolve to what is to be built, with the fields filled in; what a provider of one's choice calls a repository is its own affair. */
async function takeApart(client, field) {
  if (field("prepared")?.value) {
    return { repo: field("prepared").value, provider: "prepared" };
  }
  const [repo, ref, path, provider] = ["repo", "ref", "path", "provider"].map((name) => field(name)?.value.trim() ?? "");
  if (provider) {
    return { repo, ref, provider };
  }
  try {
    const found = await client.locate({ repo, ref, path });
    for (const [name, value] of Object.entries(found)) {
      Object.assign(field(name), { value });
    }
    return { repo: found.repo, ref: found.ref };
  } catch (problem) {
    field("repo").setAttribute("aria-invalid", "true");
    field("repo").focus();
    throw problem;
  }
}

/** Do `work` with a client that asks as the person who is signed in, for as long as that takes. */
async function asPerson({ service, hub, user }, work) {
  const tokens = new Tokens(hub, window.jhdata?.user || user);
  try {
    const token = await tokens.mint(service);
    return await work(new Client(service, { Authorization: `token ${token}` }));
  } finally {
    tokens.revoke();
  }
}

/** Disable the button while `work` goes on. */
async function whileBusy({ button }, work) {
  const label = button?.textContent;
  if (button) {
    Object.assign(button, { disabled: true, textContent: "Building…" });
  }
  try {
    return await work();
  } finally {
    if (button) {
      Object.assign(button, { disabled: false, textContent: label });
    }
  }
}

/** A token of the signed-in person that can ask for builds, and nothing else. */
class Tokens {
  #address;
  #headers = { "Content-Type": "application/json", "X-XSRFToken": window.jhdata?.xsrf_token };
  #id = null;

  constructor(hub, user) {
    this.#address = `${hub}api/users/${encodeURIComponent(user)}/tokens`;
  }

  async mint(service) {
    const name = service.split("/").filter(Boolean).pop();
    const body = { note: "building a repository", expires_in: TOKEN_SECONDS, scopes: [`access:services!service=${name}`, "custom:binder:build"] };
    const response = await this.#send("POST", this.#address, { body: JSON.stringify(body) });
    if (!response.ok) {
      throw await errorFrom(response);
    }
    const { id, token } = await response.json();
    this.#id = id;
    return token;
  }

  /** Give the token back; nothing waits for that, and it ends by itself in any case. */
  revoke() {
    if (this.#id) {
      this.#send("DELETE", `${this.#address}/${encodeURIComponent(this.#id)}`, { keepalive: true }).catch(() => {});
    }
  }

  async #send(method, address, options) {
    const query = new URLSearchParams({ _xsrf: window.jhdata?.xsrf_token ?? "" });
    try {
      return await fetch(`${address}?${query}`, { method, headers: this.#headers, ...options });
    } catch {
      throw new ServiceError({ message: "The hub could not be reached.", code: "unreachable", hint: "Check your connection, and try again." });
    }
  }
}

/** Return the place for `name` in the form, made if there is none. */
function part(area, name) {
  const found = area.querySelector(`#binder-${name}`);
  if (found) {
    return found;
  }
  const made = document.createElement("div");
  made.hidden = true;
  area.append(made);
  return made;
}

function addStyle() {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("style.css", import.meta.url);
  document.head.append(link);
}

const area = globalThis.document?.getElementById("binder-form");
if (area) {
  setUp(area);
}
