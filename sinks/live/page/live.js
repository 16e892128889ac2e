// The page: what comes from the stream goes into the log, what the reader chooses
// decides what of it is seen.

import * as time from "./clock.js";
import { addWord, drawControls, isDark, readBox, setTheme, setUp, showOrigin, toggleSide } from "./controls.js";
import { $, number } from "./element.js";
import { Histogram } from "./histogram.js";
import { listen } from "./keys.js";
import { Levels } from "./levels.js";
import { gapRow, Log } from "./log.js";
import { Opened } from "./opened.js";
import { chips } from "./query.js";
import { Rows } from "./rows.js";
import { Side, short } from "./side.js";
import { isOurs, params, passes, passesFilters, readFragment, showAll, state, writeFragment } from "./state.js";
import * as status from "./status.js";
import { Stream } from "./stream.js";

const rows = new Rows($("rows"), { time: time.rowTime, select: (i) => opened.open(i), newest: () => log.newest });
rows.changed = () => status.drawFollow(log, rows);
const histogram = new Histogram($("histogram"), { clock: time.timeOfDay, date: time.date, span: time.span, isUTC: () => time.clock.mode === "utc", select: setRange });
const log = new Log({
  passes,
  day: time.day,
  counted: (r) => { if (passesFilters(r)) histogram.count(r); },
  lostText: (n) => `${number.format(n)} records came and went during the pause.`,
});
const programLevels = new Levels({ changed: () => side.draw(), told: status.flash });
const side = new Side({ changed: () => filter(), levels: programLevels });
const stream = new Stream({ hello: greeted, batch: take, gap: gapCame, settled, changed: connectionChanged });
const opened = new Opened({
  log, rows, stream,
  notice: status.notice,
  flash: status.flash,
  changed: show,
  does: {
    step,
    only: (name) => side.only(name),
    hide: (name) => side.hide(name),
    host: (name) => side.onlyOf(state.hosts, name),
    process: (name) => side.onlyOf(state.processes, name),
    search: (word) => { addWord(word); filter(); },
    pause: () => pause(true),
    showAll: everything,
  },
});

// --- what comes -----------------------------------------------------------

let inbox = [];
let seenTo = -1; // what the server sends again is not counted again
let countedTo = -1;
let levels = [0, 0, 0, 0, 0];
let received = 0; // new ones, since the page was opened
let newFrom = 0;
let skipped = 0;
let sparseFrom = Infinity; // from here on the filters of then may have kept records away

function greeted(hello, { anew, restarted }) {
  status.notice("");
  newFrom = stream.start + hello.head;
  if (anew) {
    levels = chips.map((name) => hello.levels[name] || 0);
    countedTo = newFrom;
    // Of a restart the server tells only who goes on where it was.
    if (restarted) gapCame({ why: "restart", to: hello.first - 1 });
    if (String(params())) sparseFrom = Math.min(sparseFrom, log.newest + 1);
  }
  if (restarted || !programLevels.rules.size) programLevels.load();
  if (hello.head) side.isEmpty = false;
  for (const name of hello.loggers) side.logger(name, 0);
  for (const name of hello.hosts) side.hosts.add(name);
  drawSide();
}

function take(batch) {
  for (const r of batch) {
    if (r.k > countedTo) {
      countedTo = r.k;
      levels[r.chip]++;
    }
    if (r.k <= seenTo) continue;
    seenTo = r.k;
    if (r.k > newFrom) received++;
    side.count(r);
  }
  if (batch.length) inbox.push(batch);
  schedule();
}

function gapCame(gap) {
  if (gap.why === "rate") {
    skipped += gap.dropped;
    return;
  }
  const text = gap.why === "restart" ? "The server was restarted. What is kept since then follows." : `${number.format(gap.dropped)} records came and went before this page could get them.`;
  inbox.push([gapRow(stream.start + gap.to + 0.5, text, stream.lastMs)]);
  schedule();
}

// settled tells where records are missing that former filters hid.
function settled(from) {
  receive();
  if (sparseFrom < from && log.oldest < from) log.mark(gapRow(from - 0.5, "Above this line, records are missing that the filters of then kept away.", stream.lastMs), "filters");
  if (!String(params())) sparseFrom = Infinity;
  show();
  drawSide();
  histogram.draw(state.range);
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
  receive();
  showNow();
}

// showNow makes room. What is selected stays so, unless it had to go.
function showNow() {
  let dropped = 0;
  keepSelection(() => { dropped = log.trim(); });
  status.drawCounts(log, rows);
  rows.showNow(log.view, dropped);
}

// receive puts what has come into the log. What is selected stays so.
function receive() {
  const batches = inbox;
  inbox = [];
  keepSelection(() => { for (const batch of batches) log.add(batch); });
}

function keepSelection(change) {
  const before = log.view;
  const selected = before[rows.selected];
  change();
  if (selected && log.view !== before) rows.selected = log.view.indexOf(selected);
}

function show() {
  rows.show(log.view);
  status.drawCounts(log, rows);
}

// --- what is chosen -------------------------------------------------------

// filter shows at once what is here, and gets from the server what else passes.
function filter() {
  state.generation++;
  refilter();
  stream.reconnect({ fresh: true });
}

function refilter() {
  keepSelection(() => log.filter());
  recount();
  if (state.range) rows.setFollowing(false);
  rows.show(log.view);
  if (state.range) {
    $("rows").scrollTop = 0;
    loadRange();
  } else if (rows.selected >= 0 && !rows.following) rows.goTo(rows.selected);
  writeFragment();
  drawAll();
  if (log.cutShort) status.flash("That search takes long: not all on this page was looked at");
}

