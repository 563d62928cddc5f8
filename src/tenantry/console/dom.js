/** Making elements. Text only ever becomes text: nothing here, or anywhere, reads markup. */

const PROPERTIES = new Set(["value", "checked", "disabled", "open", "selected"]);

/**
 * h("a", { href: "/console/members", class: "button", onclick: go }, icon("members"), "Members")
 *
 * `on…` are listeners; of the others, true is an empty attribute, and null, undefined and false
 * are none. Children are nodes and text, in lists as well; null, undefined and false are left out.
 */
export function h(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function furnish(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (given(value)) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...nodes(children));
  return element;
}

const given = (value) => value !== null && value !== undefined && value !== false;
const nodes = (children) => children.flat(Infinity).filter(given);

/** Show these, and nothing else. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
}

const known = new WeakMap(); // an element of a list -> what it shows

/**
 * Show a list, an element an item. Who is in the middle of one keeps it, with the focus and what
 * they typed: an element is made anew only when its item is another than it was.
 */
export function fillList(list, items, idOf, make) {
  const before = new Map([...list.children].map((child) => [known.get(child)?.id, child]));
  const after = items.map((item) => {
    const [id, text] = [idOf(item), JSON.stringify(item)];
    const present = before.get(id);
    if (present && known.get(present).text === text) return present;
    const made = make(item);
    known.set(made, { id, text });
    return made;
  });
  for (const child of [...list.children]) if (!after.includes(child)) child.remove();
  after.forEach((child, place) => {
    if (list.children[place] !== child) list.insertBefore(child, list.children[place] ?? null);
  });
}
