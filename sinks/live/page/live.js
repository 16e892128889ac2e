import { draw, el } from "./details.js";
import { Histogram } from "./histogram.js";
import { chips, chipOf, covers, matches, parseLevel, parseQuery, takesLogger } from "./query.js";
import { Rows } from "./rows.js";

const $ = (id) => document.getElementById(id);
const rates = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, Infinity];
const maxKept = 100_000; // records on this page
const maxWaiting = 50_000; // records that arrive during a pause
const backlog = 5000;
const number = new Intl.NumberFormat("en");

// What the reader has chosen; all of it stands in the fragment.
const state = { levels: new Set(chips), loggers: new Map(), hosts: new Set(), processes: new Set(), q: "", rate: Infinity, paused: false, range: null, at: null };
let terms = [];

// What has come. A record's k orders it over restarts of the server.
let kept = [];
let view = kept;
let waiting = [];
let waitingLost = 0;
let inbox = [];
const known = { loggers: new Map(), hosts: new Map(), processes: new Map(), levels: [0, 0, 0, 0, 0] };
let received = 0;
let skipped = 0;

const rows = new Rows($("rows"), { time: timeOf, select: (i) => open(i) });
rows.changed = () => drawFollow();

// --- filters -------------------------------------------------------------

const isFiltered = () => state.levels.size < chips.length || state.loggers.size > 0 || state.hosts.size > 0 || state.processes.size > 0 || terms.length > 0;

function passes(r) {
  if (r.gap) return !state.range;
  if (!state.levels.has(chips[r.chip])) return false;
  if (state.loggers.size && !takesLogger(state.loggers, r.n || "")) return false;
  if (state.hosts.size && !state.hosts.has(r.h || "")) return false;
  if (state.processes.size && !state.processes.has(r.p || "")) return false;
  if (state.range && (r.ms < state.range[0] || r.ms > state.range[1])) return false;
  return !terms.length || matches(terms, r);
}

// levelsParam is a lowest level, or a set, which has a comma even for one.
function levelsParam() {
  const on = chips.filter((name) => state.levels.has(name));
  if (on.length === chips.length) return "";
  if (on.length && chips.indexOf(on[0]) === chips.length - on.length) return on[0];
  return on.join(",") + (on.length < 2 ? "," : "");
}

function params({ range = false, view = false } = {}) {
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
  if (view) {
    if (state.rate !== Infinity) p.set("rate", state.rate);
    if (state.paused) p.set("paused", "1");
    if (state.at) p.set("at", state.at);
  }
  return p;
}

// readFragment takes what a link says. A part of it that makes no sense is left
// out, so that the rest still works.
function readFragment() {
  const p = new URLSearchParams(location.hash.slice(1));
  const level = p.get("level") || "";
  const names = level.split(",").filter(Boolean).map(parseLevel).filter((n) => n !== null).map(chipOf);
  if (!names.length && level !== ",") state.levels = new Set(chips);
  else if (level.includes(",")) state.levels = new Set(names.map((i) => chips[i]));
  else state.levels = new Set(chips.slice(names[0]));
  state.loggers = new Map(p.getAll("logger").filter((s) => s.replace("!", "")).map((s) => (s[0] === "!" ? [s.slice(1), "hide"] : [s, "only"])));
  state.hosts = new Set(p.getAll("host"));
  state.processes = new Set(p.getAll("process"));
  const from = Date.parse(p.get("from"));
  const to = Date.parse(p.get("to"));
  state.range = from <= to ? [from, to] : null;
  state.rate = p.has("rate") && rates.includes(Number(p.get("rate"))) ? Number(p.get("rate")) : Infinity;
  if (p.has("rate") && Number(p.get("rate")) > 0 && !rates.includes(Number(p.get("rate")))) {
    state.rate = rates.findLast((n) => n <= Number(p.get("rate"))) || 1;
  }
  state.at = p.get("at");
  $("search").value = p.get("q") || "";
  readSearch();
  return p.get("paused") === "1";
}