function everything() {
  showAll();
  $("search").value = "";
  readBox();
  filter();
}

// recount starts the picture anew with what is here and has passed: the search that
// was just made may have been cut short, and is not to be made again.
function recount() {
  histogram.clear();
  for (const r of log.kept) if (r.passed === state.generation) histogram.count(r);
  histogram.draw(state.range);
}

// setRange chooses among what passes the filters, which stay as they are: what the
// server alone can tell it need not tell again.
function setRange(range) {
  const had = state.range;
  state.range = range;
  refilter();
  if (had && !range) rows.follow();
}

let loading = 0;
async function loadRange() {
  const mine = ++loading;
  const p = params({ range: true });
  p.set("limit", "1000");
  for (let after = 0, pages = 0; pages < 20; pages++) {
    p.set("after", after);
    const generation = state.generation;
    const got = await stream.records(p);
    if (mine !== loading || !got?.records.length) return;
    for (const r of got.records) r.passed = generation;
    keepSelection(() => log.merge(got.records));
    show();
    if (!got.more) return;
    after = got.records[got.records.length - 1].s;
  }
}

function pause(on) {
  if (on === state.paused) return;
  state.paused = on;
  if (on) {
    // What has come but was not drawn waits too: what is seen stays.
    log.pause();
    rows.setFollowing(false);
    rows.paint();
  } else {
    receive();
    keepSelection(() => log.resume());
    showNow();
    if (state.rate === 0) {
      state.rate = Infinity;
      stream.connect();
    }
    if (!state.range) rows.follow();
  }
  $("said").textContent = on ? "Paused" : "Live";
  writeFragment();
  drawAll();
}

// follow goes on with what is new, whatever was being read.
function follow() {
  pause(false);
  rows.selected = -1;
  if (state.range) setRange(null);
  rows.follow();
}

function clear() {
  receive();
  log.clear();
  histogram.clear();
  histogram.draw(state.range);
  rows.selected = -1;
  if (!state.paused) rows.setFollowing(true);
  opened.close();
  show();
}

function step(by, wanted = (r) => !r.gap) {
  const { view } = log;
  const from = rows.selected < 0 ? (by > 0 ? Math.floor($("rows").scrollTop / rows.height) - 1 : view.length) : rows.selected;
  for (let i = from + by; i >= 0 && i < view.length; i += by) {
    if (!wanted(view[i])) continue;
    if (opened.record) opened.open(i);
    else rows.goTo(i);
    return;
  }
  status.flash(by > 0 ? "No further one" : "No earlier one");
}

const isError = (r) => !r.gap && r.chip >= 3;

listen({
  step,
  pause: () => pause(!state.paused),
  follow,
  clear,
  showAll: everything,
  nextError: () => step(rows.selected < 0 ? -1 : 1, isError),
  previousError: () => step(-1, isError),
  first: () => { rows.goTo(0, false); $("rows").scrollTop = 0; },
  page: (by) => { $("rows").scrollTop += by * ($("rows").clientHeight - 2 * rows.height); },
  open: () => { if (rows.selected >= 0) opened.open(rows.selected, true); },
  copy: () => opened.copy(opened.record ?? log.view[rows.selected]),
  theme: () => setTheme(isDark() ? "light" : "dark"),
  levelsFrom: (i) => { state.levels = new Set(chips.slice(i)); filter(); },
  escape: () => {
    if (opened.record) opened.close();
    else if (document.body.classList.contains("with-side")) {
      toggleSide(false);
      $("loggers-toggle").focus();
    } else if (state.range) setRange(null);
    else return false;
    return true;
  },
});

// --- what is seen ---------------------------------------------------------

function connectionChanged(now, text) {
  status.setConnection(now, text);
  status.drawCounts(log, rows);
}

function drawSide() {
  side.draw();
  if (side.hasOrigins) showOrigin();
  document.querySelectorAll("button[data-level] b").forEach((b, i) => {
    const text = levels[i] ? short(levels[i]) : "";
    if (b.textContent !== text) b.textContent = text;
  });
}

function drawAll() {
  status.drawState();
  drawControls({ span: time.span, drop: () => filter(), setRange });
  drawSide();
  status.drawCounts(log, rows);
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
    if (time.clock.mode === "ago") rows.refresh();
    drawSide();
  }
  histogram.draw(state.range);
}, 250);

// --- begin ----------------------------------------------------------------

$("pause").addEventListener("click", () => pause(!state.paused));
$("follow").addEventListener("click", follow);
$("clear").addEventListener("click", clear);
$("keys").addEventListener("click", () => $("help").showModal());
$("empty").lastElementChild.addEventListener("click", everything);
setUp({
  filter,
  speed: () => {
    writeFragment();
    drawAll();
    stream.reconnect({ fresh: false });
  },
  redraw: () => {
    keepSelection(() => log.redate());
    rows.show(log.view);
    rows.measure();
    rows.refresh();
    opened.draw();
    drawAll();
    histogram.draw(state.range);
  },
});

function readAddress() {
  const { q, paused } = readFragment(location.hash.slice(1));
  $("search").value = q;
  readBox();
  return paused;
}

addEventListener("hashchange", () => {
  if (isOurs(location.hash.slice(1))) return;
  const paused = readAddress();
  filter();
  pause(paused);
  opened.openLinked(stream.settled);
});

const startsPaused = readAddress();
log.filter();
if (state.range) {
  rows.setFollowing(false);
  stream.settled.then(loadRange);
}
connectionChanged("connecting");
drawAll();
stream.connect();
// First what is there, then the pause.
if (startsPaused) stream.settled.then(() => { receive(); pause(true); });
opened.openLinked(stream.settled);
