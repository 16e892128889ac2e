// How many records there were over time, by level, and the choice of a time
// range in the picture of it.

import { chips, duration } from "./query.js";

const number = new Intl.NumberFormat("en");
const seconds = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
const maxBins = 40_000; // seconds that are remembered, some eleven hours without a break
const sum = (bar) => bar.reduce((a, b) => a + b);

export class Histogram {
  constructor(box, { clock, date, span, isUTC, select }) {
    this.box = box;
    this.canvas = box.querySelector("canvas");
    this.band = box.querySelector(".band");
    this.hint = box.querySelector(".hint");
    this.clock = clock;
    this.date = date;
    this.spanText = span;
    this.isUTC = isUTC;
    this.select = select;
    this.bins = new Map(); // second -> records per chip
    this.order = null; // the seconds in order, if known
    this.chart = { from: 0, step: 1, n: 0, bars: [], width: 0 };
    this.range = null;
    this.listen();
    new ResizeObserver(() => this.draw(this.range)).observe(box);
  }

  clear() {
    this.bins.clear();
    this.order = null;
  }

  count(r) {
    if (r.gap || !Number.isFinite(r.ms)) return;
    const second = Math.floor(r.ms / 1000);
    let bin = this.bins.get(second);
    if (!bin) {
      if (this.bins.size >= maxBins) this.forgetOldest();
      this.bins.set(second, (bin = [0, 0, 0, 0, 0]));
      this.order = null;
    }
    bin[r.chip]++;
  }

  draw(range) {
    this.range = range;
    const { clientWidth: width, clientHeight: height } = this.box;
    const ratio = devicePixelRatio || 1;
    const { canvas } = this;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    this.chart = this.layOut(width);
    if (this.chart.n) this.paint(g, width, height);
    if (!this.held) this.mark(range);
  }

  forgetOldest() {
    const oldest = [...this.bins.keys()].sort((a, b) => a - b).slice(0, maxBins / 4);
    for (const second of oldest) this.bins.delete(second);
  }

  // extent returns the first and the last second that the picture shows. A few
  // records of quite another time, as of a clock that is wrong, do not make it
  // useless for all others: what a long silence separates from the rest, and is
  // little, is left out.
  extent() {
    const all = (this.order ??= [...this.bins.keys()].sort((a, b) => a - b));
    if (!all.length || all[all.length - 1] - all[0] <= 86_400) return all.length ? [all[0], all[all.length - 1]] : null;
    const counts = all.map((second) => sum(this.bins.get(second)));
    let few = counts.reduce((a, b) => a + b, 0) / 20;
    let [i, j] = [0, all.length - 1];
    while (all[j] - all[i] > 86_400) {
      let [left, right, wide] = [0, 0, 0];
      let at = -1;
      for (let n = i; n < j; n++) if (all[n + 1] - all[n] > wide) [wide, at] = [all[n + 1] - all[n], n];
      if (wide < (all[j] - all[i]) / 2) break;
      for (let n = i; n <= j; n++) if (n <= at) left += counts[n]; else right += counts[n];
      if (Math.min(left, right) > few) break;
      few -= Math.min(left, right);
      if (left < right) i = at + 1; else j = at;
    }
    return [all[i], all[j]];
  }

  // layOut puts the seconds into bars, as few seconds in each as the width allows.
  layOut(width) {
    const extent = this.extent();
    if (!extent) return { from: 0, step: 1, n: 0, bars: [], width };
    const [first, last] = extent;
    const most = Math.max(12, Math.floor(width / 7));
    const step = seconds.find((s) => (last - first) / s < most - 1) || Math.ceil((last - first) / (most - 1) / 604_800) * 604_800;
    const n = Math.min(most, Math.max(Math.floor(width / 14), Math.floor((last - first) / step) + 3));
    const begin = (Math.floor(last / step) + 1 - n) * step;
    const bars = Array.from({ length: n }, () => [0, 0, 0, 0, 0]);
    for (const [second, bin] of this.bins) {
      const bar = bars[Math.floor((second - begin) / step)];
      if (bar) for (let i = 0; i < bin.length; i++) bar[i] += bin[i];
    }
    return { from: begin * 1000, step: step * 1000, n, bars, width };
  }

