// The keyboard. A field keeps its keys, and a button those that press it.

import { $ } from "./element.js";

export function listen(does) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const on = event.target;
    if (on.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea")) return;
    if (on.matches("button, a, input") && (event.key === " " || event.key === "Enter")) return;
    const isSlider = on.matches("input");
    const inRows = !on.closest("input, button, #histogram, #details, .menu");
    switch (event.key) {
      case " ": does.pause(); break;
      case "/": $("search").focus(); $("search").select(); break;
      case "Escape": if (!does.escape()) return; break;
      case "End": if (isSlider) return; does.follow(); break;
      case "Home": if (isSlider) return; does.first(); break;
      case "j": does.step(1); break;
      case "k": does.step(-1); break;
      case "ArrowDown": if (!inRows) return; does.step(1); break;
      case "ArrowUp": if (!inRows) return; does.step(-1); break;
      case "PageDown": if (!inRows) return; does.page(1); break;
      case "PageUp": if (!inRows) return; does.page(-1); break;
      case "e": does.nextError(); break;
      case "E": does.previousError(); break;
      case "Enter": does.open(); break;
      case "c": does.clear(); break;
      case "y": does.copy(); break;
      case "t": does.theme(); break;
      case "0": does.showAll(); break;
      case "1": case "2": case "3": case "4": case "5": does.levelsFrom(Number(event.key) - 1); break;
      case "?": $("help").showModal(); break;
      default: return;
    }
    event.preventDefault();
  });
}
