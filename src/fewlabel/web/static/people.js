// Who answers, and how far people agree.
import { $, call, element, number, percent } from "./api.js";

const known = (value, text) => (value == null ? "–" : text(value));
const heading = (text) => element("th", { scope: "col" }, text);

// Draw it, and return it; a name opens the images of that person.
export async function drawPeople(open) {
  const found = await call("GET", "/api/people");
  const rows = found.annotators.map((one) => element("tr", {},
    element("th", { scope: "row" }, one.name
      ? element("button", { type: "button", title: "Show these images", onclick: () => open(one.name) }, one.name) : "(no name)"),
    ...[number(one.n), number(one.n_skipped), known(one.a_minute, Math.round), known(one.differs, percent)].map((text) => element("td", {}, text))));
  $("annotators").replaceChildren(
    element("thead", {}, element("tr", {}, ...["Person", "Answers", "Skipped", "A minute", "Others differ"].map(heading))),
    element("tbody", {}, ...rows));
  $("kappa").textContent = known(found.kappa, (kappa) => kappa.toFixed(2));
  $("kappa-of").textContent = found.method ? `${found.method === "Cohen" ? "Cohen’s" : "Fleiss’"} kappa` : "";
  $("kappa-says").textContent = found.n_shared
    ? `${found.reading} ${found.n_shared === 1 ? "One image has" : `${number(found.n_shared)} images have`} answers of several people; ${percent(found.agreed)} of the pairs of answers are the same.`
    : "No image has answers of two people yet: start with --repeats 2 to ask for them.";
  $("kappas").replaceChildren(...found.by_class.map(([name, kappa]) => element("li", {},
    element("span", {}, name), element("b", {}, known(kappa, (value) => value.toFixed(2))))));
  $("kappas").parentElement.hidden = !found.n_shared;
  $("rule").textContent = `${found.rule}${found.n_settled ? ` A review has settled ${number(found.n_settled)}.` : ""}`;
  $("settle").disabled = !found.n_disputed;
  $("settle").textContent = found.n_disputed ? `Settle ${number(found.n_disputed)}` : "Nothing to settle";
  return found;
}
