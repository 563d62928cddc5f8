/** Name, address and password. */

import { api } from "../../api.js";
import { ask } from "../../dialog.js";
import { fill, h } from "../../dom.js";
import { field, form, newPassword } from "../../form.js";
import { badge, button, card } from "../../parts.js";
import { understood } from "../../problem.js";
import { session } from "../../session.js";
import { toast } from "../../toast.js";

/** With the address beside it, by which a password manager knows which it is. */
export const currentPassword = (name = "password") => [
  h("input", { type: "email", autocomplete: "username", value: session.me.email, hidden: true }),
  field(name === "password" ? "Your password" : "Your present password", { name, type: "password", autocomplete: "current-password", required: true, wrong: "Enter your password." }),
];

class ProfileCard extends HTMLElement {
  #address = h("div", { class: "what" });

  connectedCallback() {
    const name = form({
      class: "inline",
      fields: [field("Name", { name: "name", value: session.me.name, autocomplete: "name", required: true, minlength: 2, maxlength: 200, wrong: "Enter a name of 2 characters or more." })],
      action: "Save",
      busy: "Saving …",
      kind: "quiet",
      onsubmit: async (values) => {
        await api.patch("auth/me", values);
        await session.reload();
        toast("Your name is changed.", { kind: "good" });
      },
    });
    fill(
      this,
      card(
        "Profile",
        {},
        name,
        h(
          "ul",
          { class: "list" },
          h("li", {}, this.#address, h("div", { class: "acts" }, button("Change", changeAddress, { kind: "plain", name: "Change the address" }))),
          h(
            "li",
            {},
            h("div", { class: "what" }, h("strong", {}, "Password"), h("span", { class: "fine" }, "A change signs out your other devices.")),
            h("div", { class: "acts" }, button("Change", changePassword, { kind: "plain", name: "Change the password" })),
          ),
        ),
      ),
    );
    this.#show();
  }

  #show() {
    const { email, emailVerified } = session.me;
    fill(
      this.#address,
      h("div", { class: "row" }, h("strong", {}, email), emailVerified ? badge("Confirmed", "good") : badge("Not confirmed", "warn")),
      emailVerified
        ? h("span", { class: "fine" }, "Where you sign in with, and get mail.")
        : h("span", { class: "fine" }, "A link is in your mailbox. ", button("Send it again", resend, { kind: "plain link" })),
    );
  }
}

async function resend() {
  try {
    await api.post("auth/verify-email/resend");
    toast("Look into your mail: a new link is on its way.", { kind: "good" });
  } catch (error) {
    toast(understood(error).message, { kind: "bad", title: "No mail was sent" });
  }
}

async function changeAddress() {
  const done = await ask({
    title: "Change your address",
    text: "We mail a link to the new address. The change is made when you open it.",
    fields: [
      field("New address", { name: "email", type: "email", autocomplete: "email", required: true, maxlength: 254, wrong: "Enter an email address, such as ada@example.com." }),
      currentPassword(),
    ],
    action: "Mail me a link",
    busy: "Sending …",
    act: (values) => api.post("auth/change-email", values),
  });
  if (done) toast("Look into the mail at the new address, and open the link.", { kind: "good" });
}

async function changePassword() {
  const done = await ask({
    title: "Change your password",
    text: "You stay signed in here. Your other devices are signed out.",
    fields: [currentPassword("currentPassword"), newPassword("New password", "newPassword")],
    action: "Change the password",
    busy: "Changing …",
    act: (values) => api.post("auth/change-password", values),
  });
  if (!done) return;
  toast("Your password is changed.", { kind: "good" });
  document.querySelector("sessions-card")?.reload();
}

customElements.define("profile-card", ProfileCard);
