// Several processes side by side: how each of them sees the same nodes.
import { $, cls, errors, make, rate, say, set, share, since, standing } from "./words.js";

const MANY = 30; // nodes, above which those that all see well are left out

export class Beside {
  constructor() {
    this.tables = new Map();
  }

  show(state, now) {
    $("processes").hidden = !state.processes;
    if (!state.processes) return;
    const list = state.processes.map((p) => make("li", { className: p.error ? "out" : "closed" },
      p.error ? "✕ " : "● ", make("a", { href: p.url, rel: "noreferrer" }, p.name),
      p.error ? `: ${p.error}` + (p.heard ? `; as it was at ${since(p.heard, now)}` : "") : ""));
    $("process-list").replaceChildren(...list);
    const byName = new Map();
    for (const s of state.services) {
      if (!byName.has(s.name)) byName.set(s.name, new Map());
      byName.get(s.name).set(s.process, s);
    }
    const left = new Set(this.tables.keys());
    for (const [name, views] of byName) {
      left.delete(name);
      let table = this.tables.get(name);
      if (!table) {
        this.tables.set(name, table = newTable(name));
        $("beside").append(table.root);
      }
      fill(table, state.processes, views);
    }
    for (const name of left) { this.tables.get(name).root.remove(); this.tables.delete(name); }
  }
}

const newTable = (name) => {
  const t = { caption: make("p"), head: make("tr"), body: make("tbody"), name };
  const table = make("table", {}, make("thead", {}, t.head), t.body);
  t.scroll = make("div", { className: "scroll", tabIndex: 0 }, table);
  t.scroll.setAttribute("role", "region");
  t.root = make("div", {}, t.caption, t.scroll);
  return t;
};

// fill compares by node, whatever order each process has them in.
const fill = (table, processes, views) => {
  const nodes = new Map();
  for (const [process, s] of views) {
    for (const n of s.nodes) {
      if (!nodes.has(n.id)) nodes.set(n.id, new Map());
      nodes.get(n.id).set(process, n);
    }
  }
  const columns = processes.filter((p) => views.has(p.name));
  const key = JSON.stringify(columns.map((p) => p.name));
  if (table.key !== key) {
    table.key = key;
    table.head.replaceChildren(make("th", { scope: "col" }, "Node"), make("th", { scope: "col" }, "All"), ...columns.map((p) => make("th", { scope: "col" }, p.name)));
  }
  let partial = 0;
  const rows = [];
  for (const [id, seen] of nodes) {
    const out = [...seen.values()].filter((n) => standing(n)[0] === "out").length;
    const some = out > 0 && out < seen.size;
    if (some) partial++;
    if (nodes.size > MANY && out === 0) continue;
    const verdict = out === 0 ? ["closed", "● in for all"] : some ? ["part", `◩ out for ${out} of ${seen.size}`] : ["out", "✕ out for all"];
    const row = make("tr", { className: verdict[0] }, make("th", { scope: "row" }, id || "(the node)"), make("td", {}, make("span", { className: verdict[0] }, verdict[1])));
    for (const p of columns) {
      const n = seen.get(p.name), cell = make("td");
      if (n) {
        const [state, sign, word] = standing(n), w = n.attempts;
        cell.append(make("span", { className: state }, sign + " " + word), ` ${rate(w.total)}/s, ${share(errors(w), w.total)} errors`);
      } else {
        cell.append("does not know it");
      }
      row.append(cell);
    }
    rows.push(row);
  }
  table.body.replaceChildren(...rows);
  const name = table.name || "(no name)";
  set(table.caption, partial ? `${name}: ${partial} of ${nodes.size} nodes are out for some processes and not for others: the way to them may be at fault, and not they`
    : `${name}: ${nodes.size} nodes, all processes agree`);
  cls(table.caption, partial ? "part" : "");
  table.scroll.hidden = rows.length === 0;
  say(table.scroll, table.caption.textContent);
};
