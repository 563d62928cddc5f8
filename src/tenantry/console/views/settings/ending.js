/** Handing the organisation over, leaving it, and deleting it. */

import { api } from "../../api.js";
import { ask, openDialog } from "../../dialog.js";
import { fill, h } from "../../dom.js";
import { date } from "../../format.js";
import { field } from "../../form.js";
import { button, card, copyable } from "../../parts.js";
import { Problem } from "../../problem.js";
import { session } from "../../session.js";
import { complain, toast } from "../../toast.js";
import { currentPassword } from "../account/profile.js";

class EndingCard extends HTMLElement {
  connectedCallback() {
    const { name } = session.organisation;
    const owner = session.can("organisation:own");
    fill(
      this,
      card(
        owner ? "Ownership and deletion" : "Leaving",
        {},
        h(
          "ul",
          { class: "list" },
          owner && line("Hand it over", "Another member becomes the owner, and you an admin.", button("Hand over", handOver, { kind: "plain", name: `Hand ${name} over` })),
          line("Leave", `You lose access to ${name} at once, on all your devices.`, button("Leave", leave, { kind: "plain bad", name: `Leave ${name}` })),
          owner && line("Delete", "It closes for everybody at once, and is erased after 30 days.", button("Delete", erase, { kind: "plain bad", name: `Delete ${name}` })),
        ),
      ),
    );
  }
}

const line = (title, text, act) =>
  h("li", {}, h("div", { class: "what" }, h("strong", {}, title), h("span", { class: "fine" }, text)), h("div", { class: "acts" }, act));

async function handOver({ currentTarget: pressed }) {
  const { name } = session.organisation;
  let heirs;
  try {
    heirs = (await api.get("users")).filter(({ id }) => id !== session.me.id);
  } catch (error) {
    return complain(error, "The members could not be loaded");
  }
  if (!pressed.isConnected) return;
  if (!heirs.length)
    return openDialog(
      "There is nobody yet",
      h("div", { class: "stack" }, h("p", {}, `You are the only member of ${name}. Invite whoever is to have it, then come back.`), h("div", { class: "row" }, h("a", { class: "button", href: "/console/members" }, "Open the members"))),
    );
  const names = new Map(heirs.map(({ id, name: who, email }) => [id, `${who} (${email})`]));
  const done = await ask({
    title: `Hand ${name} over?`,
    text: "They can do everything from then on, and delete it too. You stay on as an admin; only they can make you an owner again.",
    fields: [field("New owner", { name: "userId", options: [["", "Choose a member"], ...names], required: true, wrong: "Choose who is to have it." }), currentPassword()],
    action: "Hand it over",
    busy: "Handing over …",
    danger: true,
    act: (values) => api.post("organisations/transfer-ownership", values),
  });
  if (!done) return;
  toast("The organisation has a new owner, and you are an admin.", { kind: "good" });
  await session.reload();
}

function leave() {
  const { name } = session.organisation;
  const only = session.me.memberships.length === 1;
  return ask({
    title: `Leave ${name}?`,
    text: only
      ? "It is the only organisation that you are in, so your account is closed as well. To come back you need an invite, and begin anew."
      : "You lose access at once, on all your devices. To come back you need an invite.",
    action: "Leave",
    busy: "Leaving …",
    danger: true,
    act: () => session.depart(() => api.post("organisations/leave"), only ? `You have left ${name}, and your account is closed.` : `You have left ${name}.`),
  });
}

function erase() {
  const { name } = session.organisation;
  return ask({
    title: `Delete ${name}?`,
    text: "It closes for everybody at once. For 30 days you can restore it, with everybody and everything in it, by a link that is made for you. Then it is erased for good.",
    fields: [
      field("Name of the organisation", { name: "name", autocomplete: "off", required: true, hint: `Type “${name}”, so that it is not another one.`, wrong: `Type “${name}”.` }),
      currentPassword(),
    ],
    action: "Delete the organisation",
    busy: "Deleting …",
    danger: true,
    act: async ({ name: typed, password }) => {
      if (typed.trim() !== name.trim()) throw new Problem("", { fields: [{ field: "name", message: `This is not “${name}”` }] });
      const notice = `${name} has been deleted.`;
      await session.depart(async () => restorable(name, await api.delete("organisations", { password })), notice);
    },
  });
}

/** Where the server sends no mail, the link is shown, this once. */
function restorable(name, { token, restorableUntil }) {
  const until = `Until ${date(restorableUntil)} ${name} can be restored, with everybody and everything in it.`;
  openDialog(
    `${name} has been deleted`,
    h(
      "div",
      { class: "stack" },
      h("p", {}, until),
      token
        ? [h("p", { class: "soft" }, "This server sends no mail, so keep the link that restores it. It is shown only now."), copyable(`${location.origin}/account/restore-organisation#token=${token}`, "the link that restores it")]
        : h("p", { class: "soft" }, "The link that restores it is in your mail."),
    ),
    { once: true },
  );
}

customElements.define("ending-card", EndingCard);
