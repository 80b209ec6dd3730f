// A service: its facts, its nodes as rows, and past thirty as a grid of cells.
import { cls, errors, make, ms, named, number, percentiles, rate, say, set, share, since, span, standing, time, times, until, why } from "./words.js";
import { Rates, Strip } from "./charts.js";

const GRID = 30; // nodes, above which they are a heat grid
const COLUMNS = ["State", "Node", "Score", "Calls/s", "Errors", "p50 / p99", "In flight", "Why", "Since", "Next probe", "Ten minutes", "Candidate", "Steer"];
const NUMBERS = new Set(["Calls/s", "Errors", "p50 / p99", "In flight"]);
const FACTS = ["Calls/s", "Errors", "p50 / p99", "Attempts/s", "Amplification", "Ambiguous", "In flight", "Retry budget", "Breaker"];

export class Service {
  // ask opens the dialog for an order; redraw draws all again.
  constructor(ask, redraw) {
    this.ask = ask;
    this.redraw = redraw;
    this.title = make("h2", { id: "service-" + Service.count++ });
    this.steer = make("button", { type: "button", onclick: () => ask(this.state, null) }, "Steer …");
    this.refused = make("p", { className: "out banner" });
    this.refused.setAttribute("role", "alert");
    this.trial = make("p", { className: "half banner" });
    this.facts = {};
    const list = make("dl", { className: "facts" });
    for (const name of FACTS) list.append(make("div", {}, make("dt", {}, name), this.facts[name] = make("dd")));
    this.budget = make("meter", { min: 0 });
    this.budget.setAttribute("aria-label", "retry budget");
    this.budgetText = make("span");
    this.facts["Retry budget"].append(this.budget, this.budgetText);
    this.rates = new Rates();
    this.grid = make("div", { className: "grid", onkeydown: (e) => this.move(e) });
    this.grid.setAttribute("role", "group");
    this.body = make("tbody");
    const head = make("tr");
    for (const c of COLUMNS) head.append(make("th", { scope: "col", className: c.toLowerCase().split(" ")[0] + (NUMBERS.has(c) ? " num" : "") }, c));
    this.table = make("table", { className: "nodes" }, make("thead", {}, head), this.body);
    this.note = make("p", { className: "dim" });
    const scroll = make("div", { className: "scroll", tabIndex: 0 }, this.table);
    scroll.setAttribute("role", "region");
    this.settings = make("pre");
    this.details = make("details", {}, make("summary", {}, "Settings in force"), this.settings);
    this.root = make("article", { className: "service" }, make("div", { className: "title" }, this.title, this.steer),
      this.refused, this.trial, make("div", { className: "head" }, list, this.rates.root), this.grid, this.note, scroll, this.details);
    for (const e of [this.root, this.table, scroll]) e.setAttribute("aria-labelledby", this.title.id);
    this.rows = new Map();
    this.cells = new Map();
    this.chosen = null;
  }

  show(s, now, steering) {
    this.state = s;
    this.steering = steering && !!s.settings;
    set(this.title, named(s));
    this.steer.hidden = !this.steering;
    this.steer.setAttribute("aria-label", "Steer " + named(s));
    this.refused.hidden = !s.settingsRefused;
    if (s.settingsRefused) set(this.refused, `⚠ New settings were refused at ${time(s.settingsRefused.at)}, the old ones stay in force: ${s.settingsRefused.error}`);
    this.showTrial(s.candidate, now);
    this.showFacts(s);
    this.rates.show(s.calls.total, s.attempts.total, now);
    this.details.hidden = !s.settings;
    set(this.settings, JSON.stringify(s.settings, null, 2) || "");

    const many = s.nodes.length > GRID;
    this.grid.hidden = !many;
    const shown = many ? s.nodes.filter((n) => n.id === this.chosen || standing(n)[0] !== "closed" || (n.would && n.would.ejected)) : s.nodes;
    if (many) this.heat(s.nodes);
    this.list(shown, now);
    this.note.hidden = !many && s.nodes.length > 0;
    set(this.note, many ? `${shown.length} of ${s.nodes.length} nodes are listed: those that are out or half so, and the chosen one` : "no nodes yet");
    this.table.hidden = shown.length === 0;
  }

