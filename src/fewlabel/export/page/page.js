// Classifies photos by the model beside this page, in the browser.
import * as ort from "./runtime/ort.wasm.bundle.min.mjs";

const TOP = 5;
const MAX_PIXELS = 200e6;
const get = (id) => document.getElementById(id);
const rows = [];
let about, session;
let work = Promise.resolve();

const percent = (p) => `${(100 * p).toFixed(p > 0.995 && p < 1 ? 2 : 1)} %`;
const say = (text, isBad = false) => {
  get("status").textContent = text;
  get("status").classList.toggle("bad", isBad);
};

async function start() {
  ort.env.wasm.numThreads = 1; // more need headers that few servers send
  about = await (await fetch("model.json")).json();
  // It warns of constants that it cannot fold.
  const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
  session = await ort.InferenceSession.create("model.onnx", options);
  get("about").textContent = described();
  for (const { max_error: error, threshold } of about.promises) get("promises").append(promise(error, threshold));
  get("files").disabled = false;
  document.body.dataset.ready = "yes";
  say("Ready.");
}

function described() {
  const { accuracy, classes, metric, model_id: id, version } = about;
  const list = classes.length > 12 ? `${classes.slice(0, 12).join(", ")} and ${classes.length - 12} more` : classes.join(", ");
  const estimate = accuracy && accuracy.value !== null
    ? `Expected ${metric}: ${percent(accuracy.value)} (95 % interval ${percent(accuracy.low)} to ${percent(accuracy.high)}). `
    : "";
  return `${estimate}${classes.length} classes: ${list}. Model ${id}, fewlabel ${version}.`;
}

function promise(error, threshold) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = `At most ${+(100 * error).toFixed(1)} % wrong`;
  button.dataset.threshold = threshold;
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    get("least").value = Math.min(100, Math.ceil(200 * threshold) / 2);
    show();
  });
  return button;
}

// The pixels as fewlabel reads them: upright, on the ground of the training images.
async function decoded(file) {
  const options = { imageOrientation: "from-image", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, options);
  if (bitmap.width * bitmap.height > MAX_PIXELS) throw new Error("it has too many pixels");
  // Large photos are made smaller first, as fewlabel decodes large JPEGs.
  const shrink = Math.max(1, Math.floor(Math.min(bitmap.width, bitmap.height) / (2 * Math.max(...about.size))));
  const width = Math.ceil(bitmap.width / shrink);
  const height = Math.ceil(bitmap.height / shrink);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const ground = about.pixels.ground ?? 255;
  context.fillStyle = `rgb(${ground} ${ground} ${ground})`;
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0, j = 0; i < rgba.length; i += 4) {
    rgb[j++] = rgba[i];
    rgb[j++] = rgba[i + 1];
    rgb[j++] = rgba[i + 2];
  }
  return { canvas, tensor: new ort.Tensor("uint8", rgb, [1, height, width, 3]) };
}

async function classify(file) {
  const row = { name: file.name };
  try {
    const { canvas, tensor } = await decoded(file);
    const found = await session.run({ images: tensor });
    row.canvas = canvas;
    row.proba = Array.from(found.probabilities.data);
    const labels = Array.from(found.labels.data, Number);
    // A model of several labels an image says of each whether it is there.
    const has = found.labels.dims.length > 1;
    row.labels = has ? about.classes.filter((_, k) => labels[k] === 1) : [about.classes[labels[0]]];
    row.confidence = has
      ? row.proba.reduce((all, p) => all * Math.max(p, 1 - p), 1)
      : row.proba[labels[0]];
    row.text = row.labels.join(", ") || "none of the labels";
    row.cell = has ? row.labels.join("|") || "|" : row.labels[0];
  } catch (error) {
    row.error = `This browser cannot read it (${error.message || error}).`;
  }
  return row;
}

function take(files) {
  const list = [...files].filter((file) => file.type.startsWith("image/") || !file.type);
  if (!list.length) return say("Those are no images.", true);
  work = work.then(async () => {
    for (const [number, file] of list.entries()) {
      say(`Classifying ${number + 1} of ${list.length}…`);
      // A frame between two photos, so that the page stays alive.
      await new Promise((resolve) => setTimeout(resolve));
      const row = await classify(file);
      rows.push(row);
      get("found").append(card(row));
      show();
    }
    const bad = rows.filter((row) => row.error).length;
    say(`${rows.length - bad} classified${bad ? `, ${bad} could not be read` : ""}.`, bad > 0);
  });
}

function make(tag, text, parent) {
  const element = document.createElement(tag);
  element.textContent = text;
  parent.append(element);
  return element;
}

function card(row) {
  const item = document.createElement("li");
  row.item = item;
  if (row.canvas) {
    row.canvas.setAttribute("role", "img");
    row.canvas.setAttribute("aria-label", row.name);
    row.canvas.classList.toggle("small", Math.max(row.canvas.width, row.canvas.height) <= 64);
    item.append(row.canvas);
  }
  const says = make("div", "", item);
  says.className = "says";
  row.title = make("strong", row.error ? "Not read" : row.text, says);
  make("small", row.error ? `${row.name}: ${row.error}` : row.name, says).title = row.name;
  item.classList.toggle("bad", Boolean(row.error));
  if (row.error) return item;
  const list = make("ol", "", says);
  const order = row.proba.map((p, k) => [p, k]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  for (const [p, k] of order.slice(0, TOP)) {
    const line = make("li", "", list);
    make("span", about.classes[k], line);
    make("b", percent(p), line);
    const meter = make("meter", "", line);
    meter.value = p;
    meter.setAttribute("aria-label", `${about.classes[k]}, ${percent(p)}`);
  }
  return item;
}

const isKept = (row) => !row.error && 100 * row.confidence >= Number(get("least").value);

function show() {
  const least = Number(get("least").value);
  get("tools").hidden = !rows.length;
  get("shown").textContent = `${least} %`;
  for (const button of get("promises").children) {
    const at = Math.min(100, Math.ceil(200 * button.dataset.threshold) / 2);
    button.setAttribute("aria-pressed", String(at === least));
  }
  for (const row of rows.filter((one) => !one.error)) {
    row.item.classList.toggle("unsure", !isKept(row));
    row.title.textContent = isKept(row) ? row.text : `Unsure (${row.text}?)`;
  }
  const kept = rows.filter(isKept).length;
  get("kept").textContent = `${kept} of ${rows.length} labeled, ${rows.length - kept} left for a person.`;
}

function save() {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = rows
    .filter((row) => !row.error)
    .map((row) => [quoted(row.name), quoted(isKept(row) ? row.cell : ""), row.confidence.toFixed(4)].join(","));
  const blob = new Blob([["path,label,confidence", ...lines, ""].join("\n")], { type: "text/csv" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "predictions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

get("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
get("least").addEventListener("input", show);
get("save").addEventListener("click", save);
get("clear").addEventListener("click", () => {
  rows.length = 0;
  get("found").replaceChildren();
  show();
  say("Ready.");
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    get("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && session) take(event.dataTransfer.files);
  });
}
document.addEventListener("paste", (event) => {
  if (session && event.clipboardData.files.length) take(event.clipboardData.files);
});

start().catch((error) => {
  const hint = location.protocol === "file:" ? " Open it through a web server: see README.txt." : "";
  say(`The model could not be loaded (${error.message || error}).${hint}`, true);
});
