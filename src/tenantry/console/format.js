/** Times, numbers and names, as people read them. */

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const sentence = (text) => capital(/[.!?…]$/.test(text) ? text : `${text}.`);
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

const UNITS = [["year", 31_536_000], ["month", 2_592_000], ["day", 86_400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** "3 minutes ago", "in 2 hours", "yesterday". */
export function ago(time, now = Date.now()) {
  const seconds = (new Date(time) - now) / 1000;
  for (const [unit, length] of UNITS)
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  return seconds > 1 ? "in a moment" : "just now";
}

/** "20 seconds", "3 minutes", "2 hours". */
export function duration(seconds) {
  const [unit, length] = UNITS.slice(2).find(([, size]) => seconds >= 1.5 * size) ?? ["second", 1];
  return plural(Math.ceil(seconds / length), unit);
}

export const date = (time) => new Date(time).toLocaleDateString("en-GB", { dateStyle: "long" });
export const clock = (time) => new Date(time).toLocaleTimeString("en-GB", { timeStyle: "short" });
export const moment = (time) =>
  new Date(time).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" });

/** What somebody is: of a member, an invite or a membership. */
export function roleName({ owner, role, customRole }) {
  if (owner) return "Owner";
  if (customRole) return customRole.name ?? customRole;
  return role === "ADMIN" ? "Admin" : "Member";
}

const BROWSERS = [["Edge", /Edg\w*\/(\d+)/], ["Opera", /OPR\/(\d+)/], ["Firefox", /Firefox\/(\d+)/], ["Chrome", /Chrome\/(\d+)/], ["Safari", /Version\/(\d+).*Safari/]];
const SYSTEMS = [["iPhone", /iPhone/], ["iPad", /iPad/], ["Android", /Android/], ["Windows", /Windows/], ["macOS", /Mac OS X/], ["ChromeOS", /CrOS/], ["Linux", /Linux/]];

/** A browser's User-Agent as "Firefox 148 on Windows"; what is no browser says itself what it is. */
export function deviceName(device) {
  const browser = BROWSERS.find(([, pattern]) => pattern.test(device));
  const system = SYSTEMS.find(([, pattern]) => pattern.test(device));
  if (!browser || !system) return device;
  return `${browser[0]} ${browser[1].exec(device)[1]} on ${system[0]}`;
}

/** "ENTERPRISE" is "Enterprise". */
export const planName = (plan) => capital(plan.toLowerCase().replaceAll("_", " "));

export const initials = (name) => {
  const words = name.trim().split(/\s+/);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ends.map((word) => [...word][0]).join("").toUpperCase();
};

/** What an activity says, in a line. */
export const told = ({ type, actor, message }) =>
  type === "BROADCAST_MESSAGE" ? `${actor?.name ?? "Somebody"} to everybody: “${message}”` : message;
