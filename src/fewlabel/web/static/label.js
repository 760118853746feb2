// The labelling page: what is shown, and what keys, pointers and fingers do.
import { $, answerOf, call, element, isForPage, leave, number, onClicks, percent, person, picture, tell, toast } from "./api.js";
import { Classes } from "./classes.js";
import { Group } from "./group.js";
import { Outbox } from "./outbox.js";
import { showNumbers, showProgress } from "./progress.js";

const AHEAD = 6;
let state, outbox;
let nCounted;                      // labeled images, without the new ones in `cards`
let cards = [], at = 0;            // the images of this visit, and which one is shown
let undoable = [];                 // what was answered here: a place in `cards`, or a group
let picked = new Set();            // labels that are collected, where an image may have several
let collects = false, inGroups = false, isFetching = false;
let suggests = true, since = 0, drawn;
const pictures = new Map();        // images that are loaded before they are needed
const classes = new Classes({ chosen, changed: renamed });
const group = new Group(() => drawGroup());

const shown = () => cards[at];
const suggestion = () => (suggests ? shown()?.suggestion : null);

// Answers

function answer(labels, origin = "typed") {
  const card = shown();
  if (!card) return;
  card.isNew = card.labels == null && labels != null;
  card.before = card.labels;
  card.labels = labels;
  card.isAnswered = true;
  picked.clear();
  undoable.push({ card });
  outbox.answer([answerOf(card, labels, origin, since, suggestion())]).catch(() => {
    Object.assign(card, { labels: card.before, isAnswered: false, isNew: false });
    undoable = undoable.filter((one) => one.card !== card);
    at = Math.max(cards.indexOf(card), 0);
    draw();
  });
  const said = labels == null ? "Skipped" : labels.join(", ") || "none";
  // Those that come next are never jumped over, whatever was looked at again.
  at = cards.findIndex((other, i) => i > at && !other.isAnswered);
  if (at < 0) at = cards.length;
  draw();
  tell(`${said}. ${describe()}`);
  refill();
}

function chosen(name) {
  if (!classes.list.some((c) => c.name === name)) {
    outbox.post("POST", "/api/classes", { name });
    // Until the server has said its key.
    classes.show([...classes.list, { id: -1, name, key: "", initial: "", n: 0 }]);
  }
  if (inGroups) {
    group.labels = collects ? toggled(group.labels, name) : [name];
    drawGroup();
  } else if (collects) {
    picked = new Set(toggled([...picked], name));
    draw();
  } else answer([name]);
}

const toggled = (names, name) => (names.includes(name) ? names.filter((n) => n !== name) : [...names, name]);

function confirm() {
  if (inGroups) confirmGroup();
  else if (collects && picked.size) answer([...picked]);
  else if (suggestion()) answer(suggestion().labels, "confirmed");
}

function confirmGroup() {
  const answers = group.answers();
  if (!answers.length || (!group.labels.length && !state.several)) return;
  undoable.push({ n: answers.length, image: answers.at(-1).image });
  group.isSent = true;
  drawGroup();
  tell(`${answers.length} are ${group.labels.join(", ")}`);
  // Asked for before that is stored, the next page would hold what was left out, and nothing else.
  outbox.answer(answers, [...group.ticked]).catch(() => {}).then(loadGroup);
}

function undo() {
  const last = undoable.pop();
  const wasUnsent = outbox.recall();
  if (last?.card) {
    Object.assign(last.card, { labels: last.card.before, isAnswered: false, isNew: false });
    at = cards.indexOf(last.card);
    if (at < 0) at = cards.unshift(last.card) - 1;
    if (inGroups) setMode(false);
    else draw();
  } else if (wasUnsent) loadGroup();
  if (!wasUnsent) {
    const image = last?.card?.image ?? last?.image;
    outbox.post("POST", "/api/undo", image == null ? {} : { image }).then(({ card }) => {
      if (inGroups) loadGroup();
      else if (!last && card) bring(card);
      else if (!last) toast("There is nothing to undo.");
    });
  }
  toast(last?.n ? `Took back ${number(last.n)} answers.` : "Took back the last answer.");
}

// Show an image that this visit has not seen.
function bring(card) {
  cards = cards.filter((other) => other.image !== card.image);
  at = Math.min(at, cards.length);
  cards.splice(at, 0, card);
  setMode(false);
}

