// The front page: a pasted address fills the other fields, and what was made can be copied.

import { Client } from "./client.js";
import { filler } from "./fill.js";

const form = document.getElementById("binder-link");
const field = (name) => form.elements.namedItem(name);
const client = new Client(form.getAttribute("action"), { "X-XSRFToken": window.jhdata.xsrf_token });
const fillFromAddress = filler(field("repo"), field("ref"), field("path"), (pasted) => client.locate(pasted));

field("provider").addEventListener("change", describe);
field("repo").addEventListener("change", fill);
field("repo").addEventListener("paste", () => setTimeout(fill));
document.querySelectorAll("[data-binder=copy]").forEach((button) => button.addEventListener("click", copy));
describe();

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
