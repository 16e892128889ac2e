// The controls around the rows: chips, search, speed, menus.

import { clock } from "./clock.js";
import { $, el, settings } from "./element.js";
import { chips } from "./query.js";
import { params, rates, readSearch, state } from "./state.js";

export function mistake(text) {
  $("mistake").textContent = text;
  $("mistake").hidden = !text;
  $("search").setAttribute("aria-invalid", String(Boolean(text)));
}

// readBox takes over what stands in the search box, and says what is wrong.
export function readBox() {
  try {
    readSearch($("search").value);
    mistake("");
    return true;
  } catch (err) {
    mistake(err.message);
    return false;
  }
}

// addWord puts a word into the search box, once, and without its opposite.
export function addWord(word) {
  const input = $("search");
  const opposite = word[0] === "-" ? word.slice(1) : "-" + word;
  const have = ` ${input.value.trim()} `.replace(` ${opposite} `, " ");
  input.value = (have.includes(` ${word} `) ? have : have + word).trim();
  readBox();
}

// drawControls shows what the reader has chosen; drop is called after a filter
// was dropped, setRange to drop the time range.
export function drawControls({ span, drop, setRange }) {
  $("pause").setAttribute("aria-pressed", String(state.paused));
  for (const button of document.querySelectorAll("button[data-level]")) button.setAttribute("aria-pressed", String(state.levels.has(button.dataset.level)));
  const i = rates.indexOf(state.rate);
  if (Number($("rate").value) !== i) $("rate").value = i;
  const [short, long] = state.rate === Infinity ? ["all", "all records"] : state.rate === 0 ? ["stop", "stopped"] : [state.rate + "/s", state.rate + " records a second"];
  $("rate-text").textContent = short;
  $("rate").setAttribute("aria-valuetext", long);
  for (const format of ["jsonl", "text"]) {
    const p = params({ range: true });
    p.set("format", format);
    $("download-" + format).href = "download?" + p;
  }

  // Filters that no other control shows, each to be dropped.
  const items = [];
  if (state.range) items.push(["time", span(state.range[0], state.range[1] + 1), () => setRange(null)]);
  const of = (kind, set, name) => items.push([kind, name, () => { set.delete(name); drop(); }]);
  for (const [name, kind] of state.loggers) of(kind === "only" ? "logger" : "not", state.loggers, name);
  for (const host of state.hosts) of("host", state.hosts, host);
  for (const process of state.processes) of("from", state.processes, process);
  $("active").replaceChildren(...items.map(([kind, name, onclick]) => el("button", { type: "button", title: "Drop the filter " + name, onclick }, el("i", {}, kind), " ", el("span", {}, name), el("b", { "aria-hidden": "true" }, "✕"))));
}

export function setUp({ filter, speed, redraw }) {
  let typing;
  $("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => readBox() && filter(), 120);
  });
  $("search").addEventListener("keydown", (event) => {
    if (event.isComposing) return; // Enter takes over what an input method offers
    if (event.key === "Enter") {
      clearTimeout(typing);
      if (readBox()) filter();
      $("rows").focus();
    } else if (event.key === "Escape") {
      if (!$("search").value) $("rows").focus();
      event.stopPropagation();
    }
  });

  $("rate").addEventListener("input", () => {
    state.rate = rates[Number($("rate").value)];
    speed();
  });

  for (const button of document.querySelectorAll("button[data-level]")) {
    button.addEventListener("click", (event) => {
      const name = button.dataset.level;
      if (event.shiftKey) {
        const was = state.levels.size === 1 && state.levels.has(name);
        state.levels = was ? new Set(chips) : new Set([name]);
      } else if (!state.levels.delete(name)) state.levels.add(name);
      filter();
    });
  }

  for (const name of ["download", "view"]) setUpMenu(name);
  $("loggers-toggle").addEventListener("click", () => toggleSide());
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("#side, #loggers-toggle")) toggleSide(false);
  });

  // A mouse that pressed a button has not left the log: Space still pauses.
  document.addEventListener("click", (event) => {
    if (event.detail && event.target.closest("#chips button, #side button, #bar > button, #follow, #clear, #empty button")) $("rows").focus({ preventScroll: true });
  });

  setUpView(redraw);
}

// toggleSide shows the loggers where there is no room beside the rows.
export function toggleSide(on) {
  on = document.body.classList.toggle("with-side", on);
  $("loggers-toggle").setAttribute("aria-expanded", String(on));
}

function setUpMenu(name) {
  const button = $(name);
  const menu = $(name + "-menu");
  const toggle = (on) => {
    menu.hidden = !on;
    button.setAttribute("aria-expanded", String(on));
  };
  button.addEventListener("click", () => toggle(menu.hidden));
  menu.parentElement.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || menu.hidden) return;
    toggle(false);
    button.focus();
    event.stopPropagation();
  });
  // Whoever leaves by a key or by the mouse is done with it.
  menu.parentElement.addEventListener("focusout", (event) => event.relatedTarget && !menu.parentElement.contains(event.relatedTarget) && toggle(false));
  document.addEventListener("pointerdown", (event) => !menu.parentElement.contains(event.target) && toggle(false));
  menu.addEventListener("click", (event) => event.target.closest("a") && toggle(false));
}

// Columns, with what is shown unless the reader decided.
const columns = { time: true, level: true, logger: true, attrs: true, origin: false, tall: false };

export function setShown(name, on) {
  document.body.classList.toggle("with-" + name, on);
  $("show-" + name).checked = on;
}

// showOrigin shows where records come from once that differs.
export function showOrigin() {
  if (settings.get("origin") === null) setShown("origin", true);
}

let redrawAll = () => {};

export function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  settings.set("theme", theme);
  document.querySelector(`[name=theme][value=${theme}]`).checked = true;
  redrawAll();
}

export function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function setClock(mode) {
  clock.mode = mode;
  settings.set("clock", mode);
  document.querySelector(`[name=clock][value=${mode}]`).checked = true;
  redrawAll();
}

function setUpView(redraw) {
  for (const [name, on] of Object.entries(columns)) {
    const saved = settings.get(name);
    setShown(name, saved === null ? on : saved === "1");
    $("show-" + name).addEventListener("change", (event) => {
      setShown(name, event.target.checked);
      settings.set(name, event.target.checked ? "1" : "0");
      redrawAll();
    });
  }
  if (["light", "dark"].includes(settings.get("theme"))) setTheme(settings.get("theme"));
  if (["utc", "ago"].includes(settings.get("clock"))) setClock(settings.get("clock"));
  redrawAll = redraw;
  for (const radio of document.querySelectorAll("[name=theme]")) radio.addEventListener("change", () => setTheme(radio.value));
  for (const radio of document.querySelectorAll("[name=clock]")) radio.addEventListener("change", () => setClock(radio.value));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
