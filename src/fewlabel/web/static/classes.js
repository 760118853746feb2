// The list of classes: their keys, finding or adding one, renaming and merging.
import { $, element, icon, number } from "./api.js";

const images = (n) => (n === 1 ? "one image" : `${number(n)} images`);

// The name of a class, with the letter that is its key underlined.
function underlined({ name, initial }) {
  const i = initial ? name.toLowerCase().indexOf(initial) : -1;
  return i < 0 ? [name] : [name.slice(0, i), element("u", {}, name[i]), name.slice(i + 1)];
}

export class Classes {
  constructor({ chosen, changed }) {
    this.chosen = chosen;
    this.list = [];
    this.rows = new Map();
    this.marks = { picked: new Set(), suggested: new Set() };
    $("find").addEventListener("input", () => this.#filter());
    $("find").addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      $("find").blur();
      this.clear();
    });
    $("add").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = this.#found() ?? $("find").value.trim();
      if (!name) return;
      this.clear();
      $("find").blur();
      this.chosen(name);
    });
    this.#dialog(changed);
  }

  // What a key stands for; undefined if nothing.
  named(key) {
    const pressed = key.toLowerCase();
    return (this.list.find((c) => c.key === pressed) ?? this.list.find((c) => c.initial === pressed))?.name;
  }

  show(list) {
    const before = JSON.stringify(this.list.map(({ n, ...rest }) => rest));
    this.list = list;
    if (before !== JSON.stringify(list.map(({ n, ...rest }) => rest))) this.#draw();
    for (const one of list) this.rows.get(one.name).count.textContent = one.n ? number(one.n) : "";
  }

  mark(picked, suggested) {
    this.marks = { picked: new Set(picked), suggested: new Set(suggested) };
    for (const [name, { button }] of this.rows) {
      button.setAttribute("aria-pressed", this.marks.picked.has(name));
      button.classList.toggle("suggested", this.marks.suggested.has(name));
    }
  }

  clear() {
    $("find").value = "";
    this.#filter();
  }

  #draw() {
    this.rows.clear();
    const items = this.list.map((one) => {
      const count = element("span", { class: "n" });
      const keys = [one.key, one.initial].filter(Boolean);
      const button = element("button", {
        type: "button", class: "class", "aria-keyshortcuts": keys.join(" ") || null,
        onclick: () => this.chosen(one.name),
      }, element("kbd", {}, keys[0] ?? ""), element("span", { class: "name" }, ...underlined(one)), count);
      const edit = element("button", {
        type: "button", class: "edit", "aria-label": `Rename or merge ${one.name}`,
        title: "Rename or merge", onclick: () => this.#edit(one),
      }, icon("edit"));
      this.rows.set(one.name, { button, count });
      return element("li", { "data-name": one.name.toLowerCase() }, button, edit);
    });
    $("classes").replaceChildren(...items);
    $("no-classes").hidden = items.length > 0;
    const isNarrow = this.list.length > 5 && this.list.every((one) => one.name.length < 11);
    $("classes").classList.toggle("narrow", isNarrow);
    this.mark(this.marks.picked, this.marks.suggested);
    this.#filter();
  }

  #filter() {
    const sought = $("find").value.trim().toLowerCase();
    for (const item of $("classes").children) item.hidden = !item.dataset.name.includes(sought);
  }

  // Return the class that was typed, or the only one that fits.
  #found() {
    const sought = $("find").value.trim().toLowerCase();
    const same = this.list.find((c) => c.name.toLowerCase() === sought);
    const fits = this.list.filter((c) => c.name.toLowerCase().startsWith(sought));
    return same?.name ?? (sought && fits.length === 1 ? fits[0].name : undefined);
  }

  #dialog(changed) {
    const dialog = $("class-dialog"), input = $("class-name");
    const other = () => this.list.find((c) => c.name === input.value.trim() && c.name !== this.edited.name);
    input.addEventListener("input", () => {
      const into = other();
      $("class-save").textContent = into ? "Merge" : "Rename";
      $("class-note").textContent = into
        ? `There is a class “${into.name}” already, with ${images(into.n)}: those of “${this.edited.name}” (${number(this.edited.n)}) join it.` : "";
    });
    $("class-cancel").addEventListener("click", () => dialog.close("cancel"));
    dialog.addEventListener("close", () => {
      const name = input.value.trim();
      const { id, name: old } = this.list.find((c) => c.name === this.edited.name) ?? this.edited;
      if (dialog.returnValue === "save" && name && name !== old) changed(id, old, name);
    });
  }

  #edit(one) {
    this.edited = one;
    $("class-name").value = one.name;
    $("class-name").dispatchEvent(new Event("input"));
    $("class-dialog").returnValue = "";
    $("class-dialog").showModal();
    $("class-name").select();
  }
}