function readSearch() {
  const input = $("search");
  try {
    terms = parseQuery(input.value);
    state.q = input.value.trim();
    mistake("");
    return true;
  } catch (err) {
    mistake(err.message);
    return false;
  }
}

function mistake(text) {
  $("mistake").textContent = text;
  $("mistake").hidden = !text;
  $("search").setAttribute("aria-invalid", String(Boolean(text)));
}

let written = "";
function writeFragment() {
  const fragment = params({ range: true, view: true }).toString();
  if (fragment === written) return;
  written = fragment;
  history.replaceState(null, "", fragment ? "#" + fragment : location.pathname + location.search);
}

// filter shows at once what is here, and gets from the server what else passes.
let reconnecting;
function filter({ reconnect = true } = {}) {
  const selected = view[rows.selected];
  recount();
  view = isFiltered() || state.range ? kept.filter(passes) : kept;
  rows.selected = selected ? view.indexOf(selected) : -1;
  if (state.range) rows.following = false;
  rows.show(view);
  if (state.range) {
    $("rows").scrollTop = 0;
    loadRange();
  } else if (rows.selected >= 0 && !rows.following) rows.goTo(rows.selected);
  writeFragment();
  drawControls();
  if (!reconnect) return;
  clearTimeout(reconnecting);
  reconnecting = setTimeout(() => connect({ fresh: true }), 150);
}

// --- the stream ----------------------------------------------------------

let source = null;
let boot = "";
let epoch = 0;
let lastID = "";
let failures = 0;
let retry;

function connect({ fresh = false } = {}) {
  clearTimeout(retry);
  clearTimeout(reconnecting);
  source?.close();
  source = null;
  if (state.rate === 0) return drawConnection("stopped");
  const p = params();
  if (state.rate !== Infinity) p.set("rate", state.rate);
  if (fresh || !lastID) p.set("backlog", backlog);
  else p.set("after", lastID);
  const es = new EventSource("events?" + p);
  source = es;
  const on = (type, f) => es.addEventListener(type, (event) => {
    if (source !== es) return;
    if (event.lastEventId) lastID = event.lastEventId;
    f(JSON.parse(event.data));
  });
  on("hello", (hello) => {
    failures = 0;
    notice("");
    if (boot && hello.boot !== boot) epoch++;
    boot = hello.boot;
    for (const name of hello.loggers) know(known.loggers, name, 0);
    for (const name of hello.hosts) know(known.hosts, name, 0);
    if (fresh) {
      known.levels = chips.map((name) => hello.levels[name] || 0);
      countedTo = epoch * 1e12 + hello.head;
    }
    drawConnection("live");
    drawSide();
    drawLevels();
  });
  on("b", (batch) => take(batch));
  on("gap", (gap) => gapCame(gap));
  es.onerror = () => {
    if (source !== es) return;
    es.close();
    source = null;
    again();
  };
}

// again tries until the server is back. EventSource would do it by itself, but
// not after an answer such as 502, and it would not say why.
async function again() {
  drawConnection("lost");
  let status = 0;
  try {
    status = (await fetch("stats", { cache: "no-store" })).status;
  } catch {
    // no answer at all
  }
  if (source) return;
  if (status === 401 || status === 403) {
    drawConnection("refused");
    notice("The program has a new token. Open the address that it printed when it started.");
  }
  if (status === 503) notice("Too many pages are open on this log.");
  failures++;
  retry = setTimeout(() => connect(), Math.min(250 * 2 ** failures, 8000));
}

// A hidden page gives its connection back, of which a browser has few, and goes
// on where it was.
let hiding;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      source?.close();
      source = null;
      clearTimeout(retry);
    }, 20_000);
  } else if (!source) connect();
});

function know(map, name, n) {
  map.set(name, (map.get(name) || 0) + n);
}

function prepare(r) {
  r.k = epoch * 1e12 + r.s;
  r.chip = chipOf(r.l);
  r.m ??= "";
  r.ms = r.t ? Date.parse(r.t) : lastMs;
  lastMs = r.ms;
  return r;
}
let lastMs = Date.now();

