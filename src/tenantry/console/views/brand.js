import { h } from "../dom.js";

/** What stands above the pages for who is not signed in. */
export const brand = () =>
  h("p", { class: "brand" }, h("img", { src: "/console/files/icon.svg", alt: "", width: 28, height: 28 }), "Tenantry");
