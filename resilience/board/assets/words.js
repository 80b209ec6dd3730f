// Numbers and states in words, and what makes elements. What comes from the
// stream is written as text, never as HTML.
export const $ = (id) => document.getElementById(id);
export const make = (tag, props, ...children) => {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...children);
  return e;
};
const SVG = "http://www.w3.org/2000/svg";
export const draw = (tag, attributes) => {
  const e = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return e;
};
export const set = (e, text) => { if (e.textContent !== text) e.textContent = text; };
export const cls = (e, name) => { if (e.getAttribute("class") !== name) e.setAttribute("class", name); };
export const say = (e, text) => { if (e.getAttribute("aria-label") !== text) { e.setAttribute("aria-label", text); e.title = text; } };

// Windows are of ten seconds.
export const rate = (n) => n / 10 < 100 ? (n / 10).toFixed(1) : Math.round(n / 10).toLocaleString("en");
export const share = (n, of) => of ? (100 * n / of).toFixed(n && n < of / 10 ? 1 : 0) + " %" : "–";
export const ms = (x) => x >= 1000 ? span(x) : x >= 10 ? Math.round(x) + " ms" : x.toFixed(1) + " ms";
export const span = (x) => {
  const s = x / 1000;
  if (s < 60) return s.toFixed(s < 10 ? 1 : 0) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + Math.round(s % 60) + " s";
  return Math.floor(s / 3600) + " h " + Math.round(s % 3600 / 60) + " min";
};
export const counted = (n, what) => n + " " + what + (n === 1 ? "" : "s");
export const times = (n) => counted(n, "time");
export const errors = (w) => w.failed + w.timedOut + w.rejected + w.shortCircuited;
export const percentiles = (l) => l.count ? ms(l.p50Ms) + " / " + ms(l.p99Ms) : "–";
export const number = (x) => Number.isInteger(x) ? String(x) : x.toPrecision(3);
export const time = (at) => at ? new Date(at).toLocaleTimeString([], { hour12: false }) : "";
export const until = (at, now) => {
  if (!at) return "";
  const left = Date.parse(at) - now;
  return left > 0 ? "in " + span(left) : "now";
};
export const since = (at, now) => at ? time(at) + " (" + span(Math.max(0, now - Date.parse(at))) + ")" : "";

// standing is how a node or a breaker stands: a class, a sign and a word.
export const standing = (n) => {
  const state = n.breaker ? n.breaker.state : "closed";
  if (state === "half-open") return ["half", "◐", "half-open"];
  if (n.ejected || state === "open") return ["out", "✕", n.ejected ? "ejected" : "open"];
  if (n.notReady) return ["half", "○", "not ready"];
  return ["closed", "●", "in"];
};
export const isOut = (n) => standing(n)[0] === "out";

export const why = (r) => {
  if (!r) return "";
  if (r.cause === "probe" && r.threshold) return `${r.score || 0} of ${counted(r.threshold, "probe")} succeeded`;
  const parts = [r.cause];
  if (r.rule) parts.push(r.rule);
  if (r.threshold) parts.push(number(r.score || 0) + " against " + number(r.threshold));
  if (r.calls) parts.push((r.failures || 0) + " of " + r.calls + " calls failed");
  if (r.note) parts.push("“" + r.note + "”");
  return parts.join(", ");
};
export const named = (s) => (s.name || "(no name)") + (s.process ? " at " + s.process : "");