// What the server sends again after a change of filters is not counted again.
let seenTo = -1;
let countedTo = -1;

function take(batch) {
  for (const r of batch) {
    prepare(r);
    if (r.k > countedTo) {
      countedTo = r.k;
      known.levels[r.chip]++;
    }
    if (r.k <= seenTo) continue;
    seenTo = r.k;
    received++;
    if (r.n) know(known.loggers, r.n, 1);
    if (r.h) know(known.hosts, r.h, 1);
    if (r.p) know(known.processes, r.p, 1);
  }
  inbox.push(batch);
  schedule();
}

function gapCame(gap) {
  if (gap.why === "rate") {
    skipped += gap.dropped;
    return schedule();
  }
  const m = gap.why === "restart" ? "The server was restarted. What is kept since then follows." : `${number.format(gap.dropped)} records came and went before this page could get them.`;
  inbox.push([{ gap: true, m, k: epoch * 1e12 + gap.to + 0.5, ms: lastMs, l: 0, chip: 1, s: 0 }]);
  schedule();
}

let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  // A hidden page gets no frames and must not collect without end.
  if (document.hidden) setTimeout(frame, 200);
  else requestAnimationFrame(frame);
}

function frame() {
  scheduled = false;
  const batches = inbox;
  inbox = [];
  for (const batch of batches) ingest(batch);
  trim();
  rows.show(view);
  drawCounts();
}

function ingest(batch) {
  const newest = kept.length ? kept[kept.length - 1].k : -Infinity;
  if (state.paused) {
    const old = frozen === null ? [] : batch.filter((r) => r.k <= frozen);
    if (old.length) merge(old);
    for (const r of batch) if (frozen === null || r.k > frozen) waiting.push(r);
    if (waiting.length > maxWaiting) {
      waitingLost += waiting.length - maxWaiting;
      waiting = waiting.slice(-maxWaiting);
    }
    return;
  }
  if (batch[0].k > newest) append(batch);
  else merge(batch);
}

function append(batch) {
  for (const r of batch) {
    kept.push(r);
    histogram.count(r);
    if (view !== kept && passes(r)) view.push(r);
  }
}

// merge puts records in among those that are here, some of which it may have.
function merge(batch) {
  const have = new Set();
  const from = batch[0].k;
  for (let i = kept.length - 1; i >= 0 && kept[i].k >= from; i--) have.add(kept[i].k);
  const added = batch.filter((r) => !have.has(r.k));
  if (!added.length) return;
  const selected = view[rows.selected];
  kept = kept.concat(added).sort((a, b) => a.k - b.k);
  for (const r of added) histogram.count(r);
  view = isFiltered() || state.range ? kept.filter(passes) : kept;
  if (selected) rows.selected = view.indexOf(selected);
}

function trim() {
  if (kept.length <= maxKept + 10_000) return;
  const gone = kept.length - maxKept;
  const newestGone = kept[gone - 1].k;
  const same = view === kept;
  kept = kept.slice(gone);
  let dropped = gone;
  if (same) view = kept;
  else {
    dropped = view.findIndex((r) => r.k > newestGone);
    if (dropped < 0) dropped = view.length;
    view = view.slice(dropped);
  }
  rows.show(view, dropped);
}

// --- pause ---------------------------------------------------------------

let frozen = null;

function pause(on) {
  if (on === state.paused) return;
  if (on) {
    // What has come but was not drawn waits too: what is seen stays.
    frozen = kept.length ? kept[kept.length - 1].k : null;
    state.paused = true;
    rows.following = false;
    rows.paint();
  } else {
    state.paused = false;
    const batch = waiting;
    waiting = [];
    if (waitingLost) {
      batch.unshift({ gap: true, m: `${number.format(waitingLost)} records came and went during the pause.`, k: batch[0].k - 0.5, ms: batch[0].ms, l: 0, chip: 1, s: 0 });
      waitingLost = 0;
    }
    if (batch.length) ingest(batch);
    trim();
    if (state.rate === 0) {
      state.rate = Infinity;
      connect();
    }
    if (!state.range) rows.follow();
    rows.show(view);
  }
  say(on ? "Paused" : "Live");
  writeFragment();
  drawControls();
  drawCounts();
}

