// The records that this page holds, in the order of k, which goes on over
// restarts of the server; and which of them are in view.

const maxKept = 100_000; // records
const maxBytes = 64 << 20; // of them as JSON
const spare = 10_000; // records beyond, so that making room is rare
const maxWaiting = 50_000; // records that arrive during a pause
const patience = 1000; // milliseconds that a search among them may take

// A gap row tells of something between the records. That of a day stands in the
// view alone.
export const gapRow = (k, m, ms) => ({ gap: true, k, m, ms, s: 0, l: 0, chip: 1, size: 100 });

export class Log {
  // counted is told of each record that is new here, or has passed filters that it was
  // not known to pass; day tells of the day that a moment is in.
  constructor({ passes, counted, lostText, day }) {
    Object.assign(this, { passes, counted, lostText, day });
    this.kept = [];
    this.bytes = 0;
    this.gaps = 0; // among what is kept
    this.show([]);
    this.waiting = [];
    this.waitingBytes = 0;
    this.waitingLost = 0;
    this.paused = false;
    this.frozen = -1; // what comes up to here belongs to what was seen when the pause began
    this.clearedTo = -1; // what comes up to here was cleared away
    this.cutShort = false; // the last search took too long to look at all
  }

  get newest() { return this.kept.length ? this.kept[this.kept.length - 1].k : -1; }
  get oldest() { return this.kept.length ? this.kept[0].k : Infinity; }
  get records() { return this.kept.length - this.gaps; }
  get shown() { return this.view.length - this.viewGaps; }
  get waits() { return this.waiting.length + this.waitingLost; }

  // add takes a batch of the stream, which is in order. It may repeat what is
  // here already.
  add(batch) {
    if (batch.length && batch[0].k <= this.clearedTo) batch = batch.filter((r) => r.k > this.clearedTo);
    if (!batch.length) return;
    if (this.paused) {
      const seen = batch.findIndex((r) => r.k > this.frozen);
      if (seen !== 0) this.merge(seen < 0 ? batch : batch.slice(0, seen));
      if (seen >= 0) this.wait(seen === 0 ? batch : batch.slice(seen));
    } else if (batch[0].k > this.newest) this.append(batch);
    else this.merge(batch);
  }

  append(batch) {
    for (const r of batch) {
      this.kept.push(r);
      this.came(r);
      if (this.passes(r)) this.see(r);
    }
  }

  came(r) {
    this.bytes += r.size;
    if (r.gap) this.gaps++;
    else this.counted(r);
  }

  went(r) {
    this.bytes -= r.size;
    if (r.gap) this.gaps--;
  }

  // merge puts records in among those that are here.
  merge(batch) {
    this.kept = union(this.kept, batch, (r) => this.came(r), (r) => this.counted(r));
    this.filter();
  }

  wait(batch) {
    const last = this.waiting.length ? this.waiting[this.waiting.length - 1].k : -1;
    const waits = (r) => { this.waitingBytes += r.size; };
    if (batch[0].k > last) {
      for (const r of batch) {
        this.waiting.push(r);
        waits(r);
      }
    } else this.waiting = union(this.waiting, batch, waits);
    let gone = 0;
    while (this.waiting.length - gone > maxWaiting || this.waitingBytes > maxBytes) this.waitingBytes -= this.waiting[gone++].size;
    if (gone) this.waiting = this.waiting.slice(gone);
    this.waitingLost += gone;
  }

  pause() {
    this.paused = true;
    this.frozen = this.newest;
  }

  resume() {
    this.paused = false;
    const batch = this.waiting;
    if (this.waitingLost) batch.unshift(gapRow(batch[0].k - 0.5, this.lostText(this.waitingLost), batch[0].ms));
    this.forgetWaiting();
    this.add(batch);
  }

  forgetWaiting() {
    this.waiting = [];
    this.waitingBytes = this.waitingLost = 0;
  }

  clear() {
    this.clearedTo = Math.max(this.clearedTo, this.newest, this.waiting.length ? this.waiting[this.waiting.length - 1].k : -1);
    this.kept = [];
    this.bytes = this.gaps = 0;
    this.forgetWaiting();
    this.show([]);
  }

  // mark puts a row between records, in the place of another one of its kind.
  mark(row, kind) {
    this.kept = this.kept.filter((r) => {
      if (r.gap === kind) this.went(r);
      return r.gap !== kind;
    });
    row.gap = kind;
    this.merge([row]);
  }

  // filter looks at all that is here, the newest first.
  filter() {
    this.cutShort = false;
    const view = [];
    const end = performance.now() + patience;
    for (let i = this.kept.length - 1; i >= 0; i--) {
      if (this.passes(this.kept[i])) view.push(this.kept[i]);
      if (i % 8 === 0 && performance.now() > end) {
        this.cutShort = true;
        break;
      }
    }
    this.show(view.reverse());
  }

  // show makes a view of what passes. A line with the day stands above the first
  // record that is not of today, and wherever another day begins.
  show(rows) {
    this.view = [];
    this.viewGaps = 0;
    this.now = this.day(Date.now());
    for (const r of rows) this.see(r);
  }

  // redate is for when days begin at another time, as those of UTC do.
  redate() {
    this.show(this.view.filter((r) => r.gap !== "day"));
  }

  see(r) {
    if (r.gap) this.viewGaps++;
    else if (!isOf(this.now, r)) {
      this.now = this.day(r.ms);
      this.view.push(dayRow(this.now, r));
      this.viewGaps++;
    }
    this.view.push(r);
  }

  // trim makes room, and returns how many rows the view lost at its front.
  trim() {
    const { kept } = this;
    if (kept.length <= maxKept + spare && this.bytes <= maxBytes) return 0;
    let gone = 0;
    while (kept.length - gone > maxKept || this.bytes > maxBytes * 0.9) this.went(kept[gone++]);
    const last = kept[gone - 1].k;
    this.kept = kept.slice(gone);
    let dropped = 0;
    for (; dropped < this.view.length && this.view[dropped].k <= last; dropped++) if (this.view[dropped].gap) this.viewGaps--;
    if (!dropped) return 0;
    this.view = this.view.slice(dropped);
    const today = this.day(Date.now());
    const first = this.view.find((r) => !r.gap || r.gap === "day");
    if (!first) this.now = today;
    if (!first || first.gap || isOf(today, first)) return dropped;
    this.view.unshift(dayRow(this.day(first.ms), first));
    this.viewGaps++;
    return dropped - 1;
  }
}

const dayRow = (day, r) => ({ ...gapRow(r.k - 0.25, day.text, r.ms), gap: "day" });

// isOf reports whether a record is of the day. Around midnight clocks that differ by
// a little would otherwise have the day change to and fro.
const isOf = (day, r) => r.ms >= day.from - 10_000 && r.ms < day.to;

// union returns both lists in order, each record once; added is called for those
// that only the batch has. Of the others it takes over that they passed, and calls
// passed if that is news.
function union(list, batch, added, passed = () => {}) {
  const have = new Map();
  for (let i = list.length - 1; i >= 0 && list[i].k >= batch[0].k; i--) have.set(list[i].k, list[i]);
  const more = [];
  for (const r of batch) {
    const old = have.get(r.k);
    if (old) {
      if (!(r.passed > (old.passed ?? -1))) continue;
      old.passed = r.passed;
      passed(old);
    } else {
      more.push(r);
      have.set(r.k, r);
      added(r);
    }
  }
  return more.length ? list.concat(more).sort((a, b) => a.k - b.k) : list;
}