  showTrial(c, now) {
    this.trial.hidden = !c;
    cls(this.table, c ? "nodes trial" : "nodes");
    if (!c) return;
    let text = `◐ A candidate runs beside these settings since ${since(c.since, now)}: it would have ejected a node ${times(c.wouldEject)}; it happened ${times(c.ejected)}.`;
    if (c.breaker) text += ` Its service breaker would be ${c.breaker.state}, and would have turned ${c.breaker.wouldReject || 0} calls away.`;
    set(this.trial, text);
    this.trial.title = JSON.stringify(c.settings, null, 2);
  }

  showFacts(s) {
    const f = this.facts, c = s.calls, a = s.attempts;
    set(f["Calls/s"], rate(c.total));
    set(f["Errors"], share(errors(c), c.total));
    cls(f["Errors"], errors(c) ? "out" : "");
    set(f["p50 / p99"], percentiles(c.latency));
    set(f["Attempts/s"], rate(a.total));
    const made = c.total - c.rejected - c.shortCircuited;
    set(f["Amplification"], made > 0 ? "× " + (a.total / made).toFixed(2) : "–");
    set(f["Ambiguous"], String(c.ambiguous));
    set(f["In flight"], s.inFlight + (s.inFlightPeak > s.inFlight ? " (peak " + s.inFlightPeak + ")" : ""));
    this.budget.hidden = !s.budget;
    if (s.budget) {
      this.budget.max = s.budget.most;
      this.budget.low = s.budget.most / 4;
      this.budget.optimum = s.budget.most;
      this.budget.value = s.budget.tokens;
    }
    set(this.budgetText, s.budget ? Math.floor(s.budget.tokens) + " of " + Math.floor(s.budget.most) : "unbounded");
    const b = s.breaker;
    set(f["Breaker"], b ? b.state + (b.mode ? ", " + b.mode : "") + (b.shadow ? ", shadow" : "") + (b.rule ? " · " + b.rule : "") : "none");
    cls(f["Breaker"], b ? standing({ breaker: b })[0] : "");
  }

  heat(nodes) {
    this.grid.setAttribute("aria-label", "nodes of " + named(this.state) + ", by the arrow keys");
    const left = new Set(this.cells.keys());
    for (const n of nodes) {
      left.delete(n.id);
      let cell = this.cells.get(n.id);
      if (!cell) {
        cell = make("button", { type: "button", tabIndex: -1, onclick: () => { this.chosen = this.chosen === n.id ? null : n.id; this.redraw(); } });
        this.cells.set(n.id, cell);
        this.grid.append(cell);
      }
      const [state, sign, word] = standing(n);
      const w = n.attempts, bad = w.total ? errors(w) / w.total : 0;
      cls(cell, state);
      set(cell, state === "closed" ? "" : sign);
      cell.style.background = state === "closed" && bad > 0 ? `color-mix(in srgb, var(--bad) ${Math.round(20 + 70 * bad)}%, transparent)` : "";
      say(cell, `${n.id}: ${word}, ${rate(w.total)} a second, ${share(errors(w), w.total)} errors`);
      cell.setAttribute("aria-pressed", String(this.chosen === n.id));
    }
    for (const id of left) { this.cells.get(id).remove(); this.cells.delete(id); }
    if (!this.grid.querySelector("[tabindex='0']") && this.grid.firstChild) this.grid.firstChild.tabIndex = 0;
  }

