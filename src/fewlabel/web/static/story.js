// What was said of an image, and what the model looked at in it.
import { $, call, element, number, percent } from "./api.js";

// `shown` gives the image that is looked at, `past` are the rounds, and `text` writes labels.
export async function drawStory(shown, past, text) {
  const card = shown();
  $("story").replaceChildren();
  if (!card) return;
  try {
    const [answers, opinions] = await Promise.all([call("GET", `/api/images/${card.image}/history`), call("GET", `/api/images/${card.image}/opinions`)]);
    if (card !== shown()) return;
    const how = { typed: "answered", confirmed: "confirmed the suggestion", group: "confirmed a group", review: "reviewed", table: "edited the table", import: "imported" };
    const says = { propagated: "from look-alikes", model: "from the image", tested: "without having seen the label" };
    // Where several machines learn, two rounds may have one number: the last one before the answer.
    const by = (a) => past.findLast((r) => r.number === a.round && r.at <= a.at);
    const round = (a) => (a.round ? `, round ${a.round}${by(a) ? ` of ${number(by(a).n_labels)} labels` : ""}` : "");
    const lines = [
      ...answers.map((a) => ({ at: a.at, who: a.annotator || "Somebody", what: a.labels == null ? "skipped" : text(a.labels),
        how: `${how[a.origin]}${a.suggested ? `; shown: ${text(a.suggested)}${a.confidence == null ? "" : ` ${percent(a.confidence)}`}${round(a)}` : ""}${a.revoked ? "; taken back" : ""}`, isGone: a.revoked })),
      ...opinions.map((o) => ({ at: o.at, who: `Model, round ${o.round}`, what: `${text(o.labels)} ${percent(o.confidence)}`, how: says[o.source] })),
    ].sort((a, b) => new Date(b.at) - new Date(a.at));
    $("story").replaceChildren(...lines.map((line) => element("li", { class: line.isGone ? "gone" : null },
      element("b", {}, line.what), element("span", {}, `${line.who}, ${line.how}`), element("time", { datetime: line.at }, new Date(line.at).toLocaleString()))));
  } catch { /* The image itself is there; `refresh` says that the server is away. */ }
}

export async function explain(shown) {
  const card = shown();
  if (!card) return;
  $("explain-picture").replaceChildren();
  if (!$("explain-dialog").open) $("explain-dialog").showModal();
  while (card === shown() && $("explain-dialog").open) {
    const response = await fetch(`/api/images/${card.image}/explanation`).catch(() => null);
    if (response?.status === 200) {
      const image = element("img", { alt: `What the model looked at in ${card.name}` });
      image.src = URL.createObjectURL(await response.blob());
      image.addEventListener("load", () => URL.revokeObjectURL(image.src));
      $("explain-picture").replaceChildren(image);
      $("explain-state").textContent = "";
      return;
    }
    $("explain-state").textContent = response ? (await response.json()).detail : "The server does not answer.";
    if (response?.status !== 202) return;
    await new Promise((done) => setTimeout(done, 700));
  }
}
