// Which classes are taken for which; every count opens its images.
import { $, call, element, number } from "./api.js";

const MOST = 30, LISTED = 12;

export async function drawConfusion(open) {
  const found = await call("GET", "/api/review/confusion");
  const { classes, counts, several } = found;
  const kinds = several ? ["right", "missed", "only the model"] : classes;
  const cells = counts.flatMap((row, i) => row.map((n, j) => ({ i, j, n })));
  const mistakes = cells.filter(({ i, j, n }) => n && (several ? j > 0 : i !== j)).sort((a, b) => b.n - a.n);
  const most = Math.max(1, ...mistakes.map((cell) => cell.n));
  const goTo = ({ i, j }) => open(!several ? { label: i, class: j } : [
    { label: i, class: i }, { label: i, not_class: i }, { not_label: i, class: i }][j]);
  const says = ({ i, j }) => (several ? `${classes[i]}: ${kinds[j]}` : `${classes[i]}, taken for ${classes[j]}`);
  const cellOf = (cell) => {
    const isRight = several ? cell.j === 0 : cell.i === cell.j;
    if (!cell.n) return element("td", { class: "none" }, "·");
    const button = element("button", { type: "button", "aria-label": `${says(cell)}: ${number(cell.n)}`, onclick: () => goTo(cell) }, number(cell.n));
    const row = counts[cell.i].reduce((a, b) => a + b, 0);
    button.style.setProperty("--part", `${Math.round(isRight ? 8 + (32 * cell.n) / row : 10 + (40 * cell.n) / most)}%`);
    return element("td", { class: isRight ? "right" : "wrong" }, button);
  };
  const list = element("ol", {}, ...mistakes.slice(0, LISTED).map((cell) => element("li", {}, element("button", {
    type: "button", onclick: () => goTo(cell) }, element("span", {}, says(cell)), element("b", {}, number(cell.n))))));
  const table = classes.length > MOST || !counts.length ? "" : element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of confusions" }, element("table", {},
    element("thead", {}, element("tr", {}, element("td", {}), ...kinds.map((name) => element("th", { scope: "col" }, element("span", {}, name))))),
    element("tbody", {}, ...counts.map((row, i) => element("tr", {}, element("th", { scope: "row", title: classes[i] }, classes[i]),
      ...row.map((n, j) => cellOf({ i, j, n })))))));
  $("matrix").replaceChildren(table, element("div", { class: "most" }, element("h2", {}, "Most frequent"), mistakes.length ? list : element("p", {}, found.n ? "No label is predicted otherwise." : "")));
  return found.n ? `${number(found.n)} labeled images; each row is a label, each column what models say that have not seen it. A count opens its images.`
    : "Confusions appear once the model has learned from your labels.";
}
