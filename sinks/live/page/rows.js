// A list of any length of which only the rows that can be seen are elements.
// Rows are all as high, so that where one is needs no measuring.

import { chips, text } from "./query.js";

const spare = 8; // rows beyond each edge, for a scroll that comes before the next frame

export class Rows {
  constructor(box, { time, select, newest }) {
    this.box = box;
    this.newest = newest;
    this.space = box.querySelector(".space");
    this.time = time;
    this.pool = [];
    this.list = [];
    this.selected = -1;
    this.following = true;
    this.left = -1; // k of the newest record when the reader left the end
    this.height = 24;
    this.queued = false;
    this.top = 0;
    this.seen = 0; // how high the box is, and where in it the rows begin
    this.begin = 0;
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.space.addEventListener("click", (event) => {
      const row = event.target.closest("[data-index]");
      if (row && !String(getSelection())) select(Number(row.dataset.index));
    });
    new ResizeObserver(() => this.measure()).observe(box);
    this.measure();
  }

  measure() {
    this.height = parseFloat(getComputedStyle(this.box).getPropertyValue("--row")) || 24;
    this.seen = this.box.clientHeight;
    this.begin = this.space.offsetTop;
    for (const row of this.pool) row.index = -1;
    this.refresh();
  }

  // scrolled notices when the reader leaves the end or comes back to it. What we
  // scrolled ourselves is no wish of the reader.
  scrolled() {
    const { scrollTop } = this.box;
    if (Math.abs(scrollTop - this.top) <= 1) return;
    this.setFollowing(scrollTop >= this.box.scrollHeight - this.seen - 2);
    this.top = scrollTop;
    this.changed?.();
    this.draw();
  }

  // show replaces the list, which is to be painted in the next frame.
  show(list) {
    this.list = list;
    this.draw();
  }

  // showNow replaces the list and paints it. Of one that lost records at the front,
  // dropped says how many, so that what is read stays where it is.
  showNow(list, dropped) {
    this.list = list;
    if (dropped && !this.following) this.box.scrollTop = this.top = Math.max(0, this.box.scrollTop - dropped * this.height);
    this.paint();
  }

  setFollowing(on) {
    if (this.following && !on) this.left = this.newest();
    this.following = on;
  }

  // unseen is how many records came since the reader left the end. What other filters
  // let in is not new.
  get unseen() {
    let n = 0;
    if (!this.following) for (let i = this.list.length - 1; i >= 0 && this.list[i].k > this.left; i--) if (!this.list[i].gap) n++;
    return n;
  }