// --- more from the server ------------------------------------------------

let loading = 0;
async function loadRange() {
  const mine = ++loading;
  const p = params({ range: true });
  p.set("limit", "1000");
  try {
    for (let after = 0, pages = 0; pages < 20 && mine === loading; pages++) {
      p.set("after", after);
      const answer = await fetch("records?" + p);
      if (!answer.ok || mine !== loading) return;
      const got = await answer.json();
      if (got.boot === boot && got.records.length) {
        merge(got.records.map(prepare));
        after = got.records[got.records.length - 1].s;
        rows.show(view);
        drawCounts();
      }
      if (!got.more || !got.records.length) return;
    }
  } catch {
    // what is here is shown
  }
}

// --- the time range ------------------------------------------------------

const histogram = new Histogram($("histogram"), { clock, isUTC: () => clockMode === "utc", select: setRange });

// recount starts anew when the filters change, with what is here.
function recount() {
  const range = state.range;
  state.range = null;
  histogram.clear();
  for (const r of kept) if (passes(r)) histogram.count(r);
  state.range = range;
}

function setRange(range) {
  const had = state.range;
  state.range = range;
  filter({ reconnect: false });
  if (had && !range) rows.follow();
  histogram.draw(state.range);
}

// --- time ----------------------------------------------------------------

let clockMode = "local";
const two = (n) => String(n).padStart(2, "0");

function clock(ms, withSeconds) {
  const d = new Date(ms);
  const [h, m, s] = clockMode === "utc" ? [d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()] : [d.getHours(), d.getMinutes(), d.getSeconds()];
  return two(h) + ":" + two(m) + (withSeconds ? ":" + two(s) : "");
}

function timeOf(r) {
  if (!r.t) return "";
  if (clockMode === "ago") return ago(r.ms);
  return clock(r.ms, true) + "." + String(Math.floor(r.ms % 1000)).padStart(3, "0");
}

function ago(ms) {
  const s = Math.round((Date.now() - ms) / 1000);
  if (s < 1) return "now";
  if (s < 60) return s + " s ago";
  if (s < 3600) return Math.floor(s / 60) + " min ago";
  return s < 86400 ? Math.floor(s / 3600) + " h ago" : Math.floor(s / 86400) + " d ago";
}

// --- details -------------------------------------------------------------

let opened = null;

function open(index, focus = false) {
  const r = view[index];
  if (!r || r.gap) return;
  opened = r;
  rows.goTo(index);
  state.at = boot + "-" + r.s;
  writeFragment();
  drawDetails();
  if (focus) $("details").focus();
}

function closeDetails() {
  opened = null;
  state.at = null;
  writeFragment();
  const inside = $("details").contains(document.activeElement);
  $("details").hidden = true;
  document.body.classList.remove("with-details");
  if (inside) $("rows").focus();
  rows.draw();
}

function drawDetails() {
  draw($("details"), opened, {
    isUTC: clockMode === "utc",
    ago,
    does: { only, hide, search, step, copy, copyLink, context, close: closeDetails, host: (name) => setOnly(state.hosts, name), process: (name) => setOnly(state.processes, name) },
  });
  $("details").hidden = false;
  document.body.classList.add("with-details");
}

function search(word) {
  const input = $("search");
  const words = input.value.trim();
  if (!words.split(/\s+/).includes(word)) input.value = words ? words + " " + word : word;
  readSearch();
  filter();
}

function setOnly(set, value) {
  const was = set.has(value) && set.size === 1;
  set.clear();
  if (!was) set.add(value);
  filter();
}

function only(name) {
  if (state.loggers.get(name) === "only") state.loggers.delete(name);
  else state.loggers.set(name, "only");
  filter();
}

