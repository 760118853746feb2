// How far it is, how good the model is, and what it is doing.
import { $, number, percent, svg } from "./api.js";

export function showProgress(state, nLabeled) {
  const n = Math.min(nLabeled, state.n_images);
  const share = (100 * n) / Math.max(state.n_images, 1);
  $("progress").setAttribute("aria-valuenow", share.toFixed(1));
  $("progress").setAttribute("aria-valuetext", `${number(n)} of ${number(state.n_images)}`);
  $("progress").firstElementChild.style.width = `${Math.max(share, n ? 0.4 : 0)}%`;
  $("count").textContent = `${number(n)} of ${number(state.n_images)}`;
}

export function showNumbers(state) {
  const { accuracy, refit, stop } = state;
  $("accuracy").textContent = accuracy ? percent(accuracy.value) : "–";
  $("interval").textContent = accuracy
    ? `${percent(accuracy.low)} to ${percent(accuracy.high)}` : "";
  $("rests").textContent = accuracy ? `Rests on ${accuracy.rests_on}.`
    : "It appears once the model has learned from your labels.";
  $("range").style.left = `${100 * (accuracy?.low ?? 0)}%`;
  $("range").style.width = `${100 * ((accuracy?.high ?? 0) - (accuracy?.low ?? 0))}%`;
  $("target").hidden = stop.target == null;
  $("target").style.left = `${100 * (stop.target ?? 0)}%`;
  $("pace").textContent = state.pace ? Math.round(state.pace) : "–";
  $("skipped").textContent = number(state.n_skipped);
  $("random").textContent = number(state.n_random);
  showRefit(refit);
  drawCurve(state.curve);
}

function showRefit(refit) {
  const [text, bar] = $("refit").children;
  const part = refit.total > 1 ? refit.done / refit.total : 0;
  bar.style.width = refit.running ? `${Math.max(100 * part, 4)}%` : "0";
  $("refit").title = refit.error;
  if (refit.running) text.textContent = `Learning: ${refit.stage || "starting"}…`;
  else if (refit.error) text.textContent = refit.error;
  else text.textContent = refit.round ? `Round ${number(refit.round)} of the model` : "The model learns after every few answers";
}

function drawCurve(curve) {
  const drawing = $("curve");
  const drawn = JSON.stringify(curve);
  if (drawing.dataset.drawn === drawn) return;
  drawing.dataset.drawn = drawn;
  drawing.replaceChildren();
  const add = (...made) => drawing.append(svg(...made));
  const [left, right, top, bottom] = [2, 282, 8, 64];
  add("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "axis" });
  if (curve.length < 2) {
    add("text", { x: left, y: 80 }, "The learning curve appears after two rounds.");
    return;
  }
  const most = curve.at(-1)[0], least = curve[0][0];
  const floor = Math.floor(10 * Math.min(...curve.map((p) => p[2]))) / 10;
  const x = (n) => left + ((right - left) * (n - least)) / Math.max(most - least, 1);
  const y = (v) => bottom - ((bottom - top) * (v - floor)) / Math.max(1 - floor, 0.01);
  const line = (points) => points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" ");
  add("polygon", {
    class: "band",
    points: line([...curve.map((p) => [x(p[0]), y(p[3])]), ...[...curve].reverse().map((p) => [x(p[0]), y(p[2])])]),
  });
  add("polyline", { class: "line", points: line(curve.map((p) => [x(p[0]), y(p[1])])) });
  const [n, value] = curve.at(-1);
  add("circle", { cx: x(n), cy: y(value), r: 3.5, class: "now" });
  add("text", { x: right + 6, y: y(value) + 4 }, percent(value));
  add("text", { x: left, y: 80 }, `${number(least)} labels`);
  add("text", { x: right, y: 80, "text-anchor": "end" }, number(most));
  drawing.setAttribute("aria-label", `Learning curve: ${curve.map((p) => `${percent(p[1])} with ${p[0]} labels`).join(", ")}`);
}
