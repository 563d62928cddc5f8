/** Which view an address shows. Links within the console change the address without a load. */

export const ROUTES = {
  "/console": { title: "Overview", icon: "overview", view: () => import("./views/overview.js") },
  "/console/members": { title: "Members", icon: "members", view: () => import("./views/members.js") },
  "/console/activity": { title: "Activity", icon: "activity", view: () => import("./views/activity.js") },
  "/console/plan": { title: "Plan", icon: "plan", view: () => import("./views/plan.js") },
  "/console/broadcast": { title: "Broadcast", icon: "broadcast", view: () => import("./views/broadcast.js") },
  "/console/settings": { title: "Settings", icon: "settings", view: () => import("./views/settings.js") },
  "/console/account": { title: "Your account", icon: "account", view: () => import("./views/account.js") },
  "/console/sign-in": { title: "Sign in", open: true, view: () => import("./views/sign-in.js") },
  "/console/sign-up": { title: "Sign up", open: true, view: () => import("./views/sign-up.js") },
};

/** For a link that is meant for somebody else than who is signed in. */
export const CHOOSE_ACCOUNT = { title: "Choose an account", open: true, view: () => import("./views/choose-account.js") };

export const NOWHERE = { title: "Not found", view: () => import("./views/nowhere.js") };

/** The address in the console, without a slash at its end. */
export const path = () => location.pathname.replace(/(.)\/+$/, "$1");

/** Whose link it is that led here: an email address, "" where it is not known; null without such a link. */
export const addressee = () => new URLSearchParams(location.hash.slice(1)).get("as");

/** The same, once: it leaves the address bar. "" where there is none. */
export function takeAddressee() {
  const address = addressee() ?? "";
  if (location.hash) history.replaceState(null, "", location.pathname);
  return address;
}

export const routes = new EventTarget(); // "change": the address is another

let shown = path();

export function navigate(to, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  changed();
}

function changed() {
  if (shown === path()) return;
  shown = path();
  routes.dispatchEvent(new Event("change"));
}

addEventListener("popstate", changed);
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const to = new URL(link.href);
  const ours = to.origin === location.origin && (to.pathname + "/").startsWith("/console/");
  if (!ours || link.target || link.download || to.hash || event.defaultPrevented) return;
  event.preventDefault();
  navigate(to);
});
