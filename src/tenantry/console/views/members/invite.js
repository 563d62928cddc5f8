/** Inviting: one address or several, and what became of each. */

import { api } from "../../api.js";
import { openDialog } from "../../dialog.js";
import { h } from "../../dom.js";
import { plural, sentence } from "../../format.js";
import { explain, field, form } from "../../form.js";
import { copyable } from "../../parts.js";
import { Problem } from "../../problem.js";
import { choices, given } from "../../roles.js";
import { complain, toast } from "../../toast.js";

const ADDRESS = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

export async function invite({ currentTarget: pressed }) {
  const roles = await choices().catch((error) => complain(error, "The roles could not be loaded"));
  if (!roles || !pressed.isConnected) return;
  const links = [];
  const body = form({
    fields: [
      field("Email addresses", { name: "emails", rows: 2, required: true, hint: "One, or several with commas or on lines of their own.", wrong: "Enter an address, such as grace@example.com." }),
      field("Role", { name: "role", options: roles, value: "MEMBER" }),
    ],
    action: "Send invites",
    busy: "Sending …",
    onsubmit: async ({ emails, role }, element) => {
      const outcomes = await send(addresses(emails), role);
      const refused = outcomes.filter(({ error }) => error);
      const sent = outcomes.map((outcome) => outcome.invite).filter(Boolean);
      links.push(...sent.filter(({ token }) => token));
      if (!dialog.open) return tell(links, refused); // the page has gone on meanwhile
      if (sent.length && !links.length) toast(`${plural(sent.length, "invite")} sent.`, { kind: "good" });
      if (refused.length) {
        element.elements.emails.value = refused.map(({ email }) => email).join("\n");
        explain(element, wrong(reasons(refused)));
      } else {
        dialog.close();
      }
    },
  });
  const dialog = openDialog("Invite people", body, { onclose: () => links.length && handOver(links) });
}

const reasons = (refused) => refused.map(({ email, error }) => `“${email}”: ${sentence(error.message)}`).join(" ");

function tell(links, refused) {
  if (links.length) handOver(links);
  if (refused.length) toast(reasons(refused), { kind: "bad", title: "Not invited" });
}

const wrong = (message) => new Problem("", { fields: [{ field: "emails", message }] });

function addresses(text) {
  const found = text.split(/[\s,;]+/).filter(Boolean);
  const odd = found.find((each) => !ADDRESS.test(each));
  if (odd) throw wrong(`“${odd}” is not an email address.`);
  return found;
}

async function send(emails, role) {
  try {
    return await api.post("users/invites", { emails, ...given(role) });
  } catch (problem) {
    // Which of the addresses it is, the sentence says.
    for (const each of problem.fields ?? []) if (each.field.startsWith("emails")) each.field = "emails";
    throw problem;
  }
}

/** Where the server sends no mail, whoever invites hands the links over. */
export function handOver(invites) {
  const link = ({ token }) => `${location.origin}/account/accept-invite#token=${token}`;
  openDialog(
    invites.length > 1 ? "Hand over the links" : "Hand over the link",
    h(
      "div",
      { class: "stack" },
      h("p", { class: "soft" }, "The link to join is yours to give. It is shown only now, and works once, for 24 hours."),
      invites.map((each) => h("div", {}, h("p", { class: "strong" }, each.email), copyable(link(each), `the link of ${each.email}`))),
    ),
    { once: true },
  );
}
