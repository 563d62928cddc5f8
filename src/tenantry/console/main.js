/** The console: shows the view of the address, to whoever is signed in. */

import { api } from "./api.js";
import { closeDialogs } from "./dialog.js";
import { fill, h } from "./dom.js";
import { live } from "./live.js";
import { failed, skeleton } from "./parts.js";
import { understood, unreachable } from "./problem.js";
import { addressee, CHOOSE_ACCOUNT, navigate, NOWHERE, path, ROUTES, routes } from "./router.js";
import { session } from "./session.js";
import { Shell } from "./shell.js";
import { clearToasts, toast } from "./toast.js";

const HOME = "/console";
const RETRY_AFTER = 2_000; // milliseconds between two looks whether the server is back
const RELOADED = "reloaded"; // when this tab last loaded the page again by itself
const app = h("div", { id: "app" });
document.body.prepend(app);
document.querySelector(".unloaded").remove();
let shell = null;
let turn = 0;
let organisation = null; // the one that is shown
let failure = null; // what stands in place of a session that could not be loaded

/** Put the view of the address into its place. Without a session that is the page to sign in. */
async function render() {
  const mine = ++turn;
  closeDialogs();
  app.inert = false;
  if (failure) return alone(failure);
  let route = ROUTES[path()] ?? NOWHERE;
  if (session.me && route.open) {
    if (!isForAnother()) return navigate(HOME, { replace: true });
    route = CHOOSE_ACCOUNT;
  }
  if (!session.me && !route.open) route = ROUTES["/console/sign-in"];
  const view = await loaded(route, mine);
  if (mine !== turn) return; // somebody has gone on meanwhile
  place(view, route);
  entitle(route);
}

function isForAnother() {
  const address = addressee();
  return address !== null && address.toLowerCase() !== session.me.email.toLowerCase();
}

/** The route's view, or what stands in its place where its code did not come. */
async function loaded(route, mine) {
  let Page;
  try {
    ({ default: Page } = await route.view());
  } catch (error) {
    const again = () => location.reload();
    if (Date.now() - Number(sessionStorage.getItem(RELOADED)) < 10 * RETRY_AFTER) return unloaded(understood(error), again);
    reloadWhenBack(mine);
    return unloaded(unreachable(), again);
  }
  return new Page();
}

/** Browsers may remember that a module did not come: only a new page is sure to ask for it again. */
async function reloadWhenBack(mine) {
  const isBack = () => fetch("/health", { cache: "no-store" }).then(({ ok }) => ok, () => false);
  while (!(await isBack())) await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER));
  if (mine !== turn) return;
  sessionStorage.setItem(RELOADED, Date.now());
  location.reload();
}

function entitle({ title }) {
  document.title = session.me ? `${title} · ${session.organisation.name}` : title;
}

const unloaded = (problem, again) => h("div", { class: "card" }, failed(problem, again));

/** In place of everything. */
function alone(content) {
  shell = null;
  fill(app, h("main", { class: "front" }, content));
}

function place(view, { open }) {
  if (session.me && !open) {
    if (!shell) fill(app, (shell = new Shell()));
    else shell.show();
    shell.closeMenu();
    fill(shell.outlet, view);
  } else {
    alone(view);
  }
  scrollTo(0, 0);
  (view.querySelector("[data-first]") ?? view.querySelector("h1"))?.focus({ preventScroll: true });
}

/** Who said what to everybody. The event has but the sender's id. */
async function announce({ seq, payload }) {
  let activity;
  try {
    [activity] = await api.get("activities", { after: seq - 1, limit: 1 });
  } catch ({ code }) {
    if (code === "GONE") return; // switched meanwhile
  }
  toast(payload.message, { title: activity?.actor ? `${activity.actor.name} to everybody` : "To everybody" });
}

async function start() {
  alone(skeleton());
  try {
    await session.resume();
  } catch (error) {
    return alone(unloaded(understood(error), start));
  }
  if (!session.me && !failure) await render(); // a session's beginning has rendered already
}

routes.addEventListener("change", render);
session.addEventListener("beginning", () => {
  if (!session.me) return;
  closeDialogs();
  app.inert = true; // it is of what is being left
});
session.addEventListener("failed", ({ detail: { problem, again } }) => {
  failure = unloaded(problem, again);
  render();
});
session.addEventListener("change", ({ detail: { access } }) => {
  failure = null;
  if (!access) {
    shell?.show();
    return entitle(ROUTES[path()] ?? NOWHERE);
  }
  if (session.organisation?.id !== organisation) clearToasts();
  organisation = session.organisation?.id;
  if (session.me && session.notice) toast(session.notice);
  render();
});
live.addEventListener("event", ({ detail }) => detail.type === "BROADCAST_MESSAGE" && announce(detail));
await start();
