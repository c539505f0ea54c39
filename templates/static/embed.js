/* <newsletter-form newsletter="weekly" lang="en">what shows until it is there, or if it can't be</newsletter-form>

   The hosted form, inside somebody else's page. It is fetched as the page it is and moved, element
   by element, into a shadow root: no HTML is parsed from text and no style attribute is set, so
   that it works under a policy that forbids both. Whatever fails leaves the visitor with what stands
   between the tags, or sends the form the ordinary way. */

(() => {
  "use strict";

  const base = document.currentScript.src.replace(/\/embed\.js([?#].*)?$/, "");

  const parts = {
    form: "form", h1: "title", h2: "title", label: "label", legend: "label", button: "button",
    a: "link", ".hint": "hint", ".fault": "error", ".summary": "error",
    "input[type=email]": "input", "input[type=checkbox], input[type=radio]": "choice",
  };

  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { display: block; min-block-size: var(--newsletter-height, 24rem);
      --accent: var(--newsletter-accent, #1b4b82); --on-accent: var(--newsletter-on-accent, #fff);
      --warn: var(--newsletter-warn, #b3261e); --radius: var(--newsletter-radius, .5rem); }
    :host([hidden]) { display: none; }
    * { box-sizing: border-box; }
    h1, h2 { font-size: 1.3em; line-height: 1.25; margin: 0 0 .75em; }
    .summary h2 { font-size: 1em; margin-block-end: .5em; }
    p, ul, dl, blockquote { margin: 0 0 1em; }
    ul { padding-inline-start: 1.25em; }
    a { color: inherit; text-underline-offset: .2em; }
    .quiet, .hint, dt { font-size: .92em; opacity: .8; }
    .hint { margin-block-end: .4em; }
    .field { border: 0; margin: 0 0 1.25em; padding: 0; min-inline-size: 0; }
    .field > label:not(.choice), legend { display: block; padding: 0; margin-block-end: .3em; font-weight: 600; }
    input[type=email] { inline-size: 100%; min-block-size: 2.75rem; padding: .5em .75em; font: inherit;
      color: inherit; background: transparent; border: 1px solid; border-radius: var(--radius); }
    [dir=rtl] input[type=email] { text-align: right; }
    .choice { display: grid; grid-template-columns: auto 1fr; gap: .75em; align-items: start;
      min-block-size: 2.75rem; padding-block: .5em; cursor: pointer; }
    .choice input { inline-size: 1.5rem; block-size: 1.5rem; margin: .1rem 0 0; accent-color: var(--accent); }
    button { min-block-size: 2.75rem; padding: .5em 1.5em; font: inherit; font-weight: 600; cursor: pointer;
      color: var(--on-accent); background: var(--accent); border: 2px solid var(--accent);
      border-radius: var(--radius); }
    button[aria-disabled=true] { opacity: .6; cursor: progress; }
    :focus-visible { outline: 3px solid; outline-offset: 2px; }
    .faulty { padding-inline-start: .75em; border-inline-start: 4px solid var(--warn); }
    .fault { margin-block-end: .4em; }
    .summary { padding: .75em 1em; margin-block-end: 1.25em; border: 2px solid var(--warn);
      border-radius: var(--radius); }
    .trap { display: none; }
    .summary > :last-child { margin-block-end: 0; }
    details { margin-block: .5em; }
    summary { padding-block: .6em; cursor: pointer; }
    dd { margin: 0 0 .75em; }
    blockquote { margin-inline: 0; padding-inline-start: 1em; border-inline-start: 4px solid var(--accent); }
  `);

  customElements.define("newsletter-form", class extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) return;
      this.attachShadow({ mode: "open" });
      this.shadowRoot.adoptedStyleSheets = [sheet];
      this.shadowRoot.append(document.createElement("slot"));
      const query = new URLSearchParams({ newsletter: this.getAttribute("newsletter") || "" });
      if (this.lang) query.set("lang", this.lang);
      this.ask("GET", `${base}/subscribe?${query}`, null, (page) => page.status === 200 && this.show(page));
    }

    ask(method, url, body, then) {
      const request = new XMLHttpRequest();
      request.open(method, url);
      request.responseType = "document";
      request.onloadend = () => then(request);
      request.send(body);
    }

    /* The main part of a page in place of what was shown; whether there was one. */
    show(page) {
      const main = page.response && page.response.querySelector("main");
      if (!main) return false;
      this.prepare(main, page.response.documentElement);
      const shown = document.createElement("div");
      shown.lang = page.response.documentElement.lang;
      shown.dir = page.response.documentElement.dir;
      shown.append(...main.childNodes);
      this.shadowRoot.replaceChildren(shown);
      const form = this.shadowRoot.querySelector("form");
      if (form && "atOnce" in form.dataset) {
        newsletterPuzzle.prove(form, () => this.ask("POST", `${form.action}&inline=1`,
          new URLSearchParams(new FormData(form)), () => form.remove()));
      } else if (form) {
        newsletterPuzzle.watch(form);
        form.addEventListener("submit", (event) => this.send(event, form));
      }
      return true;
    }

    /* Links lead to where they led, headings take their place in this page, parts can be styled. */
    prepare(main) {
      for (const link of main.querySelectorAll("a[href]:not([href^='#'])")) {
        link.href = link.href;
        link.target = "_blank";
        link.rel = "noopener";
      }
      for (const form of main.querySelectorAll("form")) form.action = form.action;
      for (const found of main.querySelectorAll("[autofocus]")) found.autofocus = false;
      const level = Number(this.getAttribute("level")) || 2;
      for (const heading of main.querySelectorAll("h1, h2")) {
        heading.setAttribute("aria-level", level + Number(heading.localName[1]) - 1);
      }
      for (const [selector, part] of Object.entries(parts)) {
        for (const found of main.querySelectorAll(selector)) found.part.add(part);
      }
      for (const link of main.querySelectorAll("a[href^='#']")) {
        const id = link.getAttribute("href").slice(1);
        link.addEventListener("click", (event) => {
          event.preventDefault();
          const field = this.shadowRoot.getElementById(id);
          if (field) (field.matches("input") ? field : field.querySelector("input") || field).focus();
        });
      }
    }

    async send(event, form) {
      event.preventDefault();
      if (form.querySelector("button").getAttribute("aria-disabled") === "true") return;
      newsletterPuzzle.wait(form);
      await newsletterPuzzle.solve(form);
      const body = new URLSearchParams(new FormData(form));
      this.ask("POST", `${form.action}?inline=1`, body, (page) => {
        this.style.minBlockSize = `${this.offsetHeight}px`;
        if (page.status && this.show(page)) this.announce(page.status < 300);
        else form.submit();
      });
    }

    /* What became of it is read out: the focus goes to the heading or to the list of mistakes. */
    announce(done) {
      const said = this.shadowRoot.querySelector(".summary") || this.shadowRoot.querySelector("h1");
      if (!said) return;
      said.tabIndex = -1;
      said.focus();
      this.dispatchEvent(new CustomEvent(done ? "newsletter-asked" : "newsletter-refused",
        { bubbles: true, composed: true }));
    }
  });
})();
