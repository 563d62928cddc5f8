/** Roles to choose from, and as the API takes them. */

import { api } from "./api.js";
import { capital, roleName } from "./format.js";
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

const PERMISSIONS = {
  "broadcast:send": "Write to everybody",
  "members:change-role": "Change members’ roles",
  "members:invite": "Invite people",
  "members:read": "See the list of members",
  "members:remove": "Remove members",
  "organisation:update": "Change the organisation’s name and slug",
  "plan:change": "Change the plan",
  "roles:manage": "Define custom roles",
};

/** What a permission allows; a feature's, "projects:manage", as "Projects: manage". */
export const permissionName = (permission) =>
  PERMISSIONS[permission] ?? capital(permission.replace(":", ": ").replaceAll(/[-_]/g, " "));

/** "an owner", "a member", or the name of a custom role. */
export function asWhat(membership) {
  const name = roleName(membership);
  return { Owner: "an owner", Admin: "an admin", Member: "a member" }[name] ?? name;
}
