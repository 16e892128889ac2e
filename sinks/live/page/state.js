// What the reader has chosen. All of it stands in the address behind the #, so
// that a link shows the same.

import { chips, chipOf, matches, parseLevel, parseQuery, takesLogger } from "./query.js";

export const rates = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, Infinity];

export const state = {
  levels: new Set(chips),
  loggers: new Map(), // name -> "only" or "hide"
  hosts: new Set(),
  processes: new Set(),
  q: "",
  terms: [], // of q
  rate: Infinity,
  paused: false,
  range: null, // [from, to] in milliseconds
  at: null, // id of the record that is open
  generation: 0, // of the filters: what has passed them needs no second look
};

export const isFiltered = () => state.levels.size < chips.length || state.loggers.size > 0 || state.hosts.size > 0 || state.processes.size > 0 || state.terms.length > 0;

const inRange = (r) => !state.range || (r.ms >= state.range[0] && r.ms <= state.range[1]);

export const passes = (r) => (r.gap ? !state.range : passesFilters(r) && inRange(r));

// passesFilters leaves the time range out.
export function passesFilters(r) {
  if (r.gap) return false;
  if (r.passed === state.generation) return true;
  if (!state.levels.has(chips[r.chip])) return false;
  if (state.loggers.size && !takesLogger(state.loggers, r.n || "")) return false;
  if (state.hosts.size && !state.hosts.has(r.h || "")) return false;
  if (state.processes.size && !state.processes.has(r.p || "")) return false;
  if (state.terms.length && !matches(state.terms, r)) return false;
  r.passed = state.generation;
  return true;
}

// readSearch takes a search over, or throws an Error that says what is wrong.
export function readSearch(text) {
  state.terms = parseQuery(text);
  state.q = text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "");
}

export function showAll() {
  state.levels = new Set(chips);
  state.loggers.clear();
  state.hosts.clear();
  state.processes.clear();
  state.range = null;
  readSearch("");
}

// levelsParam is a lowest level, or a set, which has a comma even for one.
function levelsParam() {
  const on = chips.filter((name) => state.levels.has(name));
  if (on.length === chips.length) return "";
  if (on.length && chips.indexOf(on[0]) === chips.length - on.length) return on[0];
  return on.join(",") + (on.length < 2 ? "," : "");
}

// params are the filters as the server reads them.
export function params({ range = false } = {}) {
  const p = new URLSearchParams();
  if (levelsParam()) p.set("level", levelsParam());
  for (const [name, kind] of state.loggers) p.append("logger", (kind === "hide" ? "!" : "") + name);
  for (const host of state.hosts) p.append("host", host);
  for (const process of state.processes) p.append("process", process);
  if (state.q) p.set("q", state.q);
  if (range && state.range) {
    p.set("from", new Date(state.range[0]).toISOString());
    p.set("to", new Date(state.range[1]).toISOString());
  }
  return p;
}

let written = ""; // what the address says

// readFragment takes what a link says. A part of it that makes no sense is left
// out, so that the rest still works.
export function readFragment(fragment) {
  written = fragment;
  const p = new URLSearchParams(fragment);
  const level = p.get("level") || "";
  const names = level.split(",").filter(Boolean).map(parseLevel).filter((n) => n !== null).map(chipOf);
  if (!names.length && level !== ",") state.levels = new Set(chips);
  else if (level.includes(",")) state.levels = new Set(names.map((i) => chips[i]));
  else state.levels = new Set(chips.slice(names[0]));
  state.loggers = new Map(p.getAll("logger").filter((s) => s.replace("!", "")).map((s) => (s[0] === "!" ? [s.slice(1), "hide"] : [s, "only"])));
  state.hosts = new Set(p.getAll("host").filter(Boolean));
  state.processes = new Set(p.getAll("process").filter(Boolean));
  const from = Date.parse(p.get("from"));
  const to = Date.parse(p.get("to"));
  state.range = from <= to ? [from, to] : null;
  const rate = Number(p.get("rate"));
  state.rate = !p.has("rate") || !(rate >= 0) ? Infinity : rates.findLast((n) => n <= rate) || (rate > 0 ? 1 : 0);
  state.at = p.get("at");
  return { q: p.get("q") || "", paused: p.get("paused") === "1" };
}

// writeFragment keeps the address up to date.
export function writeFragment() {
  const p = params({ range: true });
  if (state.rate !== Infinity) p.set("rate", state.rate);
  if (state.paused) p.set("paused", "1");
  if (state.at) p.set("at", state.at);
  const fragment = p.toString();
  if (fragment === written) return;
  written = fragment;
  history.replaceState(null, "", fragment ? "#" + fragment : location.pathname + location.search);
}

// isOurs reports whether the fragment is the one that was written or read last.
export const isOurs = (fragment) => fragment === written;
