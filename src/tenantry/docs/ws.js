import { EventStream } from "/api/realtime/client.js";

const MOST_LINES = 500;
const find = (id) => document.getElementById(id);
let stream = null;

/** One request; gives the data, or throws what the server says. */
async function call(path, body, token) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  });
  const { success, message, data } = await answer.json();
  if (!success) throw new Error(message);
  return data;
}

/** Runs on submit; what goes wrong is shown beside the form. */
function onSubmit(form, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const error = find(`${form.id}-error`);
    error.textContent = "";
    try {
      await act(Object.fromEntries(new FormData(form)));
    } catch (problem) {
      error.textContent = problem.message;
    }
  });
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function log(type, seq, detail) {
  const line = document.createElement("li");
  line.append(
    element("time", new Date().toLocaleTimeString()),
    " ",
    element("span", seq ? `#${seq}` : "", "seq"),
    " ",
    element("strong", type),
    element("pre", detail),
  );
  find("log").prepend(line);
  while (find("log").children.length > MOST_LINES) find("log").lastChild.remove();
}

function show(state) {
  const indicator = find("state");
  indicator.dataset.name = state.name;
  indicator.toggleAttribute("data-final", Boolean(state.final));
  const why = [state.code, state.reason].filter(Boolean).join(": ");
  indicator.textContent = {
    connecting: () => "Connecting …",
    open: () => "Connected.",
    waiting: () => `Connecting again in ${(state.delay / 1000).toFixed(1)} s (${why})`,
    closed: () => `Closed (${why})`,
  }[state.name]();
  enable();
  find("disconnect").disabled = state.name === "closed";
  find("drop").disabled = state.name !== "open";
  if (state.name !== "connecting") log(`— ${indicator.textContent}`, null, "");
  showSeq();
}

/** One can connect with a token, when one is not. */
function enable() {
  const closed = !stream || stream.state.name === "closed";
  find("connect").disabled = !closed || find("token").value.trim() === "";
}

function showSeq() {
  find("seq").textContent = stream?.seq ?? "–";
}

onSubmit(find("sign-in"), async (form) => {
  find("token").value = (await call("/api/auth/login", form)).accessToken;
  enable();
  find("connect").focus();
});

onSubmit(find("broadcast"), async (form) => {
  await call("/api/organisations/broadcast", form, find("token").value.trim());
  find("broadcast").reset();
});

find("connect").addEventListener("click", () => {
  const after = find("after").value;
  stream = new EventStream({
    token: () => find("token").value.trim(),
    after: after === "" ? null : Number(after),
  });
  stream.addEventListener("state", ({ detail }) => show(detail));
  stream.addEventListener("event", ({ detail }) => {
    log(detail.type, detail.seq, JSON.stringify(detail.payload, null, 2));
    showSeq();
  });
  stream.addEventListener("resync", ({ detail }) => {
    log("RESYNC", detail.seq, "Too much was missed: an application reads its state anew here.");
    showSeq();
  });
  stream.connect();
});
find("disconnect").addEventListener("click", () => stream.close());
find("drop").addEventListener("click", () => stream.drop());
find("token").addEventListener("input", enable);
find("clear").addEventListener("click", () => find("log").replaceChildren());
