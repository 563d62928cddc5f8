/** Roles to choose from, and as the API takes them. */

import { api } from "./api.js";
import { roleName } from "./format.js";
import { session } from "./session.js";

/**
 * What this person can make somebody, as [value, label]: nobody gives what they do not have.
 * `owner`: whether that can be an owner, which nobody is invited as.
 */
export async function choices({ owner = false } = {}) {
  const custom = await api.get("organisations/roles");
  return [
    ["MEMBER", "Member"],
    ...custom
      .filter(({ permissions }) => permissions.every((permission) => session.can(permission)))
      .map(({ id, name }) => [id, name]),
    ...(session.membership.role === "ADMIN" ? [["ADMIN", "Admin"]] : []),
    ...(owner && session.membership.owner ? [["OWNER", "Owner"]] : []),
  ];
}

/** What a choice is in a request. */
export const given = (choice) => (/^[A-Z]+$/.test(choice) ? { role: choice } : { customRoleId: choice });

/** The choice that a member is now. */
export const chosen = ({ owner, role, customRole }) => (owner ? "OWNER" : (customRole?.id ?? role));

/** "an owner", "a member", or the name of a custom role. */
export function asWhat(membership) {
  const name = roleName(membership);
  return { Owner: "an owner", Admin: "an admin", Member: "a member" }[name] ?? name;
}
