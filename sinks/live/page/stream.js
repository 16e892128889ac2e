// The connection to the server: the stream, what is asked for besides it, and
// the way back after it broke.

import { chipOf } from "./query.js";
import { params, state } from "./state.js";

const backlog = 5000;
const run = 1e12; // more records than one run of a server has
const patience = 20_000; // milliseconds that a hidden page stays connected
const silence = 20_000; // milliseconds after which the server is asked whether it has more, or longer

// get does not wait for ever either: the connection that it is given may be dead too.
const get = (address) => fetch(address, { cache: "no-store", signal: AbortSignal.timeout(10_000) });

export class Stream {
  // The functions are told of what comes. settled gets the k from which on all
  // that passes the filters is here; changed gets live, lost, refused, invalid or
  // stopped, and perhaps a text.
  constructor({ hello, batch, gap, settled, changed }) {
    this.told = { hello, batch, gap, settled, changed };
    this.settled = new Promise((resolve) => { this.settle = resolve; });
    this.expected = null; // of what is kept and comes first
    this.boots = []; // names of the server's runs, as far as this page has seen them
    this.lastID = "";
    this.lastMs = Date.now();
    this.failures = 0;
    this.arrived = 0; // when something came last
    this.asked = 0; // when the server was asked for more, and the number of the newest it had
    this.waitsFor = 0;
    this.isAsking = false;
    this.silence = silence;
    this.source = null;
    this.isFresh = true; // what comes next goes on nowhere
    this.asleep = false;
    setInterval(() => this.ask(), 5000);
    document.addEventListener("visibilitychange", () => this.sleepOrWake());
    this.sleepOrWake();
  }

  get boot() { return this.boots[this.boots.length - 1] || ""; }
  get start() { return Math.max(0, this.boots.length - 1) * run; }

  // idOf names a record for a link; one that came before a restart has the name
  // of its own run.
  idOf(r) { return this.boots[Math.floor(r.k / run)] + "-" + r.s; }

  // connect opens the stream.
  connect() {
    clearTimeout(this.retry);
    clearTimeout(this.soon);
    this.close();
    if (this.isFresh) this.lastID = "";
    this.isFresh = false;
    if (this.asleep) return;
    if (state.rate === 0) return this.told.changed("stopped");
    const p = params();
    if (state.rate !== Infinity) p.set("rate", state.rate);
    const anew = !this.lastID;
    if (anew) p.set("backlog", backlog);
    else p.set("after", this.lastID);
    const es = new EventSource("events?" + p);
    const generation = state.generation;
    this.source = es;
    const on = (type, f) => es.addEventListener(type, (event) => {
      if (this.source !== es) return;
      if (event.lastEventId) this.lastID = event.lastEventId;
      this.arrived = performance.now();
      f(JSON.parse(event.data), event.data.length);
    });
    on("hello", (hello) => {
      this.failures = 0;
      this.silence = Math.max(silence, hello.heartbeat_ms + 5000);
      const restarted = this.boot && hello.boot !== this.boot;
      if (hello.boot !== this.boot) this.boots.push(hello.boot);
      this.told.hello(hello, { anew, restarted });
      this.told.changed("live");
      this.expected = anew ? { es, n: 0, from: Infinity, first: hello.first, head: hello.head } : null;
      this.checkSettled();
    });
    on("b", (records, length) => {
      const size = Math.ceil(length / (records.length || 1));
      for (const r of records) this.prepare(r, size).passed = generation;
      this.told.batch(records);
      const e = this.expected;
      if (!e || !records.length) return;
      for (const r of records) if (r.s <= e.head) e.n++;
      e.from = Math.min(e.from, records[0].s);
      if (records[records.length - 1].s >= e.head) this.hasSettled();
    });
    on("gap", (gap) => this.told.gap(gap));
    es.onerror = () => {
      if (this.source === es) this.lose();
    };
  }

  // checkSettled waits for an end of what comes first, since the filters may hide
  // its last record.
  checkSettled() {
    const e = this.expected;
    if (!e || e.es !== this.source) return;
    if (!e.head || performance.now() - this.arrived > 300) return this.hasSettled();
    setTimeout(() => this.checkSettled(), 100);
  }

  hasSettled() {
    const { n, from, first } = this.expected;
    this.expected = null;
    this.told.settled(this.start + (n < backlog ? first : from));
    this.settle();
  }

  // reconnect connects a little later, since filters change in quick succession. If
  // fresh, the stream does not go on where the last one was, whatever connects first.
  reconnect({ fresh }) {
    this.isFresh ||= fresh;
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.connect(), 150);
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  // ask finds out whether a connection on which nothing comes is dead, as those of a
  // laptop are that was moved to another network: EventSource would wait for ever.
  // What the server has, it tells of with a heartbeat, even if the filters hide it.
  async ask() {
    const { source } = this;
    if (!source || this.isAsking || performance.now() - Math.max(this.arrived, this.asked) < this.silence) return;
    this.asked = performance.now();
    if (this.waitsFor > Number(this.lastID.split("-")[1] || 0)) {
      this.waitsFor = 0;
      return this.connect();
    }
    this.isAsking = true;
    const got = await this.records("limit=1");
    this.isAsking = false;
    if (this.source !== source || this.arrived > this.asked) return;
    if (got) this.waitsFor = got.head;
    else this.lose();
  }

  lose() {
    this.close();
    this.again();
  }

  // again tries until the server is back. EventSource would do it by itself, but
  // not after an answer such as 502, and it would not say why.
  async again() {
    const mine = (this.attempt = {});
    let status = 0;
    let reason = "";
    this.told.changed("lost");
    try {
      const answer = await get("records?limit=1&" + params());
      status = answer.status;
      if (!answer.ok) reason = (await answer.json()).error;
    } catch {
      // no answer, or none of ours
    }
    if (this.source || this.attempt !== mine) return;
    if (status === 400) return this.told.changed("invalid", reason);
    if (status === 401 || status === 403) this.told.changed("refused", status === 401 ? "The program has a new token. Open the address that it printed when it started." : reason);
    this.failures++;
    this.retry = setTimeout(() => this.connect(), Math.min(250 * 2 ** this.failures, 8000));
  }

  // sleepOrWake gives the connection of a hidden page back, of which a browser
  // has few, and later goes on where it was.
  sleepOrWake() {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(() => {
        this.asleep = true;
        this.close();
        clearTimeout(this.retry);
      }, patience);
    } else if (this.asleep) {
      this.asleep = false;
      this.connect();
    }
  }

  // records asks for kept records, and returns null if there is no answer.
  async records(parameters) {
    try {
      const answer = await get("records?" + parameters);
      if (!answer.ok) return null;
      const got = await answer.json();
      if (got.boot !== this.boot) return null;
      const lastMs = this.lastMs;
      for (const r of got.records) this.prepare(r, 500);
      this.lastMs = lastMs;
      return got;
    } catch {
      return null;
    }
  }

  // prepare adds what the page needs to know of a record. One without a time
  // has about that of the one before.
  prepare(r, size) {
    r.k = this.start + r.s;
    r.chip = chipOf(r.l);
    r.m ??= "";
    r.size = size;
    r.ms = r.t ? Date.parse(r.t) : this.lastMs;
    if (Number.isNaN(r.ms)) r.ms = this.lastMs;
    this.lastMs = r.ms;
    return r;
  }
}
