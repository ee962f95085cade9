// Buttons that run a repository's code are pressed on purpose: not by a key that was held since the page before, nor by a double click.

const PRESSING = new Set(["Enter", " "]);

/** Ignore in `form` the keys that repeat, but for blanks in a text, and the further clicks of a double click. */
export function onlyDeliberate(form) {
  form.addEventListener(
    "keydown",
    (event) => {
      if (event.repeat && PRESSING.has(event.key) && !(event.key === " " && isText(event.target))) {
        event.preventDefault();
      }
    },
    true,
  );
  form.addEventListener(
    "click",
    (event) => {
      if (event.detail > 1 && event.target.closest("[type=submit]")) {
        event.preventDefault();
        event.stopImmediatePropagation();
      }
    },
    true,
  );
}

function isText(element) {
  return element.matches("input:not([type=checkbox], [type=radio], [type=submit], [type=button])");
}