  // move goes through the grid by the arrow keys: it is one stop for Tab.
  move(e) {
    const cells = [...this.grid.children], at = cells.indexOf(document.activeElement);
    if (at < 0) return;
    const row = cells.filter((c) => c.offsetTop === cells[0].offsetTop).length;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + row, ArrowUp: at - row, Home: 0, End: cells.length - 1 }[e.key];
    if (to === undefined || !cells[to]) return;
    e.preventDefault();
    cells[at].tabIndex = -1;
    cells[to].tabIndex = 0;
    cells[to].focus();
  }

  list(nodes, now) {
    const left = new Set(this.rows.keys());
    let at = 0;
    for (const n of nodes) {
      left.delete(n.id);
      let row = this.rows.get(n.id);
      if (!row) this.rows.set(n.id, row = newRow());
      if (this.body.children[at] !== row.root) this.body.insertBefore(row.root, this.body.children[at] || null);
      at++;
      fill(row, n, now);
      row.steer.hidden = !this.steering || n.id === "(others)";
      row.steer.onclick = () => this.ask(this.state, n);
    }
    for (const id of left) { this.rows.get(id).root.remove(); this.rows.delete(id); }
  }
}
Service.count = 0;

const newRow = () => {
  const row = { root: make("tr"), cell: {} };
  for (const c of COLUMNS) {
    const cell = c === "Node" ? make("th", { scope: "row" }) : make("td");
    cell.className = c.toLowerCase().split(" ")[0] + (NUMBERS.has(c) ? " num" : "");
    cell.dataset.label = c;
    row.cell[c] = cell;
    row.root.append(cell);
  }
  row.meter = make("meter", { min: 0 });
  row.meter.setAttribute("aria-label", "score against threshold");
  row.score = make("span");
  row.cell["Score"].append(row.meter, " ", row.score);
  row.state = make("span");
  row.cell["State"].append(row.state);
  row.strip = new Strip();
  row.cell["Ten minutes"].append(row.strip.root);
  row.steer = make("button", { type: "button" }, "…");
  row.cell["Steer"].append(row.steer);
  return row;
};

const fill = (row, n, now) => {
  const [state, sign, word] = standing(n);
  const c = row.cell, w = n.attempts, b = n.breaker;
  cls(row.root, state);
  row.root.dataset.node = n.id;
  cls(row.state, state);
  set(row.state, sign + " " + word + (b && b.mode ? ", " + b.mode : ""));
  row.steer.setAttribute("aria-label", "Steer " + (n.id || "the node"));
  set(c["Node"], (n.id || "(the node)") + (n.zone ? " · " + n.zone : ""));
  const score = state === "out" ? [0, 0] : n.ownRule && b ? [b.score, b.threshold] : [n.score, n.threshold]; // it is counted anew from when it is back
  row.meter.hidden = !score[1];
  row.meter.max = score[1] || 1;
  row.meter.high = (score[1] || 1) * 0.8;
  row.meter.low = (score[1] || 1) * 0.4;
  row.meter.optimum = 0;
  row.meter.value = score[0];
  set(row.score, score[1] ? number(score[0]) + " / " + number(score[1]) : "–");
  set(c["Calls/s"], rate(w.total));
  set(c["Errors"], share(errors(w), w.total));
  set(c["p50 / p99"], percentiles(w.latency));
  set(c["In flight"], String(n.inFlight));
  const ejection = n.ejected && n.lastEjection;
  set(c["Why"], state === "closed" ? "" : why(ejection ? ejection.reason : b && b.reason));
  set(c["Since"], state === "closed" ? "" : since(ejection ? ejection.at : b && b.since, now));
  set(c["Next probe"], state === "out" ? until(n.retryAt || (b && b.retryAt), now) : "");
  row.strip.show(n.history || [], now);
  set(c["Candidate"], would(n.would, now));
  c["Candidate"].title = n.would && n.would.lastEjection ? why(n.would.lastEjection.reason) : "";
};

// would is what a candidate would have done with a node.
const would = (w, now) => {
  if (!w) return "";
  if (w.ejected) return `✕ would be out since ${since(w.lastEjection && w.lastEjection.at, now)}, tried again ${until(w.retryAt, now)}`;
  if (!w.times) return "● would be in" + (w.score ? `, ${number(w.score)} / ${number(w.threshold)}` : "");
  return `● would be in; would have been out ${times(w.times)}, ${span(w.outForMs)} in all`;
};
