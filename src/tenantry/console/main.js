/** The console: shows the view of the address, to whoever is signed in. */

import { api, identity } from "./api.js";
import { fill, h } from "./dom.js";
import { live } from "./live.js";
import { failed, skeleton } from "./parts.js";
import { understood } from "./problem.js";
import { navigate, NOWHERE, path, ROUTES, routes } from "./router.js";
import { session } from "./session.js";
import { Shell } from "./shell.js";
import { clearToasts, toast } from "./toast.js";

const HOME = "/console";
const app = h("div", { id: "app" });
document.body.prepend(app);
let shell = null;
let turn = 0;
let organisation = null; // the one that is shown

/** Put the view of the address into its place. Without a session that is the page to sign in. */
async function render() {
  const mine = ++turn;
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  let route = ROUTES[path()] ?? NOWHERE;
  if (session.me && route.open) return navigate(HOME, { replace: true });
  if (!session.me && !route.open) route = ROUTES["/console/sign-in"];
  try {
    const { default: Page } = await route.view();
    if (mine !== turn) return; // somebody has gone on meanwhile
    place(new Page());
    document.title = session.me ? `${route.title} · ${session.organisation.name}` : route.title;
  } catch (error) {
    place(h("div", { class: "card" }, failed(understood(error), () => location.reload())));
  }
}

function place(view) {
  if (session.me) {
    if (!shell) fill(app, (shell = new Shell()));
    else shell.show();
    shell.closeMenu();
    fill(shell.outlet, view);
  } else {
    shell = null;
    fill(app, h("main", { class: "front" }, view));
  }
  scrollTo(0, 0);
  (view.querySelector("[data-first]") ?? view.querySelector("h1"))?.focus({ preventScroll: true });
}

/** Who said what to everybody. The event has but the sender's id. */
async function announce({ seq, payload }) {
  const before = identity().organisation;
  const [activity] = await api.get("activities", { after: seq - 1, limit: 1 }).catch(() => []);
  if (identity()?.organisation !== before) return; // switched meanwhile
  toast(payload.message, { title: activity?.actor ? `${activity.actor.name} to everybody` : "To everybody" });
}

async function start() {
  fill(app, h("main", { class: "front" }, skeleton()));
  try {
    await session.resume();
  } catch (error) {
    fill(app, h("main", { class: "front" }, h("div", { class: "card" }, failed(understood(error), start))));
    return;
  }
  if (!session.me) await render(); // a session's beginning has rendered already
}

routes.addEventListener("change", render);
session.addEventListener("change", ({ detail: { access } }) => {
  if (!access) return shell?.show();
  if (session.organisation?.id !== organisation) clearToasts();
  organisation = session.organisation?.id;
  if (session.me && session.notice) toast(session.notice);
  render();
});
live.addEventListener("event", ({ detail }) => detail.type === "BROADCAST_MESSAGE" && announce(detail));
await start();
