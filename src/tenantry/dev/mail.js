const MESSAGES = "/dev/mail/messages";
const find = (id) => document.getElementById(id);
let shown = null;
let listed = "";

async function read(path) {
  const answer = await fetch(path);
  const { success, message, data } = await answer.json();
  if (!success) throw new Error(message);
  return data;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

/** Text in which addresses are links. */
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]+)/).map((part, index) => {
    if (index % 2 === 0) return part;
    const link = element("a", part);
    Object.assign(link, { href: part, target: "_blank", rel: "noreferrer" });
    return link;
  });
}

async function open(mail) {
  const { headers, text } = await read(`${MESSAGES}/${mail.key}`);
  shown = mail.key;
  mark();
  find("subject").textContent = mail.subject;
  find("html").src = `${MESSAGES}/${mail.key}/html`;
  find("text").replaceChildren(...linked(text));
  find("headers").replaceChildren(
    ...headers.flatMap(([name, value]) => [element("dt", name), element("dd", value)]),
  );
  find("mail").hidden = false;
}

function mark() {
  for (const button of find("list").querySelectorAll("button")) {
    button.toggleAttribute("aria-current", button.dataset.key === shown);
  }
}

function item(mail) {
  const button = document.createElement("button");
  button.dataset.key = mail.key;
  const time = element("time", new Date(mail.date).toLocaleString());
  time.dateTime = mail.date;
  button.append(element("strong", mail.subject), element("span", mail.to), time);
  button.addEventListener("click", async () => {
    await trying(() => open(mail));
    find("subject").focus();
  });
  const line = document.createElement("li");
  line.append(button);
  return line;
}

async function reload() {
  const mails = await read(MESSAGES);
  const keys = mails.map((mail) => mail.key).join();
  if (keys === listed) return;
  listed = keys;
  find("list").replaceChildren(...mails.map(item));
  mark();
  if (shown === null) await open(mails[0]);
}

/** What goes wrong is shown. */
async function trying(act) {
  try {
    await act();
    find("error").textContent = "";
  } catch (problem) {
    find("error").textContent = `${problem.message}. Is the server running?`;
  }
}

find("reload").addEventListener("click", () => trying(reload));
// Whoever comes back has made something happen elsewhere.
addEventListener("focus", () => trying(reload));
trying(reload);