  refresh() {
    for (const row of this.pool) row.shown = null;
    this.draw();
  }

  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => this.queued && this.paint());
  }

  // paint reads nothing of the layout before all is written, and then once, since
  // the browser lays out anew for each reading that follows a change.
  paint() {
    this.queued = false;
    const { box, list, height } = this;
    const total = list.length * height;
    const end = Math.max(0, this.begin + total - this.seen);
    const top = this.following ? end : Math.min(end, box.scrollTop);
    const first = Math.max(0, Math.floor(top / height) - (this.following ? spare / 2 : spare));
    const last = Math.min(list.length, Math.ceil((top + this.seen) / height) + spare);
    if (this.total !== total) {
      this.total = total;
      this.space.style.height = total + "px";
      box.setAttribute("aria-rowcount", list.length + 1);
    }
    const needed = Math.ceil(this.seen / height) + 2 * spare + 2;
    while (this.pool.length < needed) this.add();
    const size = this.pool.length;
    for (let i = 0; i < size; i++) {
      // A record keeps its element while the list grows at the end.
      const index = first + ((i - (first % size) + size) % size);
      const row = this.pool[i];
      if (index < last) this.fill(row, list[index], index);
      else this.empty(row);
    }
    const active = this.selected >= first && this.selected < last ? this.pool.find((row) => row.index === this.selected && row.shown) : null;
    if (active) box.setAttribute("aria-activedescendant", active.element.id);
    else box.removeAttribute("aria-activedescendant");
    if (this.following) {
      box.scrollTop = end;
      this.top = box.scrollTop;
    }
  }

  add() {
    const element = document.createElement("div");
    element.className = "row";
    element.id = "row-" + this.pool.length;
    element.hidden = true;
    element.setAttribute("role", "row");
    const text = (parent) => parent.appendChild(document.createTextNode(""));
    const cells = {};
    for (const name of ["time", "level", "origin", "logger", "message"]) {
      const cell = document.createElement("span");
      cell.className = name;
      cell.setAttribute("role", "gridcell");
      element.append(cell);
      if (name === "logger") cells[name] = text(cell.appendChild(document.createElement("bdi")));
      else if (name !== "message") cells[name] = text(cell);
      else {
        const attrs = document.createElement("span");
        attrs.className = "attrs";
        cell.append(document.createElement("span"), attrs);
        cells.text = text(cell.firstChild);
        cells.attrs = text(attrs);
      }
    }
    this.space.append(element);
    this.pool.push({ element, cells, hidden: true, shown: null, index: -1, selected: null, gap: "", level: null });
  }

  empty(row) {
    if (!row.hidden) row.element.hidden = true;
    row.hidden = true;
    row.shown = null;
  }

  // fill writes what differs: most records have the level and the logger of the
  // one that had the row before.
  fill(row, r, index) {
    const { element, cells } = row;
    if (row.index !== index) {
      row.index = index;
      element.style.top = index * this.height + "px";
      element.dataset.index = index;
      element.setAttribute("aria-rowindex", index + 2);
    }
    const selected = index === this.selected;
    if (row.selected !== selected) {
      row.selected = selected;
      element.setAttribute("aria-selected", selected);
    }
    if (row.shown === r) return;
    row.shown = r;
    if (row.hidden) element.hidden = row.hidden = false;
    const gap = !r.gap ? "" : r.gap === "day" ? " day" : " gap";
    if (row.gap !== gap) {
      row.gap = gap;
      element.className = "row" + gap;
    }
    if (gap) {
      delete element.dataset.seq;
      delete element.dataset.level;
      row.level = null;
      for (const name in cells) write(cells[name], name === "text" ? r.m : "");
      return;
    }
    element.dataset.seq = r.s;
    if (row.level !== r.chip) {
      row.level = r.chip;
      element.dataset.level = chips[r.chip];
    }
    write(cells.time, this.time(r));
    write(cells.level, levelText(r.l));
    write(cells.origin, line(r.h && r.p ? r.h + "/" + r.p : r.h || r.p || ""));
    write(cells.logger, line(r.n || ""));
    write(cells.text, line(r.m));
    write(cells.attrs, r.a && r.a.length ? attrsText(r) : "");
  }

  goTo(index, select = true) {
    if (index < 0 || index >= this.list.length) return;
    if (select) this.selected = index;
    const { box, height } = this;
    const top = index * height;
    const seen = box.clientHeight - this.space.offsetTop;
    if (top < box.scrollTop || top + height > box.scrollTop + seen) {
      this.setFollowing(false);
      box.scrollTop = this.top = Math.max(0, top - seen / 2);
    } else if (index < this.list.length - 1) {
      this.setFollowing(false);
    }
    this.changed?.();
    this.draw();
  }

  // centre scrolls the row to the middle. What is too far for the box as it is
  // is made room for first.
  centre(index) {
    this.setFollowing(false);
    this.paint();
    this.box.scrollTop = this.top = Math.max(0, (index + 0.5) * this.height - this.box.clientHeight / 2);
    this.paint();
  }

  // follow paints at once: a scroll event on its way would otherwise be taken for
  // the reader's wish to leave the end again.
  follow() {
    this.setFollowing(true);
    this.paint();
    this.changed?.();
  }
}

function write(node, text) {
  if (node.data !== text) node.data = text;
}

export function levelText(level) {
  const names = [[12, "CRIT"], [8, "ERROR"], [4, "WARN"], [0, "INFO"]];
  for (const [from, name] of names) if (level >= from) return level === from ? name : name + "+" + (level - from);
  return level === -4 ? "DEBUG" : level === -8 ? "TRACE" : "DEBUG" + (level > -4 ? "+" : "") + (level + 4);
}

// line shows a text of several lines in one. What only steers a terminal is shown as
// terminals do, and what would turn the text around as a sign.
const line = (s) => (s.length > 2000 ? s.slice(0, 2000) + "…" : s).replace(/\r?\n\s*/g, " ⏎ ").replace(/[\0-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g, sign);

const sign = (c) => (c <= "\x7f" ? "^" + String.fromCharCode(c.charCodeAt(0) ^ 64) : "\ufffd");

function attrsText(r) {
  if (r.attrsText !== undefined) return r.attrsText;
  let out = "";
  const add = (attrs, prefix) => {
    for (const a of attrs) {
      if (out.length > 600) return;
      if (!prefix && a.k === "logger" && a.t === "s") continue;
      const path = prefix && a.k ? prefix + "." + a.k : prefix || a.k;
      if (a.t === "g") add(a.v, path);
      else out += " " + line(path) + "=" + brief(text(a));
    }
  };
  add(r.a, "");
  return (r.attrsText = out.slice(1));
}

const brief = (s) => {
  s = line(s.length > 160 ? s.slice(0, 160) + "…" : s);
  return /[\s"=]/.test(s) || s === "" ? JSON.stringify(s) : s;
};
