// The review page: what the model predicts, what may be wrong, and what can be accepted at once.
import { $, answerOf, arrowed, call, element, isForPage, number, onClicks, percent, picture, tell, toast } from "./api.js";
import { Classes } from "./classes.js";
import { drawConfusion } from "./confusion.js";
import { Outbox } from "./outbox.js";
import { drawPeople } from "./people.js";
import { drawStory, explain } from "./story.js";

const VIEWS = ["images", "confusion", "suspicious", "duplicates", "people"];
const EMPTY = {
  images: "No image fits.", suspicious: "No label is doubtful. Labels are compared once the model has learned from them.",
  duplicates: "No copies have different labels.", people: "There is no image on which people disagree, and that no review has settled.",
};
const HINTS = {
  suspicious: "Models that have not seen these labels say something else. Space keeps a label, enter takes what is predicted.",
  duplicates: "These pairs look the same and have different labels.",
  people: "People disagree on these. Space keeps the label that the table holds, enter takes the consensus.",
};
let state, outbox, offered, asked = new URLSearchParams(), sheet;
let cards = [], at = -1, undoable = [], picked = new Set(), since = 0, nLoads = 0, drawn = "", past = [], people;
const classes = new Classes({ chosen, changed: renamed });
const shown = () => cards[at];
const view = () => (VIEWS.includes(asked.get("view")) ? asked.get("view") : "images");
const text = (labels) => (labels == null ? "–" : labels.join(" + ") || "none of them");
const isSame = (a, b) => a != null && b != null && [...a].sort().join("\n") === [...b].sort().join("\n");

// What is shown: the address says it, so that a view can be kept, and left by the back button.

function show(wanted) { location.hash = new URLSearchParams(wanted).toString(); }

function change(changes) {
  const next = Object.fromEntries(asked);
  show({ ...next, page: 0, ...changes });
}

async function load() {
  asked = new URLSearchParams(location.hash.slice(1));
  const now = view(), mine = ++nLoads;
  for (const tab of document.querySelectorAll("[data-view]")) tab.setAttribute("aria-pressed", tab.dataset.view === now);
  document.querySelector(`[data-view=${now}]`).scrollIntoView({ block: "nearest", inline: "nearest" });
  $("filters").hidden = now !== "images";
  $("matrix").hidden = now !== "confusion";
  $("people").hidden = now !== "people";
  $("fresh").hidden = true;
  if (now !== drawn) {
    // What was there before must not be taken for what is asked for.
    cards = [];
    $("shots").replaceChildren();
    $("matrix").replaceChildren();
    choose(-1);
    drawn = now;
  }
  $("main").classList.toggle("table", now === "confusion");
  try {
    if (now === "confusion") {
      const hint = await drawConfusion((cell) => show({ view: "images", source: "tested", ...cell }));
      if (mine !== nLoads) return;
      [cards, sheet] = [[], { n_pages: 0, page: 0 }];
      $("hint").textContent = hint;
      $("count").textContent = "";
    } else {
      const query = new URLSearchParams(asked);
      query.delete("view");
      for (const [name, value] of [...query]) if (value === "") query.delete(name);
      const found = await call("GET", now === "images" ? `/api/images?${query}` : now === "people" ? `/api/people/disputed?${query}`
        : `/api/review/${now}?page=${asked.get("page") || 0}`);
      if (now === "people") await showPeople();
      if (mine !== nLoads) return;
      sheet = found;
      cards = sheet.cards;
      fillFilters();
      $("hint").textContent = cards.length ? HINTS[now] ?? described() : now === "images" && !sheet.round ? "Predictions appear once the model has learned from your labels." : EMPTY[now];
      $("count").textContent = `${number(sheet.total)} ${now === "suspicious" ? "labels" : sheet.total === 1 ? "image" : "images"}`;
    }
    drawShots();
    choose(matchMedia("(min-width: 861px)").matches && cards.length ? 0 : -1);
    await loadOffer();
  } catch (error) {
    toast(error.message);
    if (asked.has("how")) show({ view: now });
  }
}

async function showPeople() {
  people = await drawPeople((annotator) => show({ view: "images", annotator }));
  $("how").value = asked.get("how") ?? "";
  badge("people", people.n_disputed);
}

function described() {
  const name = (key) => state.classes.find((c) => c.id === Number(asked.get(key)))?.name;
  const parts = [["not_class", "not predicted as"], ["not_label", "not labeled"]].filter(([key]) => asked.has(key)).map(([key, says]) => `${says} ${name(key)}`);
  if (asked.get("source") === "tested") parts.push("as models say that have not seen the labels");
  return parts.join(", ");
}