function renamed(id, old, name) {
  outbox.post("PATCH", `/api/classes/${id}`, { old, name }).then((found) => {
    for (const card of cards) card.labels = card.labels?.map((n) => (n === old ? found.name : n));
    classes.show(found.classes);
    toast(`“${old}” is now “${found.name}”.`);
    refresh();
  });
}

// What comes next

async function refill() {
  const ahead = cards.slice(at).filter((card) => !card.isAnswered).length;
  if (isFetching || ahead >= AHEAD / 2) return;
  isFetching = true;
  try {
    const known = new Set(cards.slice(at).map((card) => card.image));
    const found = await fetchNext(known);
    // A new round may have brought some of them meanwhile.
    for (const card of cards.slice(at)) known.add(card.image);
    const fresh = found.filter((card) => !known.has(card.image));
    cards.push(...fresh);
    preload();
    if (shown() === fresh[0] || !shown()) draw();
  } catch { /* `refresh` says that the server is away, and tries again. */ }
  isFetching = false;
}

// Return images to answer, without those whose answer is on its way.
async function fetchNext(known) {
  for (const a of outbox.answers) known.add(a.image);
  return call("GET", `/api/next?n=${Math.min(AHEAD + known.size, 50)}`);
}

// After a new round of the model, what was fetched before it is out of date.
async function forgetAhead() {
  const found = await fetchNext(new Set());
  const card = shown();
  // What has been answered meanwhile stays, and so does what is looked at.
  cards = cards.filter((other, i) => i <= at || other.isAnswered);
  const known = new Set([...cards.slice(-60), ...outbox.answers].map((other) => other.image));
  cards.push(...found.filter((other) => !known.has(other.image)).slice(0, AHEAD));
  preload();
  $("forth").disabled = at >= cards.length - 1;
  if (!card) draw();
  // Nothing that was seen changes under the eyes, but a suggestion may come.
  if (!card || card.isAnswered || card.suggestion) return;
  const { suggestion: hint, why } = await call("GET", `/api/images/${card.image}`);
  Object.assign(card, { suggestion: hint, why });
  if (card === shown() && !inGroups) draw();
}

function preload() {
  const near = cards.slice(Math.max(at - 1, 0), at + AHEAD);
  for (const key of [...pictures.keys()]) {
    if (!near.some((card) => card.image === key)) pictures.delete(key);
  }
  for (const card of near) {
    if (pictures.has(card.image)) continue;
    const image = element("img", { alt: card.name, draggable: "false", decoding: "sync" });
    image.addEventListener("error", () => { image.replaceWith(element("p", {}, "This image cannot be read: skip it.")); });
    image.src = picture(card, "full");
    image.decode().catch(() => {});
    pictures.set(card.image, image);
  }
}

async function loadGroup() {
  try {
    await group.load(new Set(outbox.answers.map((a) => a.image)));
  } catch (error) { toast(error.message); }
}

// What is seen

function draw() {
  const card = shown(), hint = suggestion();
  preload();
  if (card !== drawn) {
    drawn = card;
    since = performance.now();
    zoom(false);
  }
  $("picture").classList.toggle("small", Boolean(card?.is_small));
  $("picture").replaceChildren(...(card ? [pictures.get(card.image)] : []));
  $("empty").hidden = Boolean(card);
  $("empty").textContent = isDone() ? `Every image has its answer. Go on with: ${state.command}` : "Looking for the next images…";
  $("name").textContent = card?.name ?? "";
  $("why").textContent = card?.why ?? "";
  const labels = collects && picked.size ? [...picked] : card?.isAnswered || !picked.size ? card?.labels ?? [] : [];
  classes.mark(labels, hint?.labels ?? []);
  $("back").disabled = at === 0;
  $("forth").disabled = at >= cards.length - 1;
  for (const id of ["skip", "zoom"]) $(id).disabled = !card;
  if (!inGroups) drawConfirm(card, hint);
  drawProgress();
}

