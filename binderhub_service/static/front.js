// The front page: a pasted address fills the other fields, and what was made can be copied.

import { Client, ServiceError } from "./client.js";
import { filler } from "./fill.js";

const form = document.getElementById("binder-link");
const field = (name) => form.elements.namedItem(name);
const client = new Client(form.getAttribute("action"), { "X-XSRFToken": window.jhdata.xsrf_token });
const fillFromAddress = filler(field("repo"), field("ref"), field("path"), (pasted) => client.locate(pasted));

field("provider").addEventListener("change", describe);
field("repo").addEventListener("change", fill);
field("repo").addEventListener("paste", () => setTimeout(fill));
document.querySelectorAll("[data-binder=copy]").forEach((button) => button.addEventListener("click", copy));
document.getElementById("binder-files")?.addEventListener("submit", send);
describe();

/** Send a file or a text, and go to the page that launches it. */
async function send(event) {
  event.preventDefault();
  const files = event.currentTarget;
  const [button, problem] = [files.querySelector("button"), files.querySelector("[role=alert]")];
  const file = files.elements.namedItem("upload")?.files[0];
  const text = files.elements.namedItem("dockerfile")?.value.trim();
  problem.hidden = true;
  if (!file && !text) {
    return;
  }
  button.disabled = true;
  try {
    const { sha256 } = await client.send(file ?? `${text}\n`);
    window.location.assign(`${client.service}v2/${file ? "upload" : "dockerfile"}/${sha256}`);
  } catch (error) {
    if (!(error instanceof ServiceError)) {
      throw error;
    }
    problem.textContent = `${error.message} ${error.hint ?? ""}`;
    problem.hidden = false;
  }
  button.disabled = false;
}

/** Say what the chosen place wants to know. */
function describe() {
  const { label, placeholder } = field("provider").selectedOptions[0].dataset;
  form.querySelector("label[for=binder-repo]").textContent = label;
  field("repo").placeholder = placeholder;
}

/** Take a pasted address apart: branch and file go into their own fields; the server says what is wrong with others. */
function fill() {
  if (field("repo").value.includes("://")) {
    fillFromAddress();
  }
}

async function copy(event) {
  const button = event.currentTarget;
  const text = button.parentElement.querySelector("pre");
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(text);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
