// The loggers as a tree, and the hosts and processes, each to be shown alone or
// hidden.

import { $, el, number } from "./element.js";
import { root } from "./levels.js";
import { takesLogger } from "./query.js";
import { state } from "./state.js";

const most = 2000; // names that are remembered and shown
export const short = (n) => (n < 10_000 ? number.format(n) : n < 1e6 ? Math.round(n / 1e3) + "k" : (n / 1e6).toFixed(1) + "M");

export class Side {
  constructor({ changed, levels }) {
    this.changed = changed;
    this.levels = levels;
    this.loggers = new Map(); // name -> records of it
    this.hosts = new Set();
    this.processes = new Map(); // name -> whether it is one that told its host or number; else a file, say
    this.isEmpty = true; // nothing was logged yet
    this.more = false; // some names are beyond what is remembered
    this.key = "";
  }

  logger(name, n) {
    const before = this.loggers.get(name);
    if (before === undefined && this.loggers.size >= most) this.more = true;
    else this.loggers.set(name, (before || 0) + n);
  }

  count(r) {
    this.isEmpty = false;
    if (r.n) this.logger(r.n, 1);
    if (r.h && this.hosts.size < most) this.hosts.add(r.h);
    if (r.p && (this.processes.has(r.p) || this.processes.size < most)) this.processes.set(r.p, this.processes.get(r.p) || Boolean(r.h || r.pid));
  }

  get hasOrigins() { return this.hosts.size > 1 || this.processes.size > 1; }

  only(name) { this.choose(name, "only"); }
  hide(name) { this.choose(name, "hide"); }

  choose(name, kind) {
    if (state.loggers.get(name) === kind) state.loggers.delete(name);
    else state.loggers.set(name, kind);
    this.changed();
  }

  // onlyOf shows one host or process, or all if it was shown alone.
  onlyOf(set, value) {
    const was = set.has(value) && set.size === 1;
    set.clear();
    if (!was) set.add(value);
    this.changed();
  }

  // sums are the records of each name with all below it. Nodes that only stand
  // between names are among them: a.b has a parent a.
  sums() {
    const sums = new Map();
    for (const [name, n] of this.loggers) {
      for (let i = name.length; i > 0; i = name.lastIndexOf(".", i - 1)) {
        const node = name.slice(0, i);
        sums.set(node, (sums.get(node) || 0) + n);
      }
    }
    for (const name of state.loggers.keys()) if (!sums.has(name)) sums.set(name, 0);
    return sums;
  }

  draw() {
    const sums = this.sums();
    const nodes = [...sums.keys()].sort().slice(0, most);
    const key = JSON.stringify([nodes, [...state.loggers], [...state.hosts], [...state.processes], this.hosts.size, [...this.processes], this.isEmpty, this.more, [...this.levels.rules]]);
    if (key !== this.key) {
      this.key = key;
      this.build(nodes);
    }
    for (const b of $("side").querySelectorAll("[data-count]")) {
      const n = sums.get(b.dataset.count);
      const text = n ? short(n) : "";
      if (b.textContent !== text) b.textContent = text;
    }
  }

  build(nodes) {
    const side = $("side");
    const focused = document.activeElement?.dataset ?? {};
    const top = side.scrollTop;
    const parts = [el("div", { class: "title" }, el("h2", {}, "Loggers"), this.level(root, "all others"))];
    if (nodes.length) parts.push(el("ul", {}, ...nodes.map((name) => this.node(name))));
    else if (this.isEmpty) parts.push(el("p", {}, "Each appears here with its first record. A click then shows it alone, the − beside it hides it."));
    else parts.push(el("p", {}, "No record has a logger’s name. Give loggers one with slogworks.Named."));
    if (this.more) parts.push(el("p", {}, `There are more names than these ${number.format(most)}.`));
    const areProcesses = [...this.processes.values()].every(Boolean);
    for (const [title, names, set] of [["Hosts", this.hosts, state.hosts], [areProcesses ? "Processes" : "From", new Set(this.processes.keys()), state.processes]]) {
      if (names.size < 2 && !set.size) continue;
      parts.push(el("h2", {}, title), el("ul", {}, ...[...new Set([...names, ...set])].sort().map((name) => el("li", {},
        el("button", { type: "button", "aria-pressed": String(set.has(name)), title: "Show only " + name, onclick: () => {
          if (!set.delete(name)) set.add(name);
          this.changed();
        } }, el("span", {}, name))))));
    }
    side.replaceChildren(...parts);
    side.scrollTop = top;
    const again = focused.logger !== undefined ? `[data-logger="${CSS.escape(focused.logger)}"]` : focused.hide !== undefined ? `[data-hide="${CSS.escape(focused.hide)}"]` : focused.levelOf !== undefined ? `[data-level-of="${CSS.escape(focused.levelOf)}"]` : null;
    if (again) side.querySelector(again)?.focus();
  }

  node(name) {
    const depth = name.split(".").length - 1;
    const kind = state.loggers.get(name);
    const last = name.slice(name.lastIndexOf(".") + 1);
    return el("li", { class: "depth-" + Math.min(depth, 5) + (takesLogger(state.loggers, name) ? "" : " off") },
      el("button", { type: "button", "data-logger": name, "aria-pressed": String(kind === "only"), title: "Show only " + name, onclick: () => this.only(name) }, el("span", {}, last || name), el("b", { "data-count": name })),
      this.level(name, name),
      el("button", { type: "button", class: "hide", "data-hide": name, "aria-pressed": String(kind === "hide"), "aria-label": "Hide " + name, title: "Hide " + name, onclick: () => this.hide(name) }, "−"));
  }

  // level leads to the level of a logger, and shows one that it has of its own.
  level(name, spoken) {
    const { levels } = this;
    if (!levels.isOffered) return null;
    const rule = levels.rules.get(name);
    const title = "Level of " + spoken + (rule ? ": " + levels.text(name) : "");
    return el("button", { type: "button", class: "level-of", "data-level-of": name, "data-rule": Boolean(rule), "aria-label": title, title, onclick: () => levels.open(name) }, rule ? rule.level : "⚙\uFE0E");
  }
}