function drawConfirm(card, hint) {
  const collected = collects && picked.size;
  $("confirm").disabled = !collected && !hint;
  $("sure").textContent = !collected && hint ? percent(hint.confidence) : "";
  if (collected) $("confirm-text").textContent = [...picked].join(" + ");
  else if (hint) $("confirm-text").textContent = hint.labels.join(" + ") || "None of them";
  else $("confirm-text").textContent = card && suggests && state.refit.round && card.purpose !== "train" ? "Drawn at random: no hint" : suggests ? "No suggestion yet" : "Suggestions are off";
}

function drawGroup() {
  if (!inGroups) return;
  const n = group.kept.length, label = group.labels.join(" + ");
  $("empty").hidden = group.cards.length > 0;
  $("tiles").hidden = !group.cards.length;
  $("view").hidden = group.cards.length > 0;
  $("picture").replaceChildren();
  $("empty").textContent = state.refit.round
    ? "There are no more look-alikes for now." : "Look-alikes appear once the model has learned from your labels.";
  $("name").textContent = group.cards.length ? `${group.cards.length} look alike` : "";
  $("why").textContent = group.cards.length ? "Tick the exceptions." : "";
  $("confirm").disabled = group.isSent || !n || (!label && !state.several);
  $("confirm-text").textContent = !group.cards.length ? "No group" : label ? `${n} are ${label}` : "Choose a class for all";
  $("sure").textContent = group.cards.length && label === group.suggested.labels.join(" + ") ? percent(group.suggested.confidence) : "";
  classes.mark(group.labels, []);
}

function setMode(groups) {
  inGroups = groups;
  $("mode-one").setAttribute("aria-pressed", !groups);
  $("mode-group").setAttribute("aria-pressed", groups);
  $("main").classList.toggle("groups", groups);
  $("view").hidden = false;
  $("tiles").hidden = true;
  if (groups) loadGroup();
  else { draw(); refill(); }
}

function zoom(on = !$("picture").classList.contains("zoomed")) {
  $("picture").classList.toggle("zoomed", on);
  $("zoom").setAttribute("aria-pressed", on);
}

function setCollects(on) {
  if (!state.several) return on && toast("One label an image here: start with --several for more.");
  collects = on;
  picked.clear();
  $("several").setAttribute("aria-pressed", on);
  return inGroups ? drawGroup() : draw();
}

function drawProgress() {
  showProgress(state, nCounted + cards.filter((card) => card.isNew).length);
}

// The server has every answer, and no other one came in while it counted.
function count() {
  nCounted = state.n_labeled;
  for (const card of cards) card.isNew = false;
}

const isDone = () => state.n_labeled + state.n_skipped >= state.n_images;
const describe = () => {
  const card = shown(), hint = suggestion();
  if (!card) return "";
  return `${card.name}.${hint ? ` Suggested: ${hint.labels.join(", ")}, ${percent(hint.confidence)}.` : ""}`;
};

// What the server says

async function refresh() {
  try {
    const before = state?.refit.round, { nPosted } = outbox, wasSaved = !outbox.waiting.length;
    state = await call("GET", "/api/state");
    if (wasSaved && nPosted === outbox.nPosted) count();
    classes.show(state.classes);
    showNumbers(state);
    drawProgress();
    if (before !== undefined && before !== state.refit.round) await forgetAhead();
    if (!inGroups && !shown()) { draw(); refill(); }
    if (inGroups && (group.isSent ? !outbox.waiting.length : before !== state.refit.round && !group.cards.length)) loadGroup();
    const { target, reached } = state.stop;
    if (reached && $("enough").hidden) tell(enough(target));
    $("enough").hidden = !reached;
    $("enough").lastElementChild.textContent = `Target of ${percent(target ?? 0)} reached`;
    $("enough").setAttribute("aria-label", $("enough").lastElementChild.textContent);
    if (state.table_error) toast(state.table_error);
  } catch (error) {
    if (state) toast(outbox.isAway ? "The server is away. Your answers are kept and sent again." : error.message);
  }
}

const enough = (target) => `The accuracy is at least ${percent(target)}: enough, if you like. Go on with: ${state.command}`;

// Keys, pointers, fingers

const KEYS = {
  " ": confirm, Enter: () => (inGroups ? group.tickFocused() : collects && answer([...picked])),
  u: undo, Backspace: undo, s: () => !inGroups && answer(null), m: () => setCollects(!collects),
  z: () => !inGroups && zoom(), g: () => setMode(!inGroups), n: () => $("find").focus(),
  "/": () => $("find").focus(), x: () => group.tickFocused(), "?": () => $("help-dialog").showModal(),
  ArrowLeft: () => move(-1), ArrowRight: () => move(1),
};

