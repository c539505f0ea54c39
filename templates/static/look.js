// The preview follows what is typed. Without this script its button shows it.

const form = document.getElementById("draft");
const show = form.querySelector("button[formtarget]");
let frame = document.querySelector("iframe[name=look]");
let waiting = 0;
let shown = 0;

// Each preview comes into a frame of its own, so that none is a step of the way back, and the one
// before stays until it is there. A frame keeps its name for ever, so each has another.
function look() {
  const old = frame;
  shown += 1;
  frame = old.cloneNode();
  frame.removeAttribute("src");
  frame.name = show.formTarget = `look-${shown}`;
  old.after(frame);
  frame.addEventListener("load", () => {
    if (frame.name === show.formTarget) old.remove();
  });
  form.requestSubmit(show);
}

form.addEventListener("input", (event) => {
  if (event.target.closest(".writing") === null) return;
  clearTimeout(waiting);
  waiting = setTimeout(look, 400);
});

// Whoever goes elsewhere is asked whether to drop what they typed.
const typed = () => [...form.querySelectorAll("textarea")].some((area) => area.value !== area.defaultValue);
let sending = false;
form.addEventListener("submit", (event) => {
  sending = !event.submitter?.formTarget;
});
window.addEventListener("beforeunload", (event) => {
  if (typed() && !sending) event.preventDefault();
});