function fillFilters() {
  const form = $("filters").elements;
  const options = [["", "any"], ...state.classes.map((c) => [c.id, c.name])];
  for (const name of ["class", "label"]) form[name].replaceChildren(...options.map(([value, label]) => element("option", { value }, label)));
  const names = [...people.annotators.map((one) => one.name), asked.get("annotator")].filter(Boolean);
  form.annotator.replaceChildren(element("option", { value: "" }, "any"), ...[...new Set(names)].map((name) => element("option", {}, name)));
  for (const name of ["class", "label", "source", "annotator", "round", "order"]) form[name].value = asked.get(name) ?? (name === "order" ? "unsure" : "");
  form.min.value = Math.round(100 * (asked.get("min_confidence") || 0));
  form.max.value = Math.round(100 * (asked.get("max_confidence") || 1));
}

function filtered() {
  const form = $("filters").elements, next = { view: "images" };
  for (const name of ["class", "label", "source", "annotator", "round", "order"]) if (form[name].value) next[name] = form[name].value;
  const part = (input) => Math.min(Math.max(Number(input.value) || 0, 0), 100) / 100;
  if (part(form.min) > 0) next.min_confidence = part(form.min);
  if (part(form.max) < 1) next.max_confidence = part(form.max);
  show(next);
}

function drawShots() {
  $("shots").hidden = !cards.length;
  $("shots").replaceChildren(...cards.map((card, i) => {
    const shot = element("button", { type: "button", class: card.is_small ? "shot small" : "shot", title: card.name, tabindex: "-1", onclick: () => choose(i, true) },
      element("img", { src: picture(card, "thumb"), alt: "", loading: "lazy", draggable: "false" }), element("span", { class: "what" }));
    return shot;
  }));
  cards.forEach((_, i) => drawShot(i));
  $("pager").hidden = sheet.n_pages < 2;
  $("page-of").textContent = `${number(sheet.page + 1)} of ${number(sheet.n_pages)}`;
  $("page-back").disabled = sheet.page === 0;
  $("page-forth").disabled = sheet.page + 1 >= sheet.n_pages;
}

function drawShot(i) {
  const card = cards[i], shot = $("shots").children[i], says = card.suggestion;
  const differs = card.labels != null && says && !isSame(card.labels, says.labels);
  const sure = says ? ` ${percent(says.confidence)}` : "";
  const lines = card.labels == null ? [element("span", {}, text(says?.labels)), element("small", {}, sure)]
    : [element("span", {}, text(card.labels)), element("small", {}, card.isDone ? "✓ reviewed" : view() === "people" ? card.why : differs ? `→ ${text(says.labels)}${sure}` : "label")];
  shot.lastElementChild.replaceChildren(...lines);
  shot.classList.toggle("differs", Boolean(differs) && !card.isDone);
  shot.classList.toggle("done", Boolean(card.isDone));
  shot.setAttribute("aria-label", `${card.name}. Label: ${text(card.labels)}.${view() === "people" ? ` ${card.why}.` : says ? ` Predicted: ${text(says.labels)},${sure}.` : ""}`);
}

// One image

function choose(i, opens = false) {
  $("shots").children[at]?.removeAttribute("aria-current");
  $("shots").children[at]?.setAttribute("tabindex", "-1");
  at = i < cards.length ? i : -1;
  const card = shown(), shot = $("shots").children[at];
  shot?.setAttribute("aria-current", "true");
  shot?.setAttribute("tabindex", "0");
  if (opens) shot?.focus({ preventScroll: false });
  $("main").classList.toggle("open", Boolean(card) && (opens || $("main").classList.contains("open")));
  picked = new Set(card?.labels ?? card?.suggestion?.labels ?? []);
  since = performance.now();
  drawOne();
  drawStory(shown, past, text);
}

