// Calls of the HTTP API, and small things that every page needs.

export const $ = (id) => document.getElementById(id);

let annotator = localStorage.getItem("fewlabel.annotator") || "";

export const person = {
  get name() { return annotator; },
  set name(value) {
    annotator = value.trim();
    localStorage.setItem("fewlabel.annotator", annotator);
  },
};

export class Refused extends Error {
  constructor(status, detail) {
    super(typeof detail === "string" ? detail : "The server refused this.");
    this.status = status;
  }
  // The server may take it later: it is away, restarts, or its disk is full.
  get mayPass() { return this.status === 0 || this.status === 401 || this.status >= 500; }
}

// Two without a name, or one person in two tabs, are told apart by the page.
const page = [0, 0].map(() => Math.random().toString(36).slice(2)).join("");
const whoAsks = () => ({ "X-Annotator": encodeURIComponent(annotator), "X-Page": page });

// Let others have what this page was given; it may be closing.
export function leave() {
  return fetch("/api/leases", { method: "DELETE", headers: whoAsks(), keepalive: true }).catch(() => {});
}

export async function call(method, path, body) {
  const headers = whoAsks();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response, found;
  try {
    response = await fetch(path, {
      method, headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(20000),
    });
    found = response.headers.get("content-type")?.includes("json")
      ? await response.json() : { detail: await response.text() };
  } catch {
    throw new Refused(0, "The server does not answer.");
  }
  if (!response.ok) throw new Refused(response.status, found.detail);
  return found;
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export const icon = (name) => svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `/static/icons.svg#${name}` }));

export function tell(text) {
  // The same text again is read again.
  $("live").textContent = $("live").textContent === text ? `${text}\u00a0` : text;
}

let hiding = 0;
export function toast(text) {
  const box = $("toast");
  box.textContent = text;
  box.hidden = false;
  tell(text);
  clearTimeout(hiding);
  hiding = setTimeout(() => { box.hidden = true; }, 4000);
}

// What buttons do. After a click, keys belong to the page again.
export function onClicks(clicks) {
  for (const [id, does] of Object.entries(clicks)) $(id).addEventListener("click", does);
  $("help").addEventListener("click", () => $("help-dialog").showModal());
  document.addEventListener("click", (event) => { if (event.detail) event.target.closest?.("button:not(.shot)")?.blur(); });
}

// Whether a key is the page's; a button that was reached by keyboard does what its keys do everywhere.
export function isForPage(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  if (target.matches("input, select, dialog *") || document.querySelector("dialog[open]")) return false;
  return (key !== " " && key !== "Enter") || !target.matches("button:not(.tile, .shot), a");
}

// The place among tiles that an arrow key leads to.
export function arrowed(tiles, at, key) {
  const columns = tiles.filter((tile) => tile.offsetTop === tiles[0].offsetTop).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  return at < 0 ? 0 : Math.min(Math.max(at + step, 0), tiles.length - 1);
}

// An answer as the server takes it: what was suggested, and the time since it was seen.
export const answerOf = (card, labels, origin, since, hint, nTogether = 1) => ({
  image: card.image, labels, origin, seconds: Math.round(Math.min((performance.now() - since) / nTogether, 3.6e6)) / 1000,
  suggested: hint?.labels ?? null, confidence: hint?.confidence ?? null, round: hint?.round ?? 0,
});

export const picture = (card, kind) => `/images/${card.image}/${kind}?v=${card.content}`;

export function percent(value) {
  // "100 %" would promise more than 99.6 % does.
  const rounded = Math.round(value * 100);
  if (rounded === 100 && value < 1) return "> 99 %";
  return rounded === 0 && value > 0 ? "< 1 %" : `${rounded} %`;
}

export const number = (value) => value.toLocaleString("en-US");
