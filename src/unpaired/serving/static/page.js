// The page: a picture comes in, is translated, and is shown beside what it was.

import { Refusal, pause, served, translate, useToken } from "./api.js";
import * as camera from "./camera.js";
import { clear, showAfter, showBefore } from "./compare.js";
import { prepared, tooLarge } from "./picture.js";

const $ = (id) => document.getElementById(id);
const LOADING = 120; // times that a server which is still loading is asked again

let offer = null; // what the server serves
let chosen = null; // the file
let work = null; // the AbortController of what is going on

function say(sentence, wrong = false) {
  $("status").textContent = sentence;
  $("status").classList.toggle("wrong", wrong);
}

// ---- what is served

async function load() {
  for (let tried = 0; tried < LOADING; tried++) {
    try {
      offer = await served();
      break;
    } catch (error) {
      if (error.status === 401) return askToken();
      say(error.status === 503 ? "The server is loading its models …" : error.message, !error.status);
      await pause(1000 * Math.max(1, error.wait ?? 1));
    }
  }
  if (!offer) return say("The server did not become ready. Please reload the page later.", true);
  $("ask-token").hidden = true;
  $("model").replaceChildren(...offer.models.map((model) => new Option(model.name)));
  $("model").disabled = offer.models.length < 2;
  showModel();
  if (chosen) go();
  else say("Choose a picture to begin.");
}

function askToken() {
  $("token-wrong").hidden = !sessionStorage.getItem("token");
  $("ask-token").hidden = false;
  $("token").focus();
  say("This server asks for a token.");
}

$("ask-token").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken($("token").value.trim());
  load();
});

function showModel() {
  const model = offer.models.find(({ name }) => name === $("model").value);
  const from = model.data ? ` trained on ${model.data}` : "";
  $("about").textContent = `${model.method}${from}, ${model.step} steps`;
  $("directions").replaceChildren(...model.directions.map(({ name, says }, number) => {
    const label = document.createElement("label");
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "direction", value: name, checked: !number });
    label.append(radio, says);
    return label;
  }));
}

// ---- a picture comes in

function take(file) {
  if (!file) return;
  if (file.type && !file.type.startsWith("image/")) {
    say(`${file.name} is no picture.`, true);
    return;
  }
  chosen = file;
  go();
}

$("choose").addEventListener("click", () => $("file").click());
for (const id of ["file", "capture"]) {
  $(id).addEventListener("change", (event) => {
    take(event.target.files[0]);
    event.target.value = ""; // so that the same file can be chosen again
  });
}
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (file) take(file);
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("stage").classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("stage").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("stage").classList.remove("over");
  const file = event.dataTransfer.files[0];
  if (file) take(file);
  else say("That was no file. Save the picture first, then drop it here.", true);
});
$("camera").hidden = !camera.possible;
$("camera").addEventListener("click", () => camera.open(take, (sentence) => say(sentence, true)));

// ---- it is translated

async function go() {
  work?.abort();
  const mine = new AbortController();
  work = mine;
  $("drop").hidden = true;
  $("stage").classList.remove("empty");
  buttons("cancel");
  const picture = await prepared(chosen, Number($("side").value));
  if (mine !== work) return;
  await showBefore(picture.blob);
  if (mine !== work) return;
  if (!offer) return say("The picture is translated as soon as the models are loaded.");
  const excess = tooLarge(picture, offer);
  if (excess) return end(mine, excess);
  $("busy").hidden = false;
  $("stage").classList.add("working");
  const began = performance.now();
  const tell = () => say(`Translating … ${Math.round((performance.now() - began) / 1000)} s`);
  tell();
  let clock = setInterval(tell, 1000);
  const settings = {
    model: $("model").value,
    direction: document.querySelector("[name=direction]:checked").value,
    format: $("format").value,
  };
  try {
    const result = await translate(picture.blob, settings, mine.signal, (seconds) => {
      clearInterval(clock);
      say(`Many pictures are waiting. Yours is tried again in ${seconds} s.`);
      if (seconds === 1) clock = setInterval(tell, 1000);
    });
    if (mine !== work) return;
    const { seen, address } = await showAfter(result);
    const type = result.type.replace("image/", "");
    $("download").href = address;
    $("download").download = `${picture.name}-${settings.model}-${settings.direction}.${type}`;
    const size = picture.width ? `${picture.width} x ${picture.height} pixels, ` : "";
    const took = ((performance.now() - began) / 1000).toFixed(1);
    end(mine, seen ? `Done: ${size}${took} s. Drag the line, or use the arrow keys.` :
      "Done. This browser can't show the result; download it.");
    buttons("download", "another");
  } catch (error) {
    if (mine !== work || error.name === "AbortError") return;
    if (!(error instanceof Refusal)) console.error(error);
    end(mine, error instanceof Refusal ? error.message : "Something went wrong in this page.");
    if (error.status === 401) askToken();
  } finally {
    clearInterval(clock);
  }

  function end(whose, sentence) {
    if (whose !== work) return;
    work = null;
    idle();
    say(sentence, !sentence.startsWith("Done"));
    buttons("again", "another");
  }
}

function idle() {
  $("busy").hidden = true;
  $("stage").classList.remove("working");
}

function buttons(...shown) {
  for (const id of ["download", "again", "cancel", "another"]) $(id).hidden = !shown.includes(id);
}

function cancel() {
  work?.abort();
  work = null;
  idle();
}

function startOver() {
  cancel();
  chosen = null;
  clear();
  $("drop").hidden = false;
  $("stage").classList.add("empty");
  buttons();
  say("Choose a picture to begin.");
  $("choose").focus();
}

$("again").addEventListener("click", go);
$("another").addEventListener("click", startOver);
$("cancel").addEventListener("click", () => {
  cancel();
  say("Cancelled.");
  buttons("again", "another");
});
$("model").addEventListener("change", () => {
  showModel();
  if (chosen) go();
});
for (const id of ["directions", "side", "format"]) {
  $(id).addEventListener("change", () => {
    if (chosen) go();
  });
}

load();
