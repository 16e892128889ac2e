// What the page says of itself: whether it is live, how much it shows, and what
// went wrong.

import { mistake } from "./controls.js";
import { $, number } from "./element.js";
import { isFiltered, state } from "./state.js";

let quiet;

// flash says something for a moment, notice until something else is said.
export function flash(s) {
  notice(s);
  quiet = setTimeout(() => notice(""), 1600);
}

export function notice(s) {
  clearTimeout(quiet);
  $("notice").textContent = s;
  $("notice").hidden = !s;
}

let connection = "connecting";
const texts = { live: "Connected", lost: "Connection lost, trying again", refused: "Not signed in", invalid: "The server does not take the filters", stopped: "Stopped by the speed", connecting: "Connecting" };

export function setConnection(now, text = "") {
  connection = now;
  $("connection").textContent = texts[now];
  $("connection").className = now;
  if (now === "invalid") mistake(text.replace(/^q: /, ""));
  else if (text) notice(text);
  drawState();
}

export function drawState() {
  const s = state.paused || state.rate === 0 ? "PAUSED" : connection === "live" ? "LIVE" : connection === "connecting" ? "CONNECTING" : "OFFLINE";
  if ($("state").textContent !== s) $("state").textContent = s;
  $("state").dataset.state = s.toLowerCase();
}

export function drawFollow(log, rows) {
  $("follow").hidden = rows.following || state.paused || !log.view.length;
  $("unseen").textContent = rows.unseen > 0 ? `${number.format(rows.unseen)} new` : "Newest";
}

export function drawCounts(log, rows) {
  $("waiting").hidden = !state.paused;
  $("waiting").textContent = log.waits + " waiting";
  const hides = isFiltered() || state.range;
  $("shown").textContent = `${number.format(log.shown)} shown` + (hides ? ` of ${number.format(log.records)} on this page` : "");
  $("empty").hidden = log.view.length > 0;
  if (!log.view.length) {
    $("empty").firstElementChild.textContent = hides ? "No record passes the filters." : connection === "live" ? "Nothing has been logged yet. New records appear here." : "Waiting for the server.";
    $("empty").lastElementChild.hidden = !hides;
  }
  drawFollow(log, rows);
}
