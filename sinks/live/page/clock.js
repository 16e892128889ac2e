// Times as people read them: local, UTC, or how long ago.

export const clock = { mode: "local" };

const weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const two = (n) => String(n).padStart(2, "0");

export function timeOfDay(ms, withSeconds) {
  const d = new Date(ms);
  const [h, m, s] = clock.mode === "utc" ? [d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()] : [d.getHours(), d.getMinutes(), d.getSeconds()];
  return two(h) + ":" + two(m) + (withSeconds ? ":" + two(s) : "");
}

export function date(ms) {
  const d = new Date(ms);
  return clock.mode === "utc" ? d.toISOString().slice(0, 10) : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

// day tells of the day that a moment is in: when it begins, when the next one does,
// and how it is called.
export function day(ms) {
  const utc = clock.mode === "utc";
  const from = new Date(ms);
  if (utc) from.setUTCHours(0, 0, 0, 0);
  else from.setHours(0, 0, 0, 0);
  const to = new Date(from);
  if (utc) to.setUTCDate(to.getUTCDate() + 1);
  else to.setDate(to.getDate() + 1); // some days have 23 hours
  return { from: from.getTime(), to: to.getTime(), text: `${weekdays[utc ? from.getUTCDay() : from.getDay()]}, ${date(ms)}` };
}

// span says from when to when, with the dates unless it is all today.
export function span(from, to) {
  const [first, last, today] = [date(from), date(to), date(Date.now())];
  const isToday = first === today && last === today;
  return `${isToday ? "" : first + " "}${timeOfDay(from, true)} – ${first === last ? "" : last + " "}${timeOfDay(to, true)}`;
}

export function dateAndTime(ms) {
  return date(ms) + " " + timeOfDay(ms, true) + "." + milliseconds(ms);
}

const milliseconds = (ms) => String(((Math.floor(ms) % 1000) + 1000) % 1000).padStart(3, "0");

// rowTime is what stands in a row.
export function rowTime(r) {
  if (!r.t) return "";
  if (clock.mode === "ago") return ago(r.ms);
  return timeOfDay(r.ms, true) + "." + milliseconds(r.ms);
}

export function ago(ms) {
  const s = Math.round((Date.now() - ms) / 1000);
  if (s < 0) return "ahead";
  if (s < 1) return "now";
  if (s < 60) return s + " s ago";
  if (s < 3600) return Math.floor(s / 60) + " min ago";
  return s < 86400 ? Math.floor(s / 3600) + " h ago" : Math.floor(s / 86400) + " d ago";
}