function move(step) {
  const to = at + step;
  if (to < 0 || to > cards.length || (to === cards.length && !isDone())) return;
  at = to;
  picked.clear();
  draw();
  tell(describe());
  refill();
}

function pressed(event) {
  const { key } = event, isArrow = key.startsWith("Arrow"), does = KEYS[key.length === 1 ? key.toLowerCase() : key];
  if (!state || !isForPage(event)) return;
  if (inGroups && isArrow) group.move(key);
  else if (event.repeat && !isArrow) return;
  else if (classes.named(key)) chosen(classes.named(key));
  else if (does) does();
  else return;
  event.preventDefault();
}

function touches() {
  const view = $("picture");
  let start = null;
  view.addEventListener("pointerdown", (event) => { start = event; });
  view.addEventListener("pointermove", (event) => {
    const box = view.getBoundingClientRect();
    view.firstElementChild?.style.setProperty("transform-origin",
      `${(100 * (event.clientX - box.left)) / box.width}% ${(100 * (event.clientY - box.top)) / box.height}%`);
  });
  view.addEventListener("pointerup", (event) => {
    const far = event.clientX - (start?.clientX ?? event.clientX);
    if (event.pointerType === "touch" && Math.abs(far) > 80 && !view.classList.contains("zoomed")) {
      if (far > 0) confirm(); else answer(null);
    } else if (Math.abs(far) < 8 && shown()) zoom();
    start = null;
  });
}

function listen() {
  onClicks({
    confirm, undo, skip: () => answer(null), several: () => setCollects(!collects), zoom: () => zoom(),
    back: () => move(-1), forth: () => move(1),
    "mode-one": () => setMode(false), "mode-group": () => setMode(true),
    person: () => { $("person-name").value = person.name || state.annotator; $("person-dialog").showModal(); },
    hints: () => setSuggests(!suggests), enough: () => toast(enough(state.stop.target)),
  });
  document.addEventListener("keydown", pressed);
  $("person-dialog").addEventListener("close", async () => {
    if ($("person-dialog").returnValue !== "save" || $("person-name").value.trim() === person.name) return;
    // What is not answered was given to somebody of another name, or of none.
    cards = cards.filter((card) => card.isAnswered);
    at = cards.length;
    draw();
    const left = leave();
    person.name = $("person-name").value;
    await left;
    forgetAhead().catch(() => {});
  });
  touches();
}

function setSuggests(on) {
  suggests = on;
  localStorage.setItem("fewlabel.suggests", on);
  $("hints").setAttribute("aria-pressed", on);
  if (!inGroups) draw();
  toast(on ? "Suggestions are shown." : "Suggestions are hidden.");
}

async function start() {
  try {
    state = await call("GET", "/api/state");
  } catch (error) {
    $("empty").hidden = false;
    $("empty").textContent = error.message;
    setTimeout(start, 1000);
    return;
  }
  count();
  outbox = new Outbox(state.session, {
    changed: refresh, refused: (error) => { toast(error.message); refresh(); },
  });
  suggests = (localStorage.getItem("fewlabel.suggests") ?? String(state.suggests)) === "true";
  $("hints").setAttribute("aria-pressed", suggests);
  $("several").hidden = !state.several;
  $("table").textContent = state.table;
  collects = state.several;
  $("several").setAttribute("aria-pressed", collects);
  listen();
  draw();
  await refill();
  await refresh();
  if (!state.classes.length && matchMedia("(pointer: fine)").matches) $("find").focus();
  // Who is asked for an answer of their own must be told from the others.
  if (state.repeats > 1 && !person.name && !state.annotator) $("person").click();
  document.body.dataset.ready = "true";
  addEventListener("pagehide", () => { if (!outbox.waiting.length) leave(); });
  setInterval(() => { if (!document.hidden) refresh(); }, 2500);
  // Who thinks for long keeps the images that were fetched.
  setInterval(() => { if (!document.hidden) call("GET", `/api/next?n=${AHEAD}`).catch(() => {}); }, 60000);
}

start();
