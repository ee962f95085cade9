// Fields for a repository, a ref and a path, of which a pasted address fills in the other two.

import { AddressError, understand } from "./address.js";

/** Return what fills in `ref` and `path` from the address in `repo`; what an earlier address filled in goes with that address. */
export function filler(repo, ref, path) {
  let last = repo.value;
  const filled = new Map([ref, path].map((other) => [other, other.value]));
  return () => {
    if (repo.value !== last) {
      for (const [other, value] of filled) {
        other.value = other.value === value ? "" : other.value;
      }
    }
    fillFields(repo, ref, path, filled);
    last = repo.value;
  };
}

function fillFields(repo, ref, path, filled) {
  let found;
  try {
    found = understand(repo.value, ref.value, path.value);
  } catch (problem) {
    if (!(problem instanceof AddressError)) {
      throw problem;
    }
    return; // said on submit; until then the person may still be typing
  }
  if (found.ref !== ref.value || found.path !== path.value) {
    Object.assign(repo, { value: found.repo });
  }
  for (const [other, value] of [
    [ref, found.ref],
    [path, found.path],
  ]) {
    if (!other.value && value) {
      other.value = value;
      filled.set(other, value);
    }
  }
}
