// A list of any length of which only the rows that can be seen are elements.
// Rows are all as high, so that where one is needs no measuring.

import { chips, text } from "./query.js";

const spare = 8; // rows beyond each edge, for a scroll that comes before the next frame

export class Rows {
  constructor(box, { time, select }) {
    this.box = box;
    this.space = box.querySelector(".space");
    this.time = time;
    this.pool = [];
    this.list = [];
    this.selected = -1;
    this.following = true;
    this.height = 24;
    this.queued = false;
    this.top = 0;
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
    for (const row of this.pool) row.shown = null;
    this.draw();
  }

  // scrolled notices when the reader leaves the end or comes back to it. What we
  // scrolled ourselves is no wish of the reader.
  scrolled() {
    const end = this.box.scrollHeight - this.box.clientHeight;
    if (Math.abs(this.box.scrollTop - this.top) > 1) this.following = this.box.scrollTop >= end - 2;
    this.top = this.box.scrollTop;
    this.changed?.();
    this.draw();
  }

  // show replaces the list. Of one that lost records at the front, dropped says
  // how many, so that what is read stays where it is.
  show(list, dropped = 0) {
    this.list = list;
    if (!dropped) return this.draw();
    this.selected = Math.max(-1, this.selected - dropped);
    this.box.scrollTop = this.top = Math.max(0, this.box.scrollTop - dropped * this.height);
    this.paint(); // at once, since the rows have to move with the box
  }

  refresh() {
    for (const row of this.pool) row.shown = null;
    this.draw();
  }

  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.paint();
    });
  }

  paint() {
    const { box, list, height } = this;
    const total = list.length * height;
    if (this.total !== total) {
      this.total = total;
      this.space.style.height = total + "px";
      box.setAttribute("aria-rowcount", list.length + 1);
    }
    if (this.following) {
      box.scrollTop = box.scrollHeight;
      this.top = box.scrollTop;
    }
    const first = Math.max(0, Math.floor(box.scrollTop / height) - spare);
    const last = Math.min(list.length, Math.ceil((box.scrollTop + box.clientHeight) / height) + spare);
    const needed = Math.ceil(box.clientHeight / height) + 2 * spare + 2;
    while (this.pool.length < needed) this.add();
    const size = this.pool.length;
    for (let i = 0; i < size; i++) {
      // A record keeps its element while the list grows at the end.
      const index = first + ((i - (first % size) + size) % size);
      const row = this.pool[i];
      if (index >= last) {
        row.element.hidden = true;
        row.shown = null;
        continue;
      }
      this.fill(row, list[index], index);
    }
    const active = this.selected >= first && this.selected < last ? this.pool.find((row) => row.index === this.selected && row.shown) : null;
    if (active) box.setAttribute("aria-activedescendant", active.element.id);
    else box.removeAttribute("aria-activedescendant");
  }

  add() {
    const element = document.createElement("div");
    element.className = "row";
    element.id = "row-" + this.pool.length;
    element.setAttribute("role", "row");
    const cells = {};
    for (const name of ["time", "level", "origin", "logger", "message"]) {
      const cell = document.createElement("span");
      cell.className = name;
      cell.setAttribute("role", "gridcell");
      element.append(cell);
      cells[name] = cell;
    }
    cells.text = document.createElement("span");
    cells.attrs = document.createElement("span");
    cells.attrs.className = "attrs";
    cells.message.append(cells.text, cells.attrs);
    this.space.append(element);
    this.pool.push({ element, cells, shown: null, index: -1 });
  }

  fill(row, r, index) {
    const { element, cells } = row;
    if (row.index !== index || row.shown !== r) {
      element.style.transform = `translateY(${index * this.height}px)`;
      element.dataset.index = index;
      element.setAttribute("aria-rowindex", index + 2);
      row.index = index;
    }
    const selected = index === this.selected;
    if (row.selected !== selected) {
      row.selected = selected;
      element.setAttribute("aria-selected", selected);
    }
    if (row.shown === r && !r.ago) return;
    row.shown = r;
    element.hidden = false;
    if (r.gap) {
      element.className = "row gap";
      delete element.dataset.seq;
      delete element.dataset.level;
      for (const name of ["time", "level", "origin", "logger"]) cells[name].textContent = "";
      cells.text.textContent = r.m;
      cells.attrs.textContent = "";
      return;
    }
    const level = chips[r.chip];
    element.className = "row";
    element.dataset.seq = r.s;
    element.dataset.level = level;
    cells.time.textContent = this.time(r);
    cells.level.textContent = levelText(r.l);
    cells.origin.textContent = r.h || r.p ? (r.h || "") + (r.p ? "/" + r.p : "") : "";
    cells.logger.textContent = r.n || "";
    cells.text.textContent = line(r.m);
    cells.attrs.textContent = r.a && r.a.length ? attrsText(r) : "";
  }

  goTo(index, select = true) {
    if (index < 0 || index >= this.list.length) return;
    if (select) this.selected = index;
    const { box, height } = this;
    const top = index * height;
    const seen = box.clientHeight - this.space.offsetTop;
    if (top < box.scrollTop || top + height > box.scrollTop + seen) {
      this.following = false;
      box.scrollTop = this.top = Math.max(0, top - seen / 2);
    } else if (index < this.list.length - 1) {
      this.following = false;
    }
    this.changed?.();
    this.draw();
  }

  follow() {
    this.following = true;
    this.changed?.();
    this.draw();
  }
}

export function levelText(level) {
  const names = [[12, "CRIT"], [8, "ERROR"], [4, "WARN"], [0, "INFO"]];
  for (const [from, name] of names) if (level >= from) return level === from ? name : name + "+" + (level - from);
  return level === -4 ? "DEBUG" : level === -8 ? "TRACE" : "DEBUG" + (level > -4 ? "+" : "") + (level + 4);
}

// line shows a text of several lines in one.
const line = (s) => (s.length > 2000 ? s.slice(0, 2000) + "…" : s).replace(/\s*\n\s*/g, " ⏎ ");

function attrsText(r) {
  if (r.attrsText !== undefined) return r.attrsText;
  let out = "";
  const add = (attrs, prefix) => {
    for (const a of attrs) {
      if (out.length > 600) return;
      if (!prefix && a.k === "logger" && a.t === "s") continue;
      const path = prefix && a.k ? prefix + "." + a.k : prefix || a.k;
      if (a.t === "g") add(a.v, path);
      else out += " " + path + "=" + brief(text(a));
    }
  };
  add(r.a, "");
  return (r.attrsText = out.slice(1));
}

const brief = (s) => {
  s = line(s.length > 160 ? s.slice(0, 160) + "…" : s);
  return /[\s"=]/.test(s) || s === "" ? JSON.stringify(s) : s;
};
