// A page of look-alikes: tick the exceptions, confirm the others in one key.
import { $, answerOf, arrowed, call, element, icon, picture, tell } from "./api.js";

export class Group {
  constructor(changed) {
    this.changed = changed;
    this.cards = [];
    this.tiles = [];
    this.labels = [];
    this.ticked = new Set();
    this.isSent = false;             // confirmed: what is seen waits for the next page
  }

  get kept() { return this.cards.filter((card) => !this.ticked.has(card.image)); }

  // Load the next group, without what is answered and not yet stored.
  async load(busy) {
    this.ticked.clear();
    const found = await call("GET", "/api/group?n=24");
    this.isSent = false;
    this.cards = (found?.cards ?? []).filter((card) => !busy.has(card.image));
    this.labels = found?.labels ?? [];
    this.suggested = found && { labels: found.labels, confidence: found.confidence, round: found.round };
    this.since = performance.now();
    this.#draw();
  }

  // Keep what was left out of sight: it is another class, and comes again by itself.
  answers() {
    const kept = this.isSent ? [] : this.kept;
    return kept.map((card) => answerOf(card, this.labels, "group", this.since, this.suggested, kept.length));
  }

  tick(image) {
    if (!this.ticked.delete(image)) this.ticked.add(image);
    const at = this.cards.findIndex((card) => card.image === image);
    this.tiles[at].setAttribute("aria-pressed", this.ticked.has(image));
    tell(this.ticked.has(image) ? "left out" : "kept");
    this.changed();
  }

  move(key) {
    if (this.tiles.length) this.tiles[arrowed(this.tiles, this.tiles.indexOf(document.activeElement), key)].focus();
  }

  tickFocused() {
    const at = this.tiles.indexOf(document.activeElement);
    if (at >= 0) this.tick(this.cards[at].image);
  }

  #draw() {
    this.tiles = this.cards.map((card) => element("button", {
      type: "button", class: card.is_small ? "tile small" : "tile", "aria-pressed": "false",
      "aria-label": `Leave out ${card.name}`, title: card.name, onclick: () => this.tick(card.image),
    }, element("img", { src: picture(card, "thumb"), alt: "", draggable: "false" }),
    element("span", { class: "out" }, icon("cross"))));
    $("tiles").replaceChildren(...this.tiles);
    this.changed();
  }
}
