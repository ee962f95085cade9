import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { AddressError, understand } from "../../binderhub_service/static/address.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/addresses.json", import.meta.url), "utf8"));

for (const { pasted, typed = { ref: "", path: "" }, repo, ref, path } of vectors.understood) {
  test(`${JSON.stringify(pasted)} with ${JSON.stringify(typed)} is understood as the spawner does`, () => {
    assert.deepEqual(understand(pasted, typed.ref, typed.path), { repo, ref, path });
  });
}

for (const pasted of vectors.refused_for_credentials) {
  test(`the credential in ${pasted} is refused and not repeated`, () => {
    assert.throws(() => understand(pasted), (error) => {
      assert.ok(error instanceof AddressError);
      assert.match(error.message, /token or a password/);
      return !`${error.message}${error.hint}`.includes("sekret");
    });
  });
}

for (const pasted of vectors.refused) {
  test(`${JSON.stringify(pasted)} names no repository`, () => {
    assert.throws(() => understand(pasted), AddressError);
  });
}

test("a broken percent-escape in an address is taken as it stands", () => {
  assert.equal(understand("https://github.com/o/r/tree/100%").ref, "100%");
});
