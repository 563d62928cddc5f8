/** The few pictures, as lines on a grid of 24. They say nothing by themselves: words stand beside. */

import { svg } from "./dom.js";

const PATHS = {
  activity: "M3 12h4l3 8 4-16 3 8h4",
  account: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20.5a7.5 7.5 0 0 1 15 0",
  broadcast: "M4 10v4h3l6 4V6L7 10zM16.5 9a4.5 4.5 0 0 1 0 6M19 6.5a8 8 0 0 1 0 11",
  check: "m5 12.5 4.5 4.5L19 7.5",
  chevron: "m7 10 5 5 5-5",
  chevrons: "m8 9.5 4-4 4 4M8 14.5l4 4 4-4",
  close: "M6 6l12 12M18 6 6 18",
  members: "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 19.5a6.5 6.5 0 0 1 13 0M16 4.9a3.5 3.5 0 0 1 0 6.2M18.5 14a6.5 6.5 0 0 1 3 5.5",
  menu: "M4 7h16M4 12h16M4 17h16",
  minus: "M6 12h12",
  overview: "M4 4h7v7H4zM13 4h7v4h-7zM13 11h7v9h-7zM4 14h7v6H4z",
  plan: "M3.5 6.5h17v11h-17zM3.5 10.5h17M7 14.5h3",
  plus: "M12 5v14M5 12h14",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 4.5v5M8 14.5v5",
  "sign-out": "M14 4h5v16h-5M15 12H4M8 8l-4 4 4 4",
};

export function icon(name) {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: PATHS[name] }));
}