function hide(name) {
  if (state.loggers.get(name) === "hide") state.loggers.delete(name);
  else state.loggers.set(name, "hide");
  filter();
}

function showAll({ keepRange = false } = {}) {
  state.levels = new Set(chips);
  state.loggers.clear();
  state.hosts.clear();
  state.processes.clear();
  if (!keepRange) state.range = null;
  $("search").value = "";
  readSearch();
  filter();
}

// context drops the filters and stays with the record.
function context() {
  const r = opened;
  pause(true);
  showAll();
  const index = view.indexOf(r);
  if (index >= 0) {
    rows.goTo(index);
    $("rows").scrollTop = Math.max(0, index * rows.height - $("rows").clientHeight / 2);
  }
}

const plainRecord = (r) => {
  const out = { ...r };
  for (const key of ["k", "ms", "chip", "attrsText"]) delete out[key];
  return out;
};

async function copyText(s, what) {
  try {
    await navigator.clipboard.writeText(s);
  } catch {
    // Without HTTPS a page away from localhost has no clipboard.
    const area = el("textarea", { class: "unseen" });
    area.value = s;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(what + " copied");
  flash(what + " copied");
}

const copy = () => opened && copyText(JSON.stringify(plainRecord(opened), null, 2), "Record");
const copyLink = () => copyText(location.href, "Address");

function step(by, wanted = (r) => !r.gap) {
  const from = rows.selected < 0 ? (by > 0 ? Math.floor($("rows").scrollTop / rows.height) - 1 : view.length) : rows.selected;
  for (let i = from + by; i >= 0 && i < view.length; i += by) {
    if (!wanted(view[i])) continue;
    if (opened) open(i);
    else rows.goTo(i);
    return;
  }
  flash(by > 0 ? "No further one" : "No earlier one");
}

// --- drawing -------------------------------------------------------------

let quiet;
function flash(s) {
  notice(s);
  quiet = setTimeout(() => notice(""), 1600);
}

function notice(s) {
  clearTimeout(quiet);
  $("notice").textContent = s;
  $("notice").hidden = !s;
}

function say(s) {
  $("said").textContent = s;
}

let connection = "connecting";
function drawConnection(now) {
  connection = now;
  $("connection").textContent = { live: "Connected", lost: "Connection lost, trying again", refused: "Not signed in", stopped: "Stopped by the speed", connecting: "Connecting" }[now];
  $("connection").className = now;
  drawState();
}

function drawState() {
  const s = state.paused || state.rate === 0 ? "PAUSED" : connection === "live" ? "LIVE" : connection === "connecting" ? "CONNECTING" : "OFFLINE";
  if ($("state").textContent !== s) $("state").textContent = s;
  $("state").dataset.state = s.toLowerCase();
}

function drawFollow() {
  $("follow").hidden = rows.following || state.paused || !view.length;
}

function drawControls() {
  drawState();
  $("pause").setAttribute("aria-pressed", String(state.paused));
  for (const button of document.querySelectorAll("button[data-level]")) button.setAttribute("aria-pressed", String(state.levels.has(button.dataset.level)));
  const i = rates.indexOf(state.rate);
  if (Number($("rate").value) !== i) $("rate").value = i;
  const rate = state.rate === Infinity ? "all" : state.rate === 0 ? "stop" : state.rate + "/s";
  $("rate-text").textContent = rate;
  $("rate").setAttribute("aria-valuetext", state.rate === Infinity ? "all records" : state.rate === 0 ? "stopped" : state.rate + " records a second");
  for (const format of ["jsonl", "text"]) {
    const p = params({ range: true });
    p.set("format", format);
    $("download-" + format).href = "download?" + p;
  }
  drawActive();
  drawSide();
  drawFollow();
}

// drawActive names the filters that no other control shows, each to be dropped.
function drawActive() {
  const items = [];
  if (state.range) items.push(["time", `${clock(state.range[0], true)} – ${clock(state.range[1] + 1, true)}`, () => setRange(null)]);
  for (const [name, kind] of state.loggers) items.push([kind === "only" ? "logger" : "not", name, () => { state.loggers.delete(name); filter(); }]);
  for (const host of state.hosts) items.push(["host", host, () => { state.hosts.delete(host); filter(); }]);
  for (const process of state.processes) items.push(["process", process, () => { state.processes.delete(process); filter(); }]);
  $("active").replaceChildren(...items.map(([kind, name, drop]) => el("button", { type: "button", "aria-label": `Drop the filter ${kind} ${name}`, onclick: drop }, el("i", {}, kind), name, el("span", { "aria-hidden": "true" }, "✕"))));
}

function drawLevels() {
  document.querySelectorAll("button[data-level] b").forEach((b, i) => {
    b.textContent = known.levels[i] ? short(known.levels[i]) : "";
  });
}

const short = (n) => (n < 10_000 ? number.format(n) : n < 1e6 ? Math.round(n / 1e3) + "k" : (n / 1e6).toFixed(1) + "M");

let sideKey = "";
function drawSide() {
  const names = [...known.loggers.keys()].sort();
  // Nodes that only stand between names are shown too: a.b has a parent a.
  const tree = new Set();
  for (const name of names) for (let i = name.length; i > 0; i = name.lastIndexOf(".", i - 1)) tree.add(name.slice(0, i));
  const all = [...tree].sort().slice(0, 2000);
  const key = all.join("\n") + "\0" + JSON.stringify([...state.loggers, ...state.hosts, ...state.processes]) + [...known.hosts.keys()] + "\0" + [...known.processes.keys()];
  if (key === sideKey) return;
  sideKey = key;
  const focused = document.activeElement?.dataset;
  const focusKey = focused?.logger ?? focused?.hide;
  const side = $("side");
  const top = side.scrollTop;
  const parts = [el("h2", {}, "Loggers")];
  if (all.length) {
    parts.push(el("ul", {}, ...all.map((name) => {
      const depth = name.split(".").length - 1;
      const kind = state.loggers.get(name);
      return el("li", { class: "depth-" + Math.min(depth, 5) + (takesLogger(state.loggers, name) ? "" : " off") },
        el("button", { type: "button", "data-logger": name, "aria-pressed": String(kind === "only"), title: "Show only " + name, onclick: () => only(name) }, name.slice(name.lastIndexOf(".") + 1), el("b", { "data-count": name })),
        el("button", { type: "button", class: "hide", "data-hide": name, "aria-pressed": String(kind === "hide"), "aria-label": "Hide " + name, title: "Hide " + name, onclick: () => hide(name) }, "−"));
    })));
  } else parts.push(el("p", {}, "No record has a logger’s name. Give loggers one with slogworks.Named."));
  for (const [title, map, set] of [["Hosts", known.hosts, state.hosts], ["Processes", known.processes, state.processes]]) {
    if (map.size < 2 && !set.size) continue;
    parts.push(el("h2", {}, title), el("ul", {}, ...[...map.keys()].sort().slice(0, 200).map((name) => el("li", {},
      el("button", { type: "button", "aria-pressed": String(set.has(name)), title: "Show only " + name, onclick: () => { set.has(name) ? set.delete(name) : set.add(name); filter(); } }, name)))));
  }
  side.replaceChildren(...parts);
  side.scrollTop = top;
  if (focusKey) side.querySelector(focused.logger ? `[data-logger="${CSS.escape(focusKey)}"]` : `[data-hide="${CSS.escape(focusKey)}"]`)?.focus();
  if (known.hosts.size > 1 || known.processes.size > 1) autoOrigin();
  drawLoggerCounts();
}

function drawLoggerCounts() {
  for (const b of $("side").querySelectorAll("[data-count]")) {
    let n = 0;
    for (const [name, count] of known.loggers) if (covers(b.dataset.count, name)) n += count;
    const text = n ? short(n) : "";
    if (b.textContent !== text) b.textContent = text;
  }
}

function drawCounts() {
  const n = waiting.length + waitingLost;
  $("waiting").hidden = !state.paused;
  $("waiting").textContent = n + " waiting";
  const total = view.length;
  $("shown").textContent = `${number.format(total)} shown` + (view !== kept ? ` of ${number.format(kept.length)} on this page` : "");
  const empty = !total;
  $("empty").hidden = !empty;
  if (empty) {
    $("empty").firstElementChild.textContent = isFiltered() || state.range ? "No record passes the filters." : connection === "live" ? "Nothing has been logged yet. New records appear here." : "Waiting for the server.";
    $("empty").lastElementChild.hidden = !isFiltered() && !state.range;
  }
  drawFollow();
}

// What changes with each record is drawn a few times a second.
let before = { received: 0, skipped: 0, at: performance.now() };
let ticks = 0;
setInterval(() => {
  if (document.hidden) return;
  if (ticks++ % 4 === 0) {
    const now = performance.now();
    const s = (now - before.at) / 1000;
    const rate = Math.round((received - before.received) / s);
    const lost = Math.round((skipped - before.skipped) / s);
    before = { received, skipped, at: now };
    $("speed-now").textContent = rate ? `${number.format(rate)}/s` : "";
    $("skipped").textContent = lost ? `${number.format(lost)}/s left out by the speed` : "";
    if (clockMode === "ago") rows.refresh();
    drawSide();
    drawLoggerCounts();
    drawLevels();
  }
  histogram.draw(state.range);
}, 250);

// --- controls ------------------------------------------------------------

$("pause").addEventListener("click", () => pause(!state.paused));
$("follow").addEventListener("click", follow);
$("clear").addEventListener("click", clear);
$("keys").addEventListener("click", () => $("help").showModal());
$("empty").lastElementChild.addEventListener("click", () => showAll());

// follow goes on with what is new, whatever was being read.
function follow() {
  pause(false);
  rows.selected = -1;
  if (state.range) setRange(null);
  rows.follow();
}

function clear() {
  kept = [];
  view = kept;
  if (isFiltered() || state.range) view = [];
  waiting = [];
  waitingLost = 0;
  histogram.clear();
  rows.selected = -1;
  if (!state.paused) rows.following = true;
  closeDetails();
  rows.show(view);
  histogram.draw(state.range);
  drawCounts();
}

let typing;
$("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => readSearch() && filter(), 120);
});
$("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    clearTimeout(typing);
    if (readSearch()) filter();
    $("rows").focus();
  } else if (event.key === "Escape") {
    if (!$("search").value) $("rows").focus();
    event.stopPropagation();
  }
});