function drawOne() {
  const card = shown(), says = card?.suggestion;
  const image = card && element("img", { alt: card.name, src: picture(card, "full"), draggable: "false" });
  if (image?.src !== $("picture").firstElementChild?.src) $("picture").replaceChildren(...(image ? [image] : []));
  $("picture").classList.toggle("small", Boolean(card?.is_small));
  $("name").textContent = card?.name ?? "No image is chosen";
  $("why").textContent = !card ? "Choose one with a click, or with the arrow keys." : view() === "images" ? "" : card.why;
  $("label").textContent = card ? text(card.labels) : "–";
  $("model").textContent = says ? `${text(says.labels)}, ${percent(says.confidence)}` : "–";
  const kept = state.several ? [...picked] : card?.labels ?? says?.labels;
  $("keep").disabled = !card || kept == null;
  $("keep-text").textContent = !card ? "Keep the label" : isSame(kept, card.labels) ? `It is ${text(kept)}: keep it` : `It is ${text(kept)}`;
  $("take").disabled = !says;
  const source = view() === "people" ? "Consensus" : "As predicted";
  $("model-title").textContent = view() === "people" ? "Consensus" : "Model";
  $("take-text").textContent = says ? `${source}: ${text(says.labels)}` : source;
  $("explain").disabled = !card;
  classes.mark(state.several ? picked : card?.labels ?? [], says?.labels ?? []);
}

function answer(labels) {
  const card = shown();
  if (!card || (!state.several && labels.length !== 1)) return;
  const i = at, before = { labels: card.labels, isDone: card.isDone };
  Object.assign(card, { labels, isDone: true });
  undoable.push({ card, before });
  outbox.answer([answerOf(card, labels, "review", since, view() === "people" ? null : card.suggestion)]).catch(() => {
    Object.assign(card, before);
    undoable = undoable.filter((one) => one.card !== card);
    redraw(card);
  });
  drawShot(i);
  tell(`${card.name} is ${text(labels)}.`);
  const next = cards.findIndex((other, j) => j > i && !other.isDone);
  choose(next < 0 ? i : next);
  if (document.activeElement?.classList.contains("shot")) $("shots").children[at]?.focus();
}

function redraw(card) {
  const i = cards.indexOf(card);
  if (i >= 0) drawShot(i);
  if (i >= 0) choose(i);
}

function chosen(name) {
  if (!classes.list.some((c) => c.name === name)) outbox.post("POST", "/api/classes", { name });
  if (!state.several) return answer([name]);
  if (!picked.delete(name)) picked.add(name);
  return drawOne();
}

function keep() {
  const card = shown();
  if (card && !$("keep").disabled) answer(state.several ? [...picked] : card.labels ?? card.suggestion.labels);
}

const take = () => shown()?.suggestion && answer(shown().suggestion.labels);

function undo() {
  const last = undoable.pop();
  if (last?.card) {
    Object.assign(last.card, last.before);
    redraw(last.card);
  }
  if (outbox.recall()) return toast("Took back the last answer.");
  return outbox.post("POST", "/api/undo", last ? { image: last.card?.image ?? last.image } : {}).then(({ undone, card }) => {
    toast(undone == null ? "There is nothing to undo." : last?.n ? `Took back ${number(last.n)} labels.` : "Took back the last answer.");
    if (!last?.card && card) load();
  });
}

function renamed(id, old, name) {
  outbox.post("PATCH", `/api/classes/${id}`, { old, name }).then(() => refresh()).then(load);
}

// Without a look

async function loadOffer() {
  $("offer").hidden = view() !== "images";
  if (view() !== "images") return;
  offered = await call("GET", `/api/review/offer?max_error=${$("offer-error").value}`);
  const isThere = offered.threshold != null && offered.n_images > 0;
  $("offer-what").textContent = offered.threshold == null ? "Nothing can be accepted without a look yet:"
    : isThere ? `${number(offered.n_images)} can be accepted without a look.` : "Nothing is left to accept without a look.";
  $("offer-why").textContent = offered.threshold == null ? `${offered.why_not}.`
    : isThere ? `Sure from ${percent(offered.threshold)} on${offered.n_unlike ? `; ${number(offered.n_unlike)} that are unlike anything labeled are left out` : ""}.` : "";
  $("accept").disabled = !isThere;
}

function askToAccept() {
  $("accept-note").textContent = `${number(offered.n_images)} images get the label that is predicted. At most ${percent(offered.max_error)} of the images that are so sure are wrong, by ${number(offered.n_labels)} labels drawn at random; in one case of twenty it is more. Undo takes all of it back.`;
  $("accept-yes").textContent = `Accept ${number(offered.n_images)}`;
  $("accept-dialog").returnValue = "";
  $("accept-dialog").showModal();
}

