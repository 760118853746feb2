// What was answered and is not yet known to be stored: sent in order, tried again while the
// server is away, and kept in the browser, so that closing the page loses nothing.
import { call } from "./api.js";

const MERGED = 100;

export class Outbox {
  constructor(session, { changed, refused }) {
    this.prefix = `fewlabel.outbox.${session}.`;
    this.key = this.prefix + Math.random().toString(36).slice(2);
    this.changed = changed;
    this.refused = refused;
    this.waiting = this.#left();
    this.isAway = false;
    this.isSending = false;
    this.wait = 500;
    addEventListener("beforeunload", (event) => { if (this.waiting.length) event.preventDefault(); });
    addEventListener("online", () => this.#send());
    this.#send();
  }

  get answers() { return this.waiting.filter((op) => op.answer).map((op) => op.answer); }

  answer(...answers) {
    return this.#push(answers.map((answer) => ({ answer })));
  }

  post(method, path, body) { return this.#push([{ method, path, body }]); }

  // Take back what has not been sent; null where it is too late.
  recall() {
    const last = this.waiting.at(-1);
    if (!last?.answer || last.isUnderWay || last.again) return null;
    const batch = this.waiting.filter((op) => op.batch === last.batch);
    if (batch.some((op) => op.isUnderWay || op.again)) return null;
    this.waiting = this.waiting.filter((op) => op.batch !== last.batch);
    this.#keep();
    return batch.map((op) => op.answer);
  }

  #push(ops) {
    const batch = Symbol("batch");
    const promise = new Promise((resolve, reject) => {
      for (const op of ops) this.waiting.push(Object.assign(op, { batch, resolve, reject }));
    });
    // Whoever does not look at the result is told by `refused`.
    promise.catch(() => {});
    this.#keep();
    this.#send();
    return promise;
  }

  async #send() {
    if (this.isSending || !this.waiting.length) return;
    this.isSending = true;
    clearTimeout(this.timer);
    const ops = this.#next();
    ops.forEach((op) => { op.isUnderWay = true; });
    let isDone = true;
    try {
      const found = ops[0].answer
        ? await call("POST", "/api/answers", {
          answers: ops.map((op) => op.answer), again: ops.some((op) => op.again === true),
        })
        : await call(ops[0].method, ops[0].path, ops[0].body);
      ops.forEach((op) => op.resolve?.(found));
      this.isAway = false;
      this.wait = 500;
    } catch (error) {
      if (error.mayPass) {
        isDone = false;
        this.isAway = true;
        this.timer = setTimeout(() => this.#send(), this.wait);
        this.wait = Math.min(this.wait * 1.6, 8000);
        ops.forEach((op) => { op.again = true; op.isUnderWay = false; });
      } else if (ops.length > 1 && ops[0].batch !== ops.at(-1).batch) {
        // One of them is at fault: the others must not be lost with it.
        isDone = false;
        ops.forEach((op) => { op.alone = true; op.isUnderWay = false; });
      } else {
        ops.forEach((op) => op.reject?.(error));
        this.refused(error, ops);
      }
    }
    if (isDone) this.waiting = this.waiting.filter((op) => !ops.includes(op));
    this.isSending = false;
    this.#keep();
    if (!this.isAway) this.#send();
  }

  // One batch is undone as one; several single answers go together when the way was blocked.
  #next() {
    const [first] = this.waiting;
    if (!first.answer) return [first];
    const end = this.waiting.findIndex((op) => op.batch !== first.batch);
    return this.waiting.slice(0, end < 0 ? this.waiting.length : end).slice(0, MERGED);
  }

  #keep() {
    const kept = this.waiting.map(({ method, path, body, answer }) => ({ method, path, body, answer }));
    if (kept.length) localStorage.setItem(this.key, JSON.stringify(kept));
    else localStorage.removeItem(this.key);
    this.changed();
  }

  // What an earlier page of this session could not send; it may have arrived all the same.
  #left() {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix));
    return keys.flatMap((key) => {
      const ops = JSON.parse(localStorage.getItem(key));
      localStorage.removeItem(key);
      return ops.map((op, i) => ({ ...op, batch: `${key}.${i}`, again: true }));
    });
  }
}
