// All there is to know of one record.

import { ago, dateAndTime } from "./clock.js";
import { el } from "./element.js";
import { chips, text } from "./query.js";
import { levelText } from "./rows.js";

// draw fills the box with one record; does are the functions behind the buttons.
export function draw(box, r, does) {
  const level = chips[r.chip];
  const facts = [
    ["Time", r.t ? el("span", {}, dateAndTime(r.ms), el("small", {}, r.t + " · " + ago(r.ms))) : null],
    ["Logger", r.n && pair(r.n, () => does.only(r.n), () => does.hide(r.n))],
    ["Source", r.src && el("span", { class: "mono" }, [r.src.f, r.src.l].filter(Boolean).join(":"), el("small", {}, r.src.fn || ""))],
    ["Host", r.h && pair(r.h, () => does.host(r.h))],
    [r.h || r.pid ? "Process" : "From", r.p || r.pid ? (r.p ? pair(r.p + (r.pid ? " · pid " + r.pid : ""), () => does.process(r.p)) : "pid " + r.pid) : null],
  ];
  box.replaceChildren(
    el("div", { class: "top" },
      el("span", { class: "level", "data-level": level }, levelText(r.l)),
      el("span", { class: "number" }, "#" + r.s),
      el("button", { type: "button", class: "step", "aria-label": "Previous record", title: "Previous (k)", onclick: () => does.step(-1) }, "↑"),
      el("button", { type: "button", class: "step", "aria-label": "Next record", title: "Next (j)", onclick: () => does.step(1) }, "↓"),
      el("button", { type: "button", class: "step", "aria-label": "Close details", title: "Close (Esc)", onclick: does.close }, "✕")),
    el("p", { class: "message" }, r.m || "(no message)"),
    el("div", { class: "acts" },
      el("button", { type: "button", title: "Copy as JSON (y)", onclick: does.copy }, "Copy"),
      el("button", { type: "button", title: "Copy the address of this record", onclick: does.copyLink }, "Copy link"),
      el("button", { type: "button", title: "Show what came before and after, whatever the filters", onclick: does.context }, "In context")),
    el("dl", { class: "facts" }, ...facts.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    attrsOf(r, does.search));
}

// pair is a value with buttons that filter for it and against it.
function pair(value, forIt, against, shown) {
  return el("span", { class: "pair" }, shown || el("span", { class: "mono" }, value),
    el("span", { class: "does" },
      forIt && el("button", { type: "button", "aria-label": "Show only " + value, title: "Show only these", onclick: forIt }, "+"),
      against && el("button", { type: "button", "aria-label": "Hide " + value, title: "Hide these", onclick: against }, "−")));
}

function attrsOf(r, search) {
  const list = (r.a || []).filter((a) => !(a.k === "logger" && a.t === "s"));
  if (!list.length) return el("p", { class: "none" }, "No attributes.");
  const table = el("table", { class: "attrs" }, el("caption", {}, "Attributes"));
  const add = (attrs, prefix, depth) => {
    for (const a of attrs) {
      const path = prefix && a.k ? prefix + "." + a.k : prefix || a.k;
      const key = el("th", { scope: "row", class: "depth-" + Math.min(depth, 5) }, el("span", {}, a.k));
      if (a.t === "g") {
        table.append(el("tr", { class: "group" }, key, el("td")));
        add(a.v, path, depth + 1);
        continue;
      }
      const plain = text(a);
      table.append(el("tr", {}, key, el("td", {}, pair(plain.length > 60 ? path : plain,
        () => search(term(path, plain)), () => search("-" + term(path, plain)), valueOf(a, plain)))));
    }
  };
  add(list, "", 0);
  return table;
}

function valueOf(a, plain) {
  if (a.t === "e") return el("span", { class: "value error" }, plain, el("small", {}, a.v[1]), a.v[2] ? el("span", { class: "stack" }, a.v[2]) : null);
  if (a.t === "j" && a.v[0] !== null && typeof a.v[0] === "object") return el("span", { class: "value json" }, JSON.stringify(a.v[0], null, 2));
  if (a.t === "y") return el("span", { class: "value" }, plain, el("small", {}, "base64"));
  return el("span", { class: "value kind-" + a.t }, plain);
}

// term is a search for the value under the path, quoted where it must be. Of one
// that is long or has several lines it looks for the beginning, wherever that is:
// the search box has one line, and the server takes a thousand bytes.
function term(path, value) {
  const beginning = /\S.*|$/.exec(value)[0].slice(0, 200).replace(/[\ud800-\udbff]$/, "");
  if (beginning && (value.length > 200 || /[\r\n]/.test(value))) return quote(beginning);
  if (/[\s"=<>!]|^[-/]|^$|^(level|logger)$/i.test(path)) return quote(value);
  return path + "=" + (value === "" || /[\s"]/.test(value) || value[0] === "/" ? quote(value) : value);
}

const quote = (s) => '"' + s.replace(/["\\]/g, "\\$&") + '"';
