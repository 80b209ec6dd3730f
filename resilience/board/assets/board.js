// The board's page. What comes from the stream is written as text, never as HTML.
"use strict";
(() => {
  const GRID = 30; // nodes, above which they are a heat grid
  const $ = (id) => document.getElementById(id);
  const make = (tag, props, ...children) => {
    const e = Object.assign(document.createElement(tag), props);
    e.append(...children);
    return e;
  };
  const set = (e, text) => { if (e.textContent !== text) e.textContent = text; };

  // --- numbers in words ---
  const rate = (n) => n / 10 < 100 ? (n / 10).toFixed(1) : Math.round(n / 10).toLocaleString("en");
  const share = (n, of) => of ? (100 * n / of).toFixed(n && n < of / 10 ? 1 : 0) + " %" : "–";
  const ms = (x) => x >= 1000 ? (x / 1000).toFixed(1) + " s" : x >= 10 ? Math.round(x) + " ms" : x.toFixed(1) + " ms";
  const errors = (w) => w.failed + w.timedOut + w.rejected + w.shortCircuited;
  const percentiles = (l) => l.count ? ms(l.p50Ms) + " / " + ms(l.p99Ms) : "–";
  const number = (x) => Number.isInteger(x) ? String(x) : x.toPrecision(3);

  // standing is how a node or a breaker stands: a class, a sign and a word.
  const standing = (n) => {
    const state = n.breaker ? n.breaker.state : "closed";
    if (state === "half-open") return ["half", "◐", "half-open"];
    if (n.ejected || state === "open") return ["out", "✕", n.ejected ? "ejected" : "open"];
    if (n.notReady) return ["half", "○", "not ready"];
    return ["closed", "●", "in"];
  };
  const why = (r) => {
    if (!r) return "";
    const parts = [r.cause];
    if (r.rule) parts.push(r.rule);
    if (r.threshold) parts.push(number(r.score || 0) + " against " + number(r.threshold));
    if (r.calls) parts.push((r.failures || 0) + " of " + r.calls + " calls failed");
    if (r.note) parts.push("“" + r.note + "”");
    return parts.join(", ");
  };
  const until = (at, now) => {
    if (!at) return "";
    const left = (Date.parse(at) - now) / 1000;
    return left > 0 ? "in " + left.toFixed(left < 10 ? 1 : 0) + " s" : "now";
  };
  const SIGNS = { "ejected": "✕", "readmitted": "●", "probe failed": "◌", "ejection prevented": "!" };

  // --- a service ---
  const columns = ["State", "Node", "Score", "Calls/s", "Errors", "p50 / p99", "In flight", "Why", "Since", "Next probe", "History", "Steer"];
  const NUMBERS = new Set(["Calls/s", "Errors", "p50 / p99", "In flight"]);
  const facts = ["Calls/s", "Errors", "p50 / p99", "Attempts/s", "Amplification", "Ambiguous", "In flight", "Retry budget", "Breaker"];

  class Service {
    constructor(name) {
      const title = make("h2", {}, name);
      title.id = "service-" + Service.count++;
      this.steer = make("button", { type: "button", onclick: () => ask(this.state, null) }, "Steer …");
      this.steer.setAttribute("aria-label", "Steer " + name);
      this.root = make("article", { className: "service" }, make("div", { className: "title" }, title, this.steer));
      this.root.setAttribute("aria-labelledby", title.id);
      this.facts = {};
      const list = make("dl", { className: "facts" });
      for (const name of facts) list.append(make("div", {}, make("dt", {}, name), this.facts[name] = make("dd")));
      this.budget = make("meter", { min: 0 });
      this.budgetText = make("span");
      this.facts["Retry budget"].append(this.budget, this.budgetText);
      this.grid = make("div", { className: "grid" });
      this.grid.setAttribute("role", "group");
      this.grid.setAttribute("aria-label", "nodes of " + name);
      this.body = make("tbody");
      const head = make("tr");
      for (const c of columns) head.append(make("th", { scope: "col", className: NUMBERS.has(c) ? "num" : "" }, c));
      this.table = make("table", { className: "nodes" }, make("thead", {}, head), this.body);
      this.table.setAttribute("aria-labelledby", title.id);
      const scroll = make("div", { className: "scroll", tabIndex: 0 }, this.table);
      scroll.setAttribute("role", "region");
      scroll.setAttribute("aria-labelledby", title.id);
      this.root.append(list, this.grid, scroll);
      this.rows = new Map();
      this.cells = new Map();
      this.chosen = null;
    }

    show(s, now) {
      this.state = s;
      this.steer.hidden = !state.steering || !s.settings;
      const f = this.facts, c = s.calls, a = s.attempts;
      set(f["Calls/s"], rate(c.total));
      set(f["Errors"], share(errors(c), c.total));
      set(f["p50 / p99"], percentiles(c.latency));
      set(f["Attempts/s"], rate(a.total));
      const made = c.total - c.rejected - c.shortCircuited;
      set(f["Amplification"], made > 0 ? "× " + (a.total / made).toFixed(2) : "–");
      set(f["Ambiguous"], String(c.ambiguous));
      set(f["In flight"], s.inFlight + " (at most " + s.inFlightPeak + ")");
      this.budget.hidden = !s.budget;
      if (s.budget) {
        this.budget.max = s.budget.most;
        this.budget.value = s.budget.tokens;
      }
      set(this.budgetText, s.budget ? Math.floor(s.budget.tokens) + " of " + Math.floor(s.budget.most) : "unbounded");
      const b = s.breaker;
      set(f["Breaker"], b ? b.state + (b.mode ? ", " + b.mode : "") + (b.shadow ? ", shadow" : "") + (b.rule ? " · " + b.rule : "") : "none");
      f["Breaker"].className = b ? standing({ breaker: b })[0] : "";

      const many = s.nodes.length > GRID;
      this.grid.hidden = !many;
      const shown = many ? s.nodes.filter((n) => n.id === this.chosen || standing(n)[0] !== "closed") : s.nodes;
      if (many) this.heat(s.nodes);
      this.list(shown, now);
    }

    heat(nodes) {
      const left = new Set(this.cells.keys());
      for (const n of nodes) {
        left.delete(n.id);
        let cell = this.cells.get(n.id);
        if (!cell) {
          cell = make("button", { type: "button", onclick: () => { this.chosen = this.chosen === n.id ? null : n.id; draw(); } });
          this.cells.set(n.id, cell);
          this.grid.append(cell);
        }
        const [cls, sign, word] = standing(n);
        const w = n.attempts, bad = w.total ? errors(w) / w.total : 0;
        if (cell.className !== cls) cell.className = cls;
        set(cell, cls === "closed" ? "" : sign);
        cell.style.background = cls === "closed" && bad > 0 ? `color-mix(in srgb, var(--bad) ${Math.round(20 + 70 * bad)}%, transparent)` : "";
        const text = `${n.id}: ${word}, ${rate(w.total)} a second, ${share(errors(w), w.total)} errors`;
        if (cell.title !== text) { cell.title = text; cell.setAttribute("aria-label", text); }
        cell.setAttribute("aria-pressed", String(this.chosen === n.id));
      }
      for (const id of left) { this.cells.get(id).remove(); this.cells.delete(id); }
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
        row.steer.hidden = !state.steering || !this.state.settings || n.id === "(others)";
        row.steer.onclick = () => ask(this.state, n);
      }
      for (const id of left) { this.rows.get(id).root.remove(); this.rows.delete(id); }
    }
  }
  Service.count = 0;

  const newRow = () => {
    const row = { root: make("tr"), cell: {} };
    for (const c of columns) {
      const cell = c === "Node" ? make("th", { scope: "row" }) : make("td");
      if (NUMBERS.has(c)) cell.className = "num";
      if (c === "Why") cell.className = "why";
      cell.dataset.label = c;
      row.cell[c] = cell;
      row.root.append(cell);
    }
    row.meter = make("meter", { min: 0 });
    row.score = make("span");
    row.cell["Score"].append(row.meter, " ", row.score);
    row.cell["History"].className = "strip";
    row.steer = make("button", { type: "button" }, "…");
    row.cell["Steer"].append(row.steer);
    return row;
  };

  const fill = (row, n, now) => {
    const [cls, sign, word] = standing(n);
    const c = row.cell, w = n.attempts, b = n.breaker;
    if (c["State"].className !== cls) c["State"].className = cls;
    set(c["State"], sign + " " + word + (b && b.mode ? ", " + b.mode : ""));
    row.steer.setAttribute("aria-label", "Steer " + (n.id || "the node"));
    set(c["Node"], (n.id || "(the node)") + (n.zone ? " · " + n.zone : ""));
    const score = n.ownRule && b ? [b.score, b.threshold] : [n.score, n.threshold];
    row.meter.hidden = !score[1];
    row.meter.max = score[1] || 1;
    row.meter.value = score[0];
    set(row.score, score[1] ? number(score[0]) + " / " + number(score[1]) : "–");
    set(c["Calls/s"], rate(w.total));
    set(c["Errors"], share(errors(w), w.total));
    set(c["p50 / p99"], percentiles(w.latency));
    set(c["In flight"], String(n.inFlight));
    const ejection = n.ejected && n.lastEjection;
    set(c["Why"], cls === "closed" ? "" : why(ejection ? ejection.reason : b && b.reason));
    set(c["Since"], cls === "closed" ? "" : time(ejection ? ejection.at : b && b.since));
    set(c["Next probe"], cls === "out" ? until(n.retryAt || (b && b.retryAt), now) : "");
    const history = n.history || [];
    set(c["History"], history.map((h) => SIGNS[h.kind] || "·").join(""));
    c["History"].title = history.map((h) => time(h.at) + " " + h.kind).join("\n");
    c["History"].setAttribute("aria-label", history.length ? history.length + " changes, last: " + history[history.length - 1].kind : "no changes");
  };

  // --- the log ---
  const time = (at) => at ? new Date(at).toLocaleTimeString([], { hour12: false }) : "";
  const entries = [];
  const filters = { service: $("filter-service"), kind: $("filter-kind"), text: $("filter-text") };
  const known = { service: new Set(), kind: new Set() };
  const passes = (e) => (!filters.service.value || e.service === filters.service.value) &&
    (!filters.kind.value || e.kind === filters.kind.value) &&
    (!filters.text.value || JSON.stringify(e).toLowerCase().includes(filters.text.value.toLowerCase()));
  const line = (e) => {
    const cls = e.kind === "ejected" || e.kind === "breaker open" ? "out" : e.kind === "readmitted" || e.kind === "breaker closed" ? "closed" : "";
    let text = e.error || why(e.reason);
    if (e.kind === "nodes changed") text = `${e.nodes} nodes: ${e.added || 0} new, ${e.removed || 0} gone`;
    if (e.kind === "steered") text = `${e.who} did: ${e.did}, “${e.why}”`;
    if (e.openForMs) text += (text ? ", " : "") + "out for at least " + ms(e.openForMs);
    return make("tr", {}, make("td", {}, time(e.at)), make("td", {}, e.service), make("td", {}, e.node || ""),
      make("td", { className: cls }, e.kind), make("td", { className: "why" }, text));
  };
  const relist = () => $("log").replaceChildren(...entries.filter(passes).reverse().map(line));
  const hear = (list) => {
    for (const e of list) {
      if (entries.length && e.id <= entries[entries.length - 1].id) continue;
      entries.push(e);
      for (const by of ["service", "kind"]) {
        if (known[by].has(e[by])) continue;
        known[by].add(e[by]);
        filters[by].append(make("option", { value: e[by] }, e[by] || "(no name)"));
      }
      if (passes(e)) $("log").prepend(line(e));
    }
    while (entries.length > 500) entries.shift();
    while ($("log").children.length > 500) $("log").lastChild.remove();
  };
  for (const f of Object.values(filters)) f.addEventListener("input", relist);
  $("filter").addEventListener("submit", (e) => e.preventDefault());

  // --- the stream ---
  const services = new Map();
  let state = null, ahead = 0; // milliseconds that the process's clock is ahead of ours
  const draw = () => {
    if (!state) return;
    const now = Date.now() + ahead;
    const left = new Set(services.keys());
    let out = 0, nodes = 0;
    for (const s of state.services) {
      left.delete(s.name);
      let sv = services.get(s.name);
      if (!sv) {
        services.set(s.name, sv = new Service(s.name || "(no name)"));
        $("services").append(sv.root);
      }
      sv.show(s, now);
      nodes += s.nodes.length;
      out += s.nodes.filter((n) => standing(n)[0] === "out").length;
    }
    for (const name of left) { services.get(name).root.remove(); services.delete(name); }
    set($("summary"), `${state.services.length} services, ${nodes} nodes, ${out} out`);
    document.title = (out ? "✕ " + out + " out · " : "") + "holdfast";
  };
  const take = {
    state: (data) => {
      state = data;
      ahead = Date.parse(state.at) - Date.now();
      set($("link"), "live");
      draw();
    },
    log: hear,
  };

  // What the server asks for may be a token, which an EventSource cannot send.
  const KEY = "holdfast-token";
  const headers = (more) => {
    const token = sessionStorage.getItem(KEY);
    return token ? { ...more, Authorization: "Bearer " + token } : more;
  };
  const login = () => new Promise((done) => {
    $("login").querySelector("form").onsubmit = (e) => {
      e.preventDefault();
      sessionStorage.setItem(KEY, $("token").value);
      $("token").value = "";
      $("login").close();
    };
    $("login").onclose = done;
    $("login").showModal();
  });

  const follow = async () => {
    const resp = await fetch("state.stream", { headers: headers({}), cache: "no-store" });
    if (resp.status === 401) return login();
    if (!resp.ok) throw new Error(resp.status + " " + resp.statusText);
    const reader = resp.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; ;) {
      const { done, value } = await reader.read();
      if (done) throw new Error("the stream has ended");
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        const [, name, data] = /^event: (\w+)\ndata: ([^]*)$/.exec(event) || [];
        if (name in take) take[name](JSON.parse(data));
      }
    }
  };
  const forever = async () => {
    for (; ;) {
      try {
        await follow();
      } catch (err) {
        set($("link"), "connection lost (" + err.message + "), trying again …");
        await new Promise((r) => setTimeout(r, 2000));
      }
    }
  };

  // --- steering ---
  const ORDERS = ["trip", "reset", "force-open", "force-closed", "auto", "shadow-on", "shadow-off"];
  const ask = (s, n) => {
    const orders = n ? ["eject", "readmit", "hold", "release", ...(n.ownRule ? ORDERS : [])] : [...(s.breaker ? ORDERS : []), "settings"];
    set($("order-title"), n ? `${s.name}: ${n.id || "the node"}` : s.name || "(no name)");
    $("order-do").replaceChildren(...orders.map((o) => make("option", {}, o)));
    $("order-settings").value = JSON.stringify(s.settings, null, 2);
    set($("order-error"), "");
    $("order-why").value = "";
    const choose = () => { $("order-settings-label").hidden = $("order-do").value !== "settings"; };
    $("order-do").onchange = choose;
    choose();
    $("order-cancel").onclick = () => $("order").close();
    $("order").querySelector("form").onsubmit = async (e) => {
      e.preventDefault();
      const order = { service: s.name, do: $("order-do").value, why: $("order-why").value };
      if (n) order.node = n.id;
      try {
        if (order.do === "settings") order.settings = JSON.parse($("order-settings").value);
        const resp = await fetch("steer", { method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(order) });
        if (resp.status === 401) { await login(); return; }
        if (!resp.ok) throw new Error(await resp.text());
        $("order").close();
      } catch (err) {
        set($("order-error"), err.message);
      }
    };
    $("order").showModal();
  };

  forever();
  setInterval(draw, 1000); // the times to the next probe
})();
