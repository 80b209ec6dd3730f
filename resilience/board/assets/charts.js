// What is drawn: the strip of a node's past, and the rates of a service.
import { draw, make, rate, say, span, times as often } from "./words.js";

const PAST = 600_000; // milliseconds that a strip shows
const WIDE = 120;

// Strip is when a node was out in the last ten minutes.
export class Strip {
  constructor() {
    this.root = draw("svg", { class: "strip", viewBox: `0 0 ${WIDE} 12`, width: WIDE, height: 12, role: "img" });
    this.drawn = "";
  }

  show(history, now) {
    const from = now - PAST;
    const key = JSON.stringify(history) + Math.floor(now / 5000); // it moves by a pixel in five seconds
    if (key === this.drawn) return;
    this.drawn = key;
    const x = (at) => Math.max(0, Math.min(WIDE, (at - from) / PAST * WIDE));
    const bar = (a, b, cls) => draw("rect", { x: x(a), y: cls === "out" ? 0 : 4, width: Math.max(b > from ? 2 : 0, x(b) - x(a)), height: cls === "out" ? 12 : 4, class: cls });
    const parts = [draw("rect", { x: 0, y: 4, width: WIDE, height: 4, class: "in" })];
    let out = null, times = 0, total = 0, last = "";
    for (const h of history) {
      const at = Date.parse(h.at);
      last = h.kind;
      if (h.kind === "ejected" && out === null) out = at;
      if (h.kind === "readmitted" && out !== null) {
        if (at > from) { parts.push(bar(out, at, "out")); times++; total += at - Math.max(out, from); }
        out = null;
      }
      if (h.kind === "probe failed" && at > from) parts.push(draw("circle", { cx: x(at), cy: 6, r: 1.5, class: "probe" }));
      if ((h.kind === "suspected" || h.kind === "ejection prevented") && at > from) parts.push(draw("rect", { x: x(at), y: 2, width: 2, height: 8, class: "doubt" }));
    }
    if (out !== null) { parts.splice(1, 0, bar(out, now, "out")); times++; total += now - Math.max(out, from); }
    this.root.replaceChildren(...parts);
    say(this.root, times ? `out ${often(times)} in ten minutes, ${span(total)} in all; last: ${last}` : last ? "not out in ten minutes; last: " + last : "never out");
    this.root.append(Object.assign(draw("title", {}), { textContent: this.root.getAttribute("aria-label") }));
  }
}

const POINTS = 120; // seconds

// Rates is what users ask for against what is sent to the nodes.
export class Rates {
  constructor() {
    this.calls = draw("polyline", { class: "calls" });
    this.attempts = draw("polyline", { class: "attempts" });
    this.svg = draw("svg", { class: "rates", viewBox: "0 0 240 40", width: 240, height: 40, preserveAspectRatio: "none", role: "img" });
    this.svg.append(this.attempts, this.calls);
    this.root = make("figure", { className: "chart" }, this.svg,
      make("figcaption", {}, make("span", { className: "calls" }, "━ calls"), " ", make("span", { className: "attempts" }, "┅ attempts"), " a second, two minutes"));
    this.past = [];
  }

  show(calls, attempts, at) {
    const second = Math.floor(at / 1000);
    if (this.past.length && this.past[this.past.length - 1][0] === second) this.past.pop();
    this.past.push([second, calls / 10, attempts / 10]);
    while (this.past[0][0] <= second - POINTS) this.past.shift();
    const most = Math.max(1, ...this.past.map((p) => Math.max(p[1], p[2])));
    const line = (k) => this.past.map((p) => `${(POINTS - (second - p[0])) * 2},${(38 - 36 * p[k] / most).toFixed(1)}`).join(" ");
    this.calls.setAttribute("points", line(1));
    this.attempts.setAttribute("points", line(2));
    say(this.svg, `now ${rate(calls)} calls and ${rate(attempts)} attempts a second; the most in two minutes: ${Math.round(most)}`);
  }
}
