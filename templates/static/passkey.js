/* Passkeys: one button of a page asks us what to do (data-ask), lets the browser do it, and sends
   what came of it (data-answer). Where browsers can't, the button stays hidden. */

const part = document.querySelector("[data-passkey]");
const can = window.PublicKeyCredential?.parseRequestOptionsFromJSON;

if (part && can) {
  part.hidden = false;
  part.querySelector("button").addEventListener("click", () => pressed(part));
}

async function pressed(part) {
  const { passkey, ask, answer } = part.dataset;
  const fault = part.querySelector("[role=alert]");
  fault.textContent = "";
  try {
    const asked = await post(ask);
    const made = await (passkey === "create" ? create(asked) : get(asked));
    const { to } = await post(answer, made.toJSON());
    window.location.assign(to);
  } catch (error) {
    // What the browser itself raises (somebody changed their mind, no passkey) is not for people.
    fault.textContent = error instanceof Refused ? error.message : part.dataset.fault;
  }
}

function create(asked) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(asked);
  return navigator.credentials.create({ publicKey });
}

function get(asked) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(asked);
  return navigator.credentials.get({ publicKey });
}

class Refused extends Error {}

async function post(url, body = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify(body),
    redirect: "error",
  });
  const said = await response.json();
  if (!response.ok) {
    throw new Refused(said.error ?? Object.values(said.errors)[0]);
  }
  return said;
}
