// The record that is open: its details, its link, and what came around it.

import { draw } from "./details.js";
import { $, el } from "./element.js";
import { params, state, writeFragment } from "./state.js";

const own = new Set(["k", "ms", "chip", "size", "passed", "attrsText"]);
const around = 100; // records before and after that are got for one in context

export class Opened {
  constructor({ log, rows, stream, does, notice, flash, changed }) {
    Object.assign(this, { log, rows, stream, notice, flash, changed });
    this.record = null;
    this.does = { ...does, copy: () => this.copy(this.record), copyLink: () => this.copyLink(), context: () => this.context(), close: () => this.close() };
  }

  open(index, focus = false) {
    const r = this.log.view[index];
    if (!r || r.gap) return;
    this.record = r;
    this.rows.goTo(index);
    state.at = this.stream.idOf(r);
    writeFragment();
    this.draw();
    if (focus) $("details").focus();
  }

  draw() {
    if (!this.record) return;
    draw($("details"), this.record, this.does);
    $("details").hidden = false;
    document.body.classList.add("with-details");
  }

  close() {
    this.record = null;
    state.at = null;
    writeFragment();
    const inside = $("details").contains(document.activeElement);
    $("details").hidden = true;
    document.body.classList.remove("with-details");
    if (inside) $("rows").focus();
    this.rows.draw();
  }

  copy(r) {
    if (!r) return this.flash("No record is selected");
    const plain = Object.fromEntries(Object.entries(r).filter(([key]) => !own.has(key)));
    return this.copyText(JSON.stringify(plain, null, 2), "Record");
  }

  copyLink() {
    return this.copyText(location.href, "Link");
  }

  async copyText(s, what) {
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
    this.flash(what + " copied");
  }

  // context drops the filters and stays with the record.
  async context() {
    const r = this.record;
    this.does.pause();
    this.does.showAll();
    this.find(r);
    if (this.stream.idOf(r) === this.stream.boot + "-" + r.s) await this.fetchAround(r.s);
    if (this.record === r) this.find(r);
  }

  async fetchAround(seq, filters = new URLSearchParams()) {
    for (const [name, n] of [["before", seq], ["after", Math.max(0, seq - 1)]]) {
      const p = new URLSearchParams(filters);
      p.set(name, n);
      p.set("limit", around);
      const got = await this.stream.records(p);
      if (got?.records.length) this.log.merge(got.records);
    }
    this.changed();
  }

  // find scrolls to the record, which is then in the middle.
  find(r) {
    const index = this.log.view.findIndex((other) => other.k === r.k);
    if (index < 0) return false;
    this.rows.show(this.log.view);
    this.open(index);
    this.rows.centre(index);
    return true;
  }

  // openLinked opens the record that the address names. It waits until what came
  // first is here, so that the pause shows something.
  async openLinked(settled) {
    const at = state.at;
    const [boot, seq] = (at || "").split("-");
    if (!Number(seq)) return;
    await settled;
    if (state.at !== at) return;
    if (boot !== this.stream.boot) return this.notice("The record of this address was logged before the last restart.");
    const got = await this.stream.records(`after=${Number(seq) - 1}&limit=1`);
    if (state.at !== at) return;
    const r = got?.records[0];
    if (r?.s !== Number(seq)) return this.notice(got ? "The record of this address is no longer kept." : "The record of this address could not be got.");
    this.does.pause();
    this.log.merge([r]);
    await this.fetchAround(r.s, params());
    if (state.at !== at || this.find(r)) return;
    this.record = r; // the filters hide its row
    this.draw();
  }
}
