// The filters as the server has them, for records that the page already holds.

export const chips = ["debug", "info", "warn", "error", "critical"];

export function chipOf(level) {
  if (level >= 12) return 4;
  if (level >= 8) return 3;
  if (level >= 4) return 2;
  return level >= 0 ? 1 : 0;
}

const levelNames = new Map(Object.entries({ trace: -8, debug: -4, info: 0, warn: 4, warning: 4, error: 8, critical: 12, fatal: 12 }));

export function parseLevel(text) {
  if (/^[+-]?\d+$/.test(text)) return Number(text);
  const m = /^([a-z]+)([+-]\d+)?$/i.exec(text);
  const base = m && levelNames.get(m[1].toLowerCase());
  return base === undefined || base === null ? null : base + Number(m[2] || 0);
}

export function covers(rule, name) {
  return name.startsWith(rule) && (name.length === rule.length || name[rule.length] === ".");
}

// takesLogger goes by the longest rule; rules is a Map of name to "only" or "hide".
export function takesLogger(rules, name) {
  let longest = -1;
  let takes = true;
  for (const kind of rules.values()) if (kind === "only") takes = false;
  for (const [rule, kind] of rules) {
    if (rule.length > longest && covers(rule, name)) {
      longest = rule.length;
      takes = kind === "only";
    }
  }
  return takes;
}

// parseQuery returns the words of a search, or throws an Error that says what is
// wrong.
export function parseQuery(text) {
  const terms = [];
  for (let rest = withoutBlanks(text); rest; rest = withoutBlanks(rest)) {
    const t = { not: false, key: "", op: "", raw: "", re: null };
    if (/^-[^ \t\r\n]/.test(rest)) {
      t.not = true;
      rest = rest.slice(1);
    }
    const head = /^([^ \t\r\n"=<>!/][^ \t\r\n"=<>!]*)(>=|<=|!=|=|>|<)/.exec(rest);
    if (head) {
      t.key = head[1].toLowerCase();
      t.op = head[2];
      rest = rest.slice(head[0].length);
    }
    const expression = /^\/((?:.+?)(?<!\\))\/(?=[ \t\r\n]|$)/s.exec(rest);
    const quoted = /^"((?:\\.|[^"\\])*)"/s.exec(rest);
    if (quoted) {
      t.raw = quoted[1].replace(/\\(.)/gs, "$1");
      rest = rest.slice(quoted[0].length);
    } else if (rest.startsWith('"')) {
      throw new Error('no closing quote: want "two words"');
    } else if (expression) {
      t.raw = expression[1];
      t.re = compile(t.raw);
      rest = rest.slice(expression[0].length);
    } else {
      t.raw = /^[^ \t\r\n]*/.exec(rest)[0];
      rest = rest.slice(t.raw.length);
    }
    if (t.key === "level" && !t.re && parseLevel(t.raw) === null) throw new Error(`unknown level "${t.raw}"`);
    t.lower = t.raw.toLowerCase();
    terms.push(t);
  }
  return terms;
}

// withoutBlanks leaves a no-break space, which is none to the server.
const withoutBlanks = (s) => s.replace(/^[ \t\r\n]+/, "");

// longest is the longest text that an expression is tried on here, by how many
// parts of it repeat: with each, the time grows by another power of the length.
const longest = [10_000, 1000, 100];

