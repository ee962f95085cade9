// Fields for a repository, a ref and a path, of which a pasted address fills in the other two. The service knows what an address means.

import { ServiceError } from "./client.js";

const PARTS_OF_A_PAGE = 4; // host, owner, repository, and what kind of page it is

/**
 * Return what fills in `ref` and `path` from the address in `repo`; what an earlier address filled in goes with that address.
 * `locate({repo, ref, path})` asks the service.
 */
export function filler(repo, ref, path, locate) {
  let last = repo.value;
  const filled = new Map([ref, path].map((other) => [other, other.value]));
  return async () => {
    const pasted = repo.value;
    if (pasted !== last) {
      for (const [other, value] of filled) {
        other.value = other.value === value ? "" : other.value;
      }
      last = pasted;
    }
    if (pasted.split("/").filter(Boolean).length < PARTS_OF_A_PAGE) {
      return;
    }
    const found = await asked(locate, { repo: pasted, ref: ref.value, path: path.value });
    if (found && repo.value === pasted) {
      fillFields(repo, ref, path, filled, found);
      last = repo.value;
    }
  };
}

/** Resolve to what the service answers; to nothing where it refuses, which is said on submit: until then the person may still be typing. */
async function asked(locate, pasted) {
  try {
    return await locate(pasted);
  } catch (problem) {
    if (!(problem instanceof ServiceError)) {
      throw problem;
    }
    return null;
  }
}

function fillFields(repo, ref, path, filled, found) {
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