$("rate").addEventListener("input", () => {
  state.rate = rates[Number($("rate").value)];
  writeFragment();
  drawControls();
  clearTimeout(reconnecting);
  reconnecting = setTimeout(() => connect(), 200);
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

for (const name of ["download", "view"]) {
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
  document.addEventListener("pointerdown", (event) => !menu.parentElement.contains(event.target) && toggle(false));
  if (name === "download") menu.addEventListener("click", (event) => event.target.closest("a") && toggle(false));
}

$("loggers-toggle").addEventListener("click", () => {
  const on = document.body.classList.toggle("with-side");
  $("loggers-toggle").setAttribute("aria-expanded", String(on));
});

// What concerns this browser and not the log is kept in it.
const settings = {
  get: (name) => { try { return localStorage.getItem("slogworks." + name); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem("slogworks." + name, value); } catch { /* for this time only */ } },
};

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  settings.set("theme", theme);
  document.querySelector(`[name=theme][value=${theme}]`).checked = true;
  histogram.draw(state.range);
}

function setClock(mode) {
  clockMode = mode;
  settings.set("clock", mode);
  document.querySelector(`[name=clock][value=${mode}]`).checked = true;
  rows.refresh();
  drawControls();
  histogram.draw(state.range);
}

function setShown(name, on) {
  document.body.classList.toggle("with-" + name, on);
  $("show-" + name).checked = on;
}

function autoOrigin() {
  if (settings.get("origin") === null) setShown("origin", true);
}

document.querySelectorAll("[name=theme]").forEach((radio) => radio.addEventListener("change", () => setTheme(radio.value)));
document.querySelectorAll("[name=clock]").forEach((radio) => radio.addEventListener("change", () => setClock(radio.value)));
for (const name of ["attrs", "origin"]) {
  $("show-" + name).addEventListener("change", (event) => {
    setShown(name, event.target.checked);
    settings.set(name, event.target.checked ? "1" : "0");
  });
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => histogram.draw(state.range));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const on = event.target;
  const isField = on.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea");
  if (isField) return;
  const isButton = on.matches("button, a, summary, input");
  if (isButton && (event.key === " " || event.key === "Enter")) return;
  const isError = (r) => !r.gap && r.chip >= 3;
  switch (event.key) {
    case " ": pause(!state.paused); break;
    case "/": $("search").focus(); $("search").select(); break;
    case "Escape": if (opened) closeDetails(); else if (state.range) setRange(null); else return; break;
    case "End": if (on.matches("input")) return; follow(); break;
    case "Home": if (on.matches("input")) return; rows.goTo(0, false); $("rows").scrollTop = 0; break;
    case "j": case "ArrowDown": if (event.key !== "j" && on !== $("rows")) return; step(1); break;
    case "k": case "ArrowUp": if (event.key !== "k" && on !== $("rows")) return; step(-1); break;
    case "e": step(rows.selected < 0 ? -1 : 1, isError); break;
    case "E": step(-1, isError); break;
    case "Enter": if (rows.selected >= 0) open(rows.selected, true); break;
    case "c": clear(); break;
    case "y": if (opened) copy(); break;
    case "t": setTheme(isDark() ? "light" : "dark"); break;
    case "0": showAll(); break;
    case "1": case "2": case "3": case "4": case "5":
      if (on.matches("input")) return;
      state.levels = new Set(chips.slice(Number(event.key) - 1));
      filter();
      break;
    case "?": $("help").showModal(); break;
    default: return;
  }
  event.preventDefault();
});

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