  paint(g, width, height) {
    const { from, step, n, bars } = this.chart;
    const style = getComputedStyle(document.documentElement);
    const colours = chips.map((name) => style.getPropertyValue("--bar-" + name));
    const highest = Math.max(1, ...bars.map(sum));
    const base = height - 16;
    const room = base - 12;
    const w = width / n;
    g.font = "11px system-ui, sans-serif";
    g.fillStyle = style.getPropertyValue("--faint");
    const every = (seconds.find((s) => ((s * 1000) / step) * w >= 76 && (s * 1000) % step === 0) || Math.ceil((76 / w) * step / 86_400_000) * 86_400) * 1000;
    const zone = this.isUTC() ? 0 : new Date(from).getTimezoneOffset() * 60_000;
    for (let t = Math.ceil((from - zone) / every) * every + zone; t < from + n * step; t += every) {
      const x = ((t - from) / step) * w;
      if (x > width - 60) break;
      g.fillText(every >= 86_400_000 || this.clock(t, true) === "00:00:00" ? this.date(t) : this.clock(t, every < 60_000), x + 4, height - 3);
      g.fillRect(Math.round(x), base, 1, 5);
    }
    g.fillRect(0, base, width, 1);
    bars.forEach((bar, i) => {
      const total = sum(bar);
      if (!total) return;
      // Few errors among many records are still to be seen.
      const least = bar.map((count) => (count ? 2 : 0));
      const scale = Math.max(0, (total / highest) * room - sum(least)) / total;
      let y = base;
      bar.forEach((count, level) => {
        if (!count) return;
        const h = least[level] + count * scale;
        y -= h;
        g.fillStyle = colours[level];
        g.fillRect(Math.round(i * w) + 0.5, y, Math.max(1, Math.round(w) - 1.5), h);
      });
    });
    g.fillStyle = style.getPropertyValue("--faint");
    g.textAlign = "right";
    g.fillText(`${number.format(highest)} in ${duration(step * 1e6).replace(/(?<=[hm])0[ms](0s)?$/, "")}`, width - 6, 10);
    g.textAlign = "left";
  }

  mark(range) {
    const { from, step, n, width } = this.chart;
    this.band.hidden = !range || !n;
    if (this.band.hidden) return;
    const w = width / n;
    const left = Math.max(0, ((range[0] - from) / step) * w);
    const right = Math.min(width, ((range[1] + 1 - from) / step) * w);
    this.band.style.left = left + "px";
    this.band.style.width = Math.max(2, right - left) + "px";
  }

  // span is the time from one bar to another, both included.
  span(chart, a, b) {
    return [chart.from + Math.min(a, b) * chart.step, chart.from + (Math.max(a, b) + 1) * chart.step - 1];
  }

  tell(chart, a, b) {
    if (a === null || !chart.n) {
      this.hint.textContent = "";
      return;
    }
    const span = this.span(chart, a, b);
    const total = [0, 0, 0, 0, 0];
    for (let i = Math.min(a, b); i <= Math.max(a, b); i++) chart.bars[i].forEach((count, level) => (total[level] += count));
    const parts = chips.map((name, i) => (total[i] ? `${number.format(total[i])} ${name}` : "")).filter(Boolean);
    this.hint.textContent = `${this.spanText(span[0], span[1] + 1)}: ${parts.join(", ") || "nothing"}`;
  }

  listen() {
    const { box } = this;
    let start = null; // the bar where a drag began
    this.held = null; // the picture as it was then, since it moves on under the hand
    const at = (event, chart) => Math.min(chart.n - 1, Math.max(0, Math.floor(((event.clientX - box.getBoundingClientRect().left) / chart.width) * chart.n)));
    const end = () => {
      start = this.held = null;
      this.tell(this.chart, null);
      this.mark(this.range);
    };
    box.addEventListener("pointerdown", (event) => {
      if (event.button || !this.chart.n) return;
      box.setPointerCapture(event.pointerId);
      this.held = this.chart;
      start = at(event, this.held);
      this.mark(this.span(this.held, start, start));
    });
    box.addEventListener("pointermove", (event) => {
      const chart = this.held || this.chart;
      if (!chart.n) return;
      const now = at(event, chart);
      this.tell(chart, start ?? now, now);
      if (start !== null) this.mark(this.span(chart, start, now));
    });
    box.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const span = this.span(this.held, start, at(event, this.held));
      end();
      this.select(span);
    });
    box.addEventListener("pointercancel", end);
    box.addEventListener("pointerleave", () => start === null && this.tell(this.chart, null));

    let cursor = null; // the bar that the keys are at, and the one they started from
    box.addEventListener("keydown", (event) => {
      const { chart } = this;
      if (!chart.n) return;
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (move) {
        cursor ??= { at: chart.n, from: chart.n - 1 };
        cursor.at = Math.min(chart.n - 1, Math.max(0, cursor.at + move));
        if (!event.shiftKey) cursor.from = cursor.at;
        this.tell(chart, cursor.from, cursor.at);
        this.mark(this.span(chart, cursor.from, cursor.at));
      } else if (event.key === "Enter" && cursor) {
        this.select(this.span(chart, cursor.from, cursor.at));
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    box.addEventListener("blur", () => {
      cursor = null;
      end();
    });
  }
}
