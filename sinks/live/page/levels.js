// The levels of the program's loggers, where the server lets them be changed.

import { clock, date, timeOfDay } from "./clock.js";
import { $ } from "./element.js";

export const root = "root"; // of all loggers that no rule is for

export class Levels {
  // changed is called after what is known has changed, told with what was done.
  constructor({ changed, told }) {
    Object.assign(this, { changed, told });
    this.isOffered = "levels" in document.body.dataset;
    this.rules = new Map(); // name -> {level, until}
    this.name = root;
    if (!this.isOffered) return;
    $("level").addEventListener("submit", (event) => {
      if (event.submitter?.value === "cancel") return;
      event.preventDefault();
      const of = $("level-for").selectedOptions[0];
      this.change("PUT", { ttl: of.value }, $("level-to").value, `is ${$("level-to").value} ${of.dataset.told}`);
    });
    $("level-reset").addEventListener("click", () => this.change("DELETE", {}, undefined, "is what it was"));
  }

  // load asks what the levels are. Rules that end by themselves are asked for again
  // when they have.
  async load() {
    if (!this.isOffered) return;
    try {
      const answer = await fetch("levels");
      if (!answer.ok) return;
      const got = await answer.json();
      this.rules = new Map(Object.entries(got.loggers ?? {}));
      this.rules.set(root, { level: got.root ?? got.level, until: got.until });
      this.isTable = got.root === undefined; // a levels.Table, which does not go by the path
    } catch {
      return; // whatever is wrong with the server, the stream says it
    }
    clearTimeout(this.ending);
    const ends = [...this.rules.values()].map((rule) => Date.parse(rule.until) - Date.now()).filter((ms) => ms > 0);
    if (ends.length) this.ending = setTimeout(() => this.load(), Math.min(...ends, 3_600_000) + 1000);
    this.tell();
    this.changed();
  }

  text(name) {
    const rule = this.rules.get(name);
    if (!rule) return "";
    if (!rule.until) return rule.level;
    const until = Date.parse(rule.until);
    return `${rule.level} until ${date(until) === date(Date.now()) ? "" : date(until) + " "}${timeOfDay(until, false)}${clock.mode === "utc" ? " UTC" : ""}`;
  }

  open(name) {
    this.name = name;
    $("level-title").textContent = name === root ? "Level of all other loggers" : "Level of " + name;
    this.tell();
    $("level-to").value = "debug";
    $("level-for").value = "10m";
    this.mistake("");
    $("level").showModal();
    $("level-to").focus();
    this.load(); // somebody else may have changed it
  }

  tell() {
    const text = this.text(this.name);
    $("level-now").textContent = text ? `Now ${text}` : "It has no level of its own now";
    $("level-reset").hidden = !text;
  }

  mistake(text) {
    $("level-mistake").textContent = text;
    $("level-mistake").hidden = !text;
  }

  async change(method, parameters, level, done) {
    const { name } = this;
    const p = new URLSearchParams(this.isTable ? { logger: name === root ? "" : name } : {});
    for (const [key, value] of Object.entries(parameters)) if (value) p.set(key, value);
    try {
      const answer = await fetch(`levels/${encodeURIComponent(name)}?${p}`, {
        method,
        headers: level ? { "Content-Type": "application/json" } : {},
        body: level && JSON.stringify({ level }),
      });
      if (!answer.ok) return this.mistake((await answer.json()).error);
    } catch {
      return this.mistake("The server does not answer.");
    }
    $("level").close();
    this.told(`${name === root ? "The level of all others" : "The level of " + name} ${done}`);
    await this.load();
  }
}
