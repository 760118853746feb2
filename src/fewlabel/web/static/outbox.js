// What somebody did and is not yet known to be stored: sent in order, tried again while the
// server is away, and kept in the browser, so that closing the page loses nothing.
import { $, call, number } from "./api.js";

export class Outbox {
  constructor(session, { changed, refused }) {
    this.prefix = `fewlabel.outbox.${session}.`;
    this.key = this.prefix + Math.random().toString(36).slice(2);
    this.changed = changed;
    this.refused = refused;
    this.waiting = this.#left();
    this.isAway = false;
    this.nPosted = 0;
    this.pause = 500;
    addEventListener("beforeunload", (event) => { if (this.waiting.length) event.preventDefault(); });
    addEventListener("online", () => this.#send());
    this.#show();
    this.#send();
  }

  get answers() { return this.waiting.flatMap((op) => op.body?.answers ?? []); }

  answer(answers, leftOut = []) { return this.post("POST", "/api/answers", { answers, left_out: leftOut }); }

  post(method, path, body) {
    const op = { method, path, body };
    const done = new Promise((resolve, reject) => { Object.assign(op, { resolve, reject }); });
    // Whoever does not look at the result is told by `refused`.
    done.catch(() => {});
    this.waiting.push(op);
    this.nPosted += 1;
    this.#keep();
    this.#send();
    return done;
  }

  // Take back answers that have never been sent; false where it is too late.
  recall() {
    const last = this.waiting.at(-1);
    if (!last?.body?.answers || last.isTried) return false;
    this.waiting.pop();
    this.#keep();
    return true;
  }

  async #send() {
    const [op] = this.waiting;
    if (this.isSending || !op) return;
    this.isSending = true;
    clearTimeout(this.timer);
    // It may have arrived though nobody heard so: the server leaves out what it has.
    const body = op.isTried && op.body?.answers ? { ...op.body, again: true } : op.body;
    op.isTried = true;
    try {
      const found = await call(op.method, op.path, body);
      op.resolve?.(found);
      this.#done(op);
    } catch (error) {
      this.isAway = error.mayPass;
      if (error.mayPass) {
        this.timer = setTimeout(() => this.#send(), this.pause);
        this.pause = Math.min(this.pause * 1.6, 8000);
      } else {
        op.reject?.(error);
        this.#done(op);
        this.refused(error, op);
      }
    }
    this.isSending = false;
    this.#keep();
    if (!this.isAway) this.#send();
  }

  #done(op) {
    this.waiting = this.waiting.filter((other) => other !== op);
    this.isAway = false;
    this.pause = 500;
  }

  #keep() {
    const kept = this.waiting.map(({ method, path, body, isTried }) => ({ method, path, body, isTried }));
    if (kept.length) localStorage.setItem(this.key, JSON.stringify(kept));
    else localStorage.removeItem(this.key);
    this.#show();
    clearTimeout(this.soon);
    this.soon = setTimeout(this.changed, 250);
  }

  #show() {
    const n = this.waiting.length, box = $("saved");
    box.dataset.state = this.isAway ? "away" : n ? "saving" : "saved";
    box.lastElementChild.textContent = this.isAway ? `${number(Math.max(this.answers.length, n))} not saved yet` : n ? "Saving…" : "All saved";
    box.title = this.isAway ? "The server is away: what you answer is kept here and sent again." : "";
  }

  // What earlier pages of this session could not send.
  #left() {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix));
    const ops = keys.flatMap((key) => JSON.parse(localStorage.getItem(key)));
    if (ops.length) localStorage.setItem(this.key, JSON.stringify(ops));
    keys.forEach((key) => localStorage.removeItem(key));
    return ops.map((op) => ({ ...op, isTried: true }));
  }
}
