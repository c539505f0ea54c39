// How long work goes, while it goes: each second the server says how far it is.
// Without this script the page loads itself anew.

for (const place of document.querySelectorAll("[data-progress]")) {
  const bar = place.querySelector("progress");
  const said = place.querySelector("[data-said]");
  const events = new EventSource(place.dataset.progress);
  events.onmessage = (event) => {
    const now = JSON.parse(event.data);
    if (now.total) {
      bar.max = now.total;
      bar.value = now.done;
    }
    said.textContent = now.said;
    if (now.state !== place.dataset.state) {
      events.close();
      location.reload(); // other buttons, other words
    }
  };
}
