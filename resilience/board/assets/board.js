// The board's page: the stream, the log, and what draws the rest.
import { $, counted, isOut, make, ms, named, set, span, time, why } from "./words.js";
import { Service } from "./service.js";
import { Beside } from "./beside.js";
import { ask, headers, login } from "./steer.js";

// --- the log ---
const entries = [];
const filters = { process: $("filter-process"), service: $("filter-service"), node: $("filter-node"), kind: $("filter-kind"), text: $("filter-text") };
const known = { process: new Set([""]), service: new Set(), node: new Set([""]), kind: new Set() };
const MOST = 300; // choices of a filter
const kindOf = (e) => (e.candidate ? "candidate: " : "") + e.kind;
const by = { process: (e) => e.process || "", service: (e) => e.service, node: (e) => e.node || "", kind: kindOf };
const passes = (e) => Object.keys(by).every((k) => !filters[k].value || by[k](e) === filters[k].value) &&
  (!filters.text.value || JSON.stringify(e).toLowerCase().includes(filters.text.value.toLowerCase()));
const line = (e) => {
  const bad = ["ejected", "breaker open", "settings refused", "source failed"].includes(e.kind), good = ["readmitted", "breaker closed"].includes(e.kind);
  let text = e.error || why(e.reason);
  if (e.kind === "probe failed" && !e.reason?.threshold) text = "it was tried again and failed: it stays out";
  if (e.kind === "nodes changed") text = `${e.nodes} nodes: ${e.added || 0} new, ${e.removed || 0} gone`;
  if (e.kind === "steered") text = `${e.who} did: ${e.did}, “${e.why}”`;
  const and = (more) => { text += (text ? ", " : "") + more; };
  if (e.openForMs) and((e.candidate ? "it would have been out for at least " : "out for at least ") + ms(e.openForMs));
  if (e.outForMs) and((e.candidate ? "it would have been out for " : "it was out for ") + span(e.outForMs));
  return make("tr", { className: e.candidate ? "imagined" : "" }, make("td", {}, time(e.at)), make("td", {}, named({ name: e.service, process: e.process })), make("td", {}, e.node || ""),
    make("td", { className: e.candidate ? "half" : bad ? "out" : good ? "closed" : "" }, kindOf(e)), make("td", { className: "why" }, text));
};
const relist = () => $("log").replaceChildren(...entries.filter(passes).reverse().map(line));
const hear = (list) => {
  for (const e of list) {
    if (entries.length && e.id <= entries[entries.length - 1].id) continue;
    entries.push(e);
    for (const k of Object.keys(by)) {
      const value = by[k](e);
      if (known[k].has(value) || known[k].size > MOST) continue;
      known[k].add(value);
      filters[k].append(make("option", { value }, value || "(no name)"));
    }
    if (passes(e)) $("log").prepend(line(e));
  }
  while (entries.length > 500) entries.shift();
  while ($("log").children.length > 500) $("log").lastChild.remove();
};
for (const f of Object.values(filters)) f.addEventListener("input", relist);
$("filter").addEventListener("submit", (e) => e.preventDefault());

// --- what there is to see ---
const services = new Map(), beside = new Beside();
let state = null, ahead = 0; // milliseconds that the process's clock is ahead of ours
const redraw = () => {
  if (!state) return;
  const now = Date.now() + ahead;
  const left = new Set(services.keys());
  let out = 0, nodes = 0;
  for (const s of state.services) {
    const key = JSON.stringify([s.process, s.name]);
    left.delete(key);
    let sv = services.get(key);
    if (!sv) {
      services.set(key, sv = new Service(ask, redraw));
      $("services").append(sv.root);
    }
    sv.show(s, now, state.steering);
    nodes += s.nodes.length;
    out += s.nodes.filter(isOut).length;
  }
  for (const key of left) { services.get(key).root.remove(); services.delete(key); }
  beside.show(state, now);
  $("none").hidden = state.services.length > 0;
  $("filter-process-label").hidden = !state.processes;
  set($("summary"), (out ? "✕ " : "● ") + `${counted(state.services.length, "service")}, ${counted(nodes, "node")}, ${out} out`);
  $("summary").className = out ? "out" : "closed";
  document.title = (out ? "✕ " + out + " out · " : "") + "holdfast";
};
const take = {
  state: (data) => {
    state = data;
    ahead = Date.parse(state.at) - Date.now();
    set($("link"), "live");
    $("link").className = "";
    redraw();
  },
  log: hear,
};

// --- the stream ---
// What the server asks for may be a token, which an EventSource cannot send.
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
      set($("link"), "✕ connection lost (" + err.message + "), trying again; what is below is as it was");
      $("link").className = "out";
      await new Promise((r) => setTimeout(r, 2000));
    }
  }
};
forever();
setInterval(redraw, 1000); // the times to the next probe
