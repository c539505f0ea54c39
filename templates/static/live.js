// How a digest goes, while it goes: numbers from the server each second, and the pace between them.
// Without this script the page loads itself anew.

const live = document.getElementById("live");
const pace = document.getElementById("pace");
const bar = live.querySelector("progress");
const names = ["sent", "waiting", "failed", "dropped"];
let before = null;

function shown(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function say(now) {
  for (const name of names) {
    live.querySelector(`[data-of="${name}"]`).textContent = now[name].toLocaleString(
      document.documentElement.lang,
    );
  }
  const all = names.reduce((sum, name) => sum + now[name], 0);
  bar.max = all || 1;
  bar.value = all - now.waiting;
  const at = performance.now();
  if (before && now.sent > before.sent) {
    const rate = ((now.sent - before.sent) * 1000) / (at - before.at);
    const minutes = Math.max(1, Math.ceil(now.waiting / rate / 60));
    pace.textContent =
      shown(live.dataset.rate, { rate: Math.round(rate) }) +
      (now.waiting ? " · " + shown(live.dataset.left, { minutes }) : "");
  }
  before = { sent: now.sent, at };
}

if (live.dataset.live) {
  const events = new EventSource(live.dataset.live);
  events.onmessage = (event) => {
    const now = JSON.parse(event.data);
    say(now);
    if (now.state !== live.dataset.state) {
      events.close();
      location.reload(); // other buttons, other words
    }
  };
}