addEventListener("hashchange", () => {
  if (location.hash.slice(1) === written) return;
  const paused = readFragment();
  pause(paused);
  filter();
  openLinked();
});

// openLinked opens the record that the address names, once it is here.
async function openLinked() {
  const [name, seq] = (state.at || "").split("-");
  if (!seq) return;
  const at = state.at;
  for (let tries = 0; tries < 20 && state.at === at && !boot; tries++) await new Promise((done) => setTimeout(done, 100));
  if (name !== boot) return notice(boot ? "The record of this address was logged before the last restart." : "");
  try {
    const got = await (await fetch(`records?after=${Number(seq) - 1}&limit=1`)).json();
    if (got.records[0]?.s !== Number(seq)) return notice("The record of this address is no longer kept.");
    const r = prepare(got.records[0]);
    pause(true);
    merge([r]);
    let index = view.findIndex((other) => other.k === r.k);
    if (index < 0) {
      opened = r;
      return drawDetails();
    }
    rows.show(view);
    open(index);
  } catch {
    notice("The record of this address could not be got.");
  }
}

// --- begin ---------------------------------------------------------------

setShown("attrs", settings.get("attrs") !== "0");
setShown("origin", settings.get("origin") === "1");
if (["light", "dark"].includes(settings.get("theme"))) setTheme(settings.get("theme"));
if (["utc", "ago"].includes(settings.get("clock"))) setClock(settings.get("clock"));
const startPaused = readFragment();
drawConnection("connecting");
drawControls();
drawCounts();
connect({ fresh: true });
if (startPaused) {
  // First what is there, then the pause.
  const whenFirst = setInterval(() => {
    if (connection !== "live") return;
    clearInterval(whenFirst);
    setTimeout(() => pause(true), 300);
  }, 100);
}
openLinked();
