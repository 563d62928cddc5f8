/** What the organisation is called. */

import { api } from "../../api.js";
import { fill, h } from "../../dom.js";
import { date } from "../../format.js";
import { field, form } from "../../form.js";
import { card } from "../../parts.js";
import { session } from "../../session.js";
import { toast } from "../../toast.js";
import { View } from "../../view.js";

class NamesCard extends View {
  static types = new Set(["ORGANISATION_CHANGED"]);
  lines = 3;
  #form = form({
    fields: h(
      "div",
      { class: "pair" },
      field("Name", { name: "name", autocomplete: "organization", required: true, minlength: 2, maxlength: 200, wrong: "Enter a name of 2 characters or more." }),
      field("Slug", {
        name: "slug",
        autocapitalize: "none",
        spellcheck: "false",
        required: true,
        minlength: 2,
        maxlength: 48,
        pattern: "[a-z0-9]+(-[a-z0-9]+)*",
        hint: "For addresses. No other organisation has the same.",
        wrong: "Enter lower-case words of letters and digits, joined by hyphens.",
      }),
    ),
    action: "Save",
    busy: "Saving …",
    onsubmit: (values) => this.#save(values),
  });
  #facts = h("dl", { class: "facts-list" });

  build() {
    return [card("Organisation", {}, session.can("organisation:update") ? this.#form : this.#facts)];
  }

  load(signal) {
    return api.get("organisations", {}, { signal });
  }

  show(organisation) {
    const fact = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
    fill(this.#facts, fact("Name", organisation.name), fact("Slug", organisation.slug), fact("Founded", date(organisation.createdAt)));
    for (const name of ["name", "slug"]) {
      const input = this.#form.elements[name];
      const untouched = input.value === input.defaultValue; // else somebody is typing
      input.defaultValue = organisation[name];
      if (untouched) input.value = organisation[name];
    }
  }

  /** Only what was changed here, as somebody else may have changed the other. */
  async #save(values) {
    const { elements } = this.#form;
    const changes = Object.entries(values).filter(([name, value]) => value !== elements[name].defaultValue);
    if (changes.length) {
      const changed = await api.patch("organisations", Object.fromEntries(changes));
      for (const name of ["name", "slug"]) elements[name].value = elements[name].defaultValue = changed[name];
      await session.reload();
    }
    toast(changes.length ? "The settings are saved." : "Nothing has been changed.", { kind: "good" });
  }
}

customElements.define("names-card", NamesCard);