function accept() {
  if ($("accept-dialog").returnValue !== "accept") return;
  const { round, max_error } = offered;
  $("accept").disabled = true;
  const before = state.n_labeled, total = offered.n_images;
  const timer = setInterval(async () => {
    await refresh();
    if ($("accept").disabled) $("offer-what").textContent = `Accepting: ${number(Math.max(state.n_labeled - before, 0))} of ${number(total)}…`;
  }, 1000);
  outbox.post("POST", "/api/review/accept", { round, max_error }).finally(() => clearInterval(timer)).then(({ saved }) => {
    undoable.push({ n: saved });
    toast(`${number(saved)} images have their label. Undo takes them back.`);
    load();
  }, loadOffer);
}

function settle() {
  $("settle").disabled = true;
  outbox.post("POST", "/api/people/settle", { how: asked.get("how") || "majority" }).then(({ saved }) => {
    undoable.push({ n: saved });
    toast(`Settled: ${number(saved)}. Undo takes it back.`);
    load();
  }, load);
}

// The server, keys, and the rest

async function refresh() {
  try {
    const before = state?.refit.round, { version } = state ?? {};
    state = await call("GET", "/api/state");
    if (view() === "people" && people && version !== state.version) showPeople();
    classes.show(state.classes);
    if (before !== state.refit.round) {
      const rounds = await call("GET", "/api/review/rounds");
      past = await call("GET", "/api/rounds");
      $("filters").elements.round.replaceChildren(...["", ...rounds].map((n) => element("option", { value: n }, n === "" ? "last" : n)));
      $("filters").elements.round.value = asked.get("round") ?? "";
      $("fresh").hidden = before === undefined;
      await drawBadges();
    }
  } catch (error) { if (state) toast(error.message); else throw error; }
}

async function drawBadges() {
  const [suspicious, duplicates] = await Promise.all(["suspicious", "duplicates"].map((name) => call("GET", `/api/review/${name}`)));
  badge("suspicious", suspicious.n_marked);
  badge("duplicates", duplicates.total / 2);
  await showPeople();
}

function badge(name, n) { document.querySelector(`[data-view=${name}] .badge`).textContent = n ? number(n) : ""; }

function move(key) {
  const shots = [...$("shots").children];
  if (!shots.length) return;
  choose(arrowed(shots, at, key));
  shots[at].focus();
}

const turn = (by) => { if (sheet && sheet.page + by >= 0 && sheet.page + by < sheet.n_pages) change({ page: sheet.page + by }); };
const KEYS = {
  " ": keep, Enter: take, u: undo, Backspace: undo, x: () => explain(shown), n: () => $("find").focus(), "/": () => $("find").focus(),
  g: () => show({ view: VIEWS[(VIEWS.indexOf(view()) + 1) % VIEWS.length] }), "?": () => $("help-dialog").showModal(),
  PageUp: () => turn(-1), PageDown: () => turn(1), Escape: () => choose(-1),
};

function pressed(event) {
  if (!state || !isForPage(event)) return;
  const { key } = event, does = KEYS[key.length === 1 ? key.toLowerCase() : key];
  if (key.startsWith("Arrow") && !event.target.closest(".scroll")) move(key);
  else if (event.repeat) return;
  else if (shown() && classes.named(key)) chosen(classes.named(key));
  else if (does) does();
  else return;
  event.preventDefault();
}

function listen() {
  onClicks({
    keep, take, undo, explain: () => explain(shown), close: () => { choose(-1); }, fresh: load,
    accept: askToAccept, settle, "accept-cancel": () => $("accept-dialog").close("cancel"), "page-back": () => turn(-1), "page-forth": () => turn(1),
  });
  for (const tab of document.querySelectorAll("[data-view]")) tab.addEventListener("click", () => show({ view: tab.dataset.view }));
  $("filters").addEventListener("change", filtered);
  $("filters").addEventListener("submit", (event) => { event.preventDefault(); filtered(); });
  $("how").addEventListener("change", () => change({ how: $("how").value }));
  $("offer-error").addEventListener("change", () => loadOffer().catch((error) => toast(error.message)));
  $("accept-dialog").addEventListener("close", accept);
  document.addEventListener("keydown", pressed);
  addEventListener("hashchange", load);
}

async function start() {
  try { await refresh(); } catch (error) {
    $("hint").textContent = error.message;
    setTimeout(start, 1000);
    return;
  }
  outbox = new Outbox(state.session, { changed: refresh, refused: (error) => { toast(error.message); } });
  listen();
  await load();
  document.body.dataset.ready = "true";
  setInterval(() => { if (!document.hidden) refresh(); }, 3000);
}

start();
