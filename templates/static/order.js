// Articles of a draft, put in order by dragging. Buttons do the same without this script, and by
// keyboard; what is dropped is sent like the press of a button.

const form = document.getElementById("draft");
const list = form.querySelector("ol.works");
let held = null;

function ids() {
  return [...list.children].map((item) => item.dataset.id).join(",");
}

function put(event) {
  event.preventDefault();
  const over = event.target.closest("li");
  if (!held || !over || over === held || over.parentNode !== list) return;
  const box = over.getBoundingClientRect();
  const below = event.clientY > box.top + box.height / 2;
  list.insertBefore(held, below ? over.nextSibling : over);
}

function send() {
  const verb = document.createElement("input");
  verb.type = "hidden";
  verb.name = "do";
  verb.value = "order";
  form.append(verb);
  form.elements.order.value = ids();
  form.submit();
}

if (list) {
  const first = ids();
  list.classList.add("draggable");
  for (const item of list.children) {
    item.draggable = true;
    item.addEventListener("dragstart", (event) => {
      held = item;
      event.dataTransfer.effectAllowed = "move";
      item.classList.add("held");
    });
    item.addEventListener("dragend", () => {
      item.classList.remove("held");
      held = null;
      if (ids() !== first) send();
    });
  }
  list.addEventListener("dragover", put);
  list.addEventListener("drop", (event) => event.preventDefault());
}
