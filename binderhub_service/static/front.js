// The front page: a pasted address fills the other fields, and what was made can be copied.

import { AddressError, understand } from "./address.js";

const form = document.getElementById("binder-link");
const field = (name) => form.elements.namedItem(name);

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
  if (!field("repo").value.includes("://")) {
    return;
  }
  try {
    const { repo, ref, path } = understand(field("repo").value, field("ref").value, field("path").value);
    Object.assign(field("repo"), { value: repo });
    Object.assign(field("ref"), { value: ref });
    Object.assign(field("path"), { value: path });
  } catch (problem) {
    if (!(problem instanceof AddressError)) {
      throw problem;
    }
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
