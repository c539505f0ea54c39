/* While a flood is on, a form carries a puzzle (ALTCHA): a number is to be found by trying. It is
   looked for when somebody begins to fill the form in, and is mostly there before they are done.
   Where it can't be (no crypto.subtle, as on plain http), the form is sent without. A form that was
   shown before the flood is answered with a puzzle, which is solved at once. */

globalThis.newsletterPuzzle ||= (() => {
  "use strict";

  const AT_ONCE = 1000;
  const begun = new WeakMap();

  async function found({ salt, challenge, maxNumber }) {
    const text = new TextEncoder();
    const wanted = parseInt(challenge.slice(0, 12), 16);
    const fits = (hash) => new DataView(hash).getUint32(0) * 65536 + new DataView(hash).getUint16(4) === wanted;
    for (let from = 0; from <= maxNumber; from += AT_ONCE) {
      const tries = Array.from({ length: AT_ONCE }, (_, n) =>
        crypto.subtle.digest("SHA-256", text.encode(salt + (from + n))));
      const at = (await Promise.all(tries)).findIndex(fits);
      if (at >= 0) return from + at;
      await new Promise((next) => setTimeout(next)); // whoever types comes first
    }
  }

  async function fill(input) {
    const puzzle = JSON.parse(input.dataset.puzzle);
    const number = await found(puzzle);
    input.value = btoa(JSON.stringify({ ...puzzle, number }));
  }

  /* Kept when the form's puzzle is solved, or can't be. */
  function solve(form) {
    const input = form.querySelector("[data-puzzle]");
    if (!input) return Promise.resolve();
    if (!begun.has(input)) begun.set(input, fill(input).catch(() => {}));
    return begun.get(input);
  }

  function watch(form) {
    form.addEventListener("focusin", () => solve(form), { once: true });
  }

  /* The hosted form: it waits for its solution, and says so. */
  for (const form of document.querySelectorAll("form")) {
    const input = form.querySelector("[data-puzzle]");
    if (!input) continue;
    if ("atOnce" in form.dataset) {
      prove(form, () => form.submit());
      continue;
    }
    watch(form);
    form.addEventListener("submit", (event) => {
      if (input.value || form.dataset.sent) return;
      event.preventDefault();
      wait(form);
      solve(form).then(() => {
        form.dataset.sent = "yes";
        form.requestSubmit();
      });
    });
  }

  function wait(form) {
    const said = form.querySelector("[data-wait]");
    if (said) said.textContent = said.dataset.wait;
    form.querySelector("button")?.setAttribute("aria-disabled", "true");
  }

  async function prove(form, then) {
    wait(form);
    await solve(form);
    if (form.querySelector("[data-puzzle]").value) then();
    else form.remove();
  }

  return { solve, watch, wait, prove };
})();