// compile reads the flags that Go writes in front. It returns undecided for an
// expression that JavaScript cannot read or reads otherwise, and for one that might
// take it for ever: a repeated group, several repetitions, or many choices. The
// server takes linear time for all it accepts.
function compile(source) {
  let flags = "";
  const m = /^\(\?([ims]+)\)/.exec(source);
  if (m) {
    flags = m[1];
    source = source.slice(m[0].length);
  }
  const escaped = source.match(/\\./gs) || [];
  const unescaped = source.replace(/\\./gs, "_");
  // Without its flag u JavaScript takes \A for A, and [] is empty for it with and without.
  if (escaped.some((s) => /[a-zA-Z0-9]/.test(s) && !/[dDwWsSbBnrtfv]/.test(s)) || /\[\^?\]|\[:/.test(unescaped)) return undecided;
  const plain = unescaped.replace(/\[[^\]]*\]/g, "_");
  const repetitions = (plain.match(/[*+]|\{\d*,/g) || []).length;
  const words = plain.split("|").length;
  const choices = (plain.match(/\((?=[^)]*\|)|[^(*+?}]\?/g) || []).length; // groups with |, and what is optional
  if (/\)[*+{]/.test(plain) || repetitions >= longest.length || choices > 5 || words > 12) return undecided;
  for (const all of [flags + "u", flags]) {
    try {
      return Object.assign(new RegExp(source, all), { longest: longest[repetitions] });
    } catch {
      // the other way, or the server's
    }
  }
  return undecided;
}

const undecided = { test: () => false };

let wasTooLong = false; // some text of the record, to be tried on

function finds(re, s) {
  const found = s.length <= re.longest && re.test(s);
  wasTooLong = !found && (wasTooLong || s.length > re.longest);
  return found;
}

const has = (t, s) => (t.re ? finds(t.re, s) : s.toLowerCase().includes(t.lower));
const is = (t, s) => (t.re ? finds(t.re, s) : s.toLowerCase() === t.lower);

// matches reports whether a record is known here to have all the words. Where
// this page cannot tell, what the server lets through says it.
export function matches(terms, r) {
  for (const t of terms) {
    wasTooLong = false;
    if (t.re === undecided || holds(t, r) === t.not || wasTooLong) return false;
  }
  return true;
}

function holds(t, r) {
  if (!t.op) {
    return has(t, r.m) || has(t, r.n || "") || some(r.a, "", (path, a) => has(t, path) || path.split(".").some((key) => has(t, key)) || texts(a).some((s) => s && has(t, s)));
  }
  if (t.op === "!=") return !holds({ ...t, op: "=" }, r);
  if (t.key === "level") {
    if (t.re) return t.op === "=" && t.re.test(chips[chipOf(r.l)]);
    const want = parseLevel(t.raw);
    return t.op === "=" ? chipOf(r.l) === chipOf(want) : compares(t.op, r.l, want);
  }
  if (t.key === "logger") return t.op === "=" && ((!t.re && covers(t.raw, r.n || "")) || is(t, r.n || ""));
  return some(r.a, "", (path, a) => {
    path = path.toLowerCase();
    return (path === t.key || path.endsWith("." + t.key)) && valueHolds(t, a);
  });
}

function valueHolds(t, a) {
  if (t.op === "=") return texts(a).some((s, i) => (s || i === 0) && is(t, s));
  const have = numberOf(a);
  const want = operand(t.raw, a.t);
  return have !== null && want !== null && compares(t.op, have, want);
}

function compares(op, a, b) {
  if (op === ">") return a > b;
  if (op === ">=") return a >= b;
  return op === "<" ? a < b : a <= b;
}

// number reads what Go takes for a number. To JavaScript, blanks and 0b1 are some too.
function number(text) {
  const infinity = /^([+-]?)inf(inity)?$/i.exec(text);
  if (infinity) return Number(infinity[1] + "Infinity");
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : null;
}

function numberOf(a) {
  switch (a.t) {
    case "i": case "u": case "f": case "s": return number(a.v);
    case "d": return Number(a.v) / 1e9;
    case "t": return Date.parse(a.v) / 1e3;
  }
  return null;
}

const units = { ns: 1e-9, us: 1e-6, "µs": 1e-6, "μs": 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

function operand(text, kind) {
  if (kind === "t") return Number.isNaN(Date.parse(text)) ? null : Date.parse(text) / 1e3;
  if (kind === "d" && /^[+-]?(\d*\.?\d+(ns|us|µs|μs|ms|s|m|h))+$/.test(text)) {
    let sum = 0;
    for (const [, n, unit] of text.matchAll(/(\d*\.?\d+)(ns|us|µs|μs|ms|s|m|h)/g)) sum += n * units[unit];
    return text.startsWith("-") ? -sum : sum;
  }
  return number(text);
}

// some calls f with each attribute that is no group until it returns true.
function some(attrs, prefix, f) {
  for (const a of attrs || []) {
    if (!prefix && a.k === "logger" && a.t === "s") continue;
    const path = prefix && a.k ? prefix + "." + a.k : prefix || a.k;
    if (a.t === "g" ? some(a.v, path, f) : f(path, a)) return true;
  }
  return false;
}

// texts are the forms in which a value may have been seen.
export function texts(a) {
  switch (a.t) {
    case "e": return [a.v[0]];
    case "j": return [a.v[1], JSON.stringify(a.v[0])];
    case "n": return ["<nil>"];
    case "d": return [duration(a.v)];
    case "f": return [String(a.v), float(a.v)];
    case "y": return [a.v ?? "", bytes(a.v ?? "")];
  }
  return [String(a.v)];
}

// float prints a number as Go does outside JSON.
function float(n) {
  const [digits, exponent] = Number(n).toExponential().split("e");
  if (!exponent || (exponent >= -4 && exponent < 6)) return String(n);
  return digits + "e" + exponent[0] + exponent.slice(1).padStart(2, "0");
}

function bytes(base64) {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)));
  } catch {
    return ""; // cut short, as long records are
  }
}

export const text = (a) => (a.t === "j" ? (a.v[0] !== null && typeof a.v[0] === "object" ? JSON.stringify(a.v[0]) : a.v[1]) : texts(a)[0]);

// duration prints nanoseconds as Go does.
export function duration(ns) {
  if (typeof ns === "string") ns = Number(ns);
  if (ns === 0) return "0s";
  const sign = ns < 0 ? "-" : "";
  ns = Math.abs(ns);
  const short = (n, unit) => sign + String(Number(n.toFixed(9))) + unit;
  if (ns < 1e3) return short(ns, "ns");
  if (ns < 1e6) return short(ns / 1e3, "µs");
  if (ns < 1e9) return short(ns / 1e6, "ms");
  const h = Math.floor(ns / 3600e9);
  const m = Math.floor((ns % 3600e9) / 60e9);
  const s = Number(((ns % 60e9) / 1e9).toFixed(9)) + "s";
  if (h) return `${sign}${h}h${m}m${s}`;
  return m ? `${sign}${m}m${s}` : sign + s;
}
